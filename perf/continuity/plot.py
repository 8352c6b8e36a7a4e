"""Draws results of perf/continuity_sim: broken connections by scheme, and how many flows are remembered."""
import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as pyplot  # noqa: E402

BROKEN_IN = {"drain_one": "one drained", "rolling": "rolling drain", "lose_lb": "one drained,\nLB replaced",
             "changes": "random\nchanges", "everything": "… and LBs\nlost"}
COLORS = {"guideway": ("IPIP", "tab:blue"), "guideway_second_chance": ("GUE, second chance", "tab:red"),
          "maglev": ("Maglev alone", "tab:gray"), "full_tracking": ("full tracking", "tab:orange"),
          "two_choice": ("two choices", "tab:green")}


def draw_broken(axes, lines):
    width = 1 / (len(COLORS) + 1)
    for at, (scheme, (label, color)) in enumerate(COLORS.items()):
        heights = [next(line["broken_per_million"] for line in lines
                        if (line["scenario"], line["scheme"]) == (scenario, scheme)) for scenario in BROKEN_IN]
        places = [place + (at - 2) * width for place in range(len(BROKEN_IN))]
        bars = axes.bar(places, heights, width, label=label, color=color)
        axes.bar_label(bars, ["0" if height == 0 else "" for height in heights], fontsize=6, color=color)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xticks(range(len(BROKEN_IN)), BROKEN_IN.values())
    axes.set_ylim(top=1e7)  # room for the legend
    axes.set_title("broken connections per million live flows")
    axes.legend(fontsize=7, ncols=3, loc="upper left")


def draw_minutes(axes, results):
    for scenario in ("drain_one", "rolling", "lose_lb"):
        row = results[scenario][0]
        percents = [100 * flows / row["flows"] for flows in row["remembered_by_minute"]]
        axes.plot([minute / 60 for minute in range(len(percents))], percents, label=BROKEN_IN[scenario].replace("\n", " "))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("hours")
    axes.set_title("remembered with second chance, % of live flows")
    axes.legend(fontsize=7)


def draw_peaks(axes, results):
    rows = results["changes"]
    for scheme in ("guideway", "guideway_second_chance", "full_tracking"):
        label, color = COLORS[scheme]
        percents = sorted(100 * row["peak"][scheme] / row["flows"] for row in rows)
        axes.plot(percents, [(at + 1) / len(percents) for at in range(len(percents))], color=color,
                  label=label)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("remembered at most, % of live flows")
    axes.set_title("share of random schedules")
    axes.legend(fontsize=7)


def draw(lines, results, file):
    """The same rows give the same bytes."""
    matplotlib.rcParams.update({"svg.hashsalt": "guideway", "font.size": 8})
    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4), width_ratios=(2, 1, 1))
    draw_broken(panels[0], lines)
    draw_minutes(panels[1], results)
    draw_peaks(panels[2], results)
    for axes in panels:
        axes.grid(axis="y", alpha=0.3)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
