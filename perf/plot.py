"""Draws rows of perf/pipeline_bench: cycles per packet over one dimension at a time, from the smallest to the largest."""
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as pyplot  # noqa: E402

# Each panel: its title, the values of the dimension, and the end of a row's name; what is not named is usual.
PANELS = [
    ("flows, 100 VIPs", ["1", "65536", "1048576", "8388608"], "flows:{}/vips:100"),
    ("VIPs (and pools, up to 100), 64k flows", ["1", "100", "10000"], "flows:65536/vips:{}"),
    ("bytes of a frame, 64k flows, 100 VIPs", ["64", "512", "1500"], "flows:65536/vips:100/bytes:{}"),
]
LINES = [(f"{family}/tcp/{what}", f"{title} {what}", color, style)
         for family, title, style in (("ipv4", "IPv4", "-"), ("ipv6", "IPv6", "--"))
         for what, color in (("gue", "tab:red"), ("ipip", "tab:blue"), ("l3fwd", "tab:green"),
                             ("l3fwd_to_clients", "tab:olive"), ("empty", "tab:gray"))]


def row_name(line, suffix):
    backends = "/backends:1000" if re.search("ipip|gue", line) else ""
    return f"{line}/{suffix.replace('/bytes:64', '')}{backends}"


def draw_panel(axes, rows, title, values, suffix):
    for line, label, color, style in LINES:
        found = [(at, rows[name]) for at, value in enumerate(values)
                 if (name := row_name(line, suffix.format(value))) in rows]
        if not found:
            continue
        medians = [cycles["median"] for _, cycles in found]
        spread = [[cycles["median"] - cycles["min"] for _, cycles in found],
                  [cycles["max"] - cycles["median"] for _, cycles in found]]
        axes.errorbar([at for at, _ in found], medians, spread, label=label, color=color, linestyle=style, marker="o",
                      markersize=3, capsize=3)
    axes.set_xticks(range(len(values)), values)
    axes.set_xlabel(title)
    axes.grid(axis="y", alpha=0.3)


def draw(rows, file):
    """`rows`: as pipeline_bench writes them. The same rows give the same bytes."""
    matplotlib.rcParams.update({"svg.hashsalt": "guideway", "font.size": 8})
    by_name = {row["name"]: row["cycles"] for row in rows}
    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(11, 4), sharey=True)
    for axes, panel in zip(panels, PANELS):
        draw_panel(axes, by_name, *panel)
    panels[0].set_ylabel("cycles per packet; TCP, 1000 backends per pool")
    panels[0].set_ylim(bottom=0)  # after everything is drawn, or it stays as high as the first panel
    panels[-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
