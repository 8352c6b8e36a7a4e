"""What was measured, as tables: medians over the repetitions, between the smallest and the largest, and ratios."""
import statistics

KINDS = {
    "memif": ("UDP over memif: what polls, and nothing else", "Guideway, ipip"),
    "udp": ("UDP over veth: through the kernel", "Guideway, AF_XDP, ipip"),
    "tcp": ("TCP over veth: wrk and nginx", "Guideway, AF_XDP, ipip"),
}
LIMITED_SHARE = 0.001  # a flood of which less was lost did not fill the load balancer: it may be able to do more
LOST_SHARE_MAX = 0.1    # of a trial for latency; pauses of the host cost less


def figures_of(row, *path):
    """The figure at this path of every repetition that has it."""
    values = row["repetitions"]
    for key in path:
        values = [value[key] for value in values if key in value]
    return values


def spread(values, scale, digits):
    if not values:
        return "—"
    low, middle, high = (f"{value / scale:.{digits}f}" for value in
                         (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low} … {high})"


def ratio(rows, name, to, figure):
    """Of what the same repetitions measured, so that what slowed both down does not count."""
    ours, theirs = rows[name]["repetitions"], rows[to]["repetitions"]
    ratios = [a[figure] / b[figure] for a, b in zip(ours, theirs) if a.get(figure) and b.get(figure)]
    return f"{statistics.median(ratios):.2f}" if ratios else "—"


def latency(row, share):
    """p50, p99 and p99.9; or what was lost, when those that arrived do not speak for all."""
    lost = statistics.median(figures_of(row, "latency_us", share, "lost_share") or [0])
    if lost > LOST_SHARE_MAX:
        return f"lost {lost:.0%}"
    return " / ".join(f"{statistics.median(values):.1f}" if values else "—" for values in
                      (figures_of(row, "latency_us", share, name) for name in ("p50", "p99", "p99.9")))


def packet_lines(rows, ceiling, reference):
    yield ["", "Mpps", f"× {ceiling}", f"× {reference}", "loss-free Mpps", "µs at 10 %: p50 / p99 / p99.9", "at 50 %",
           "at 90 %"]
    for name, row in rows.items():
        limited = min(figures_of(row, "flood_lost_share"), default=1) < LIMITED_SHARE
        yield [name, ("≥ " if limited else "") + spread(figures_of(row, "throughput_pps"), 1e6, 2),
               ratio(rows, name, ceiling, "throughput_pps"), ratio(rows, name, reference, "throughput_pps"),
               spread(figures_of(row, "loss_free_pps"), 1e6, 2),
               *(latency(row, share) for share in ("10%", "50%", "90%"))]


def connection_lines(rows, ceiling, reference):
    yield ["", "connections/s", f"× {ceiling}", f"× {reference}", "ms: p50 / p99", "Gbit/s", f"× {ceiling}",
           f"× {reference}", "failed", "balancer's core, load's core busy"]
    for name, row in rows.items():
        wait = " / ".join(spread(figures_of(row, "request_us", p), 1e3, 1) for p in ("p50", "p99"))
        busy = ", ".join(f"{statistics.median(figures_of(row, key) or [0]):.0%}"
                         for key in ("balancer_busy", "load_busy"))
        yield [name, spread(figures_of(row, "connections_per_s"), 1, 0),
               ratio(rows, name, ceiling, "connections_per_s"), ratio(rows, name, reference, "connections_per_s"), wait,
               spread(figures_of(row, "bits_per_s"), 1e9, 2), ratio(rows, name, ceiling, "bits_per_s"),
               ratio(rows, name, reference, "bits_per_s"), str(sum(figures_of(row, "failed"))), busy]


def tables_of(result):
    """(title, lines of cells, sentences about rows that could not be measured) of each kind."""
    for kind, (title, reference) in KINDS.items():
        rows = {row["name"]: row for row in result["rows"] if row["kind"] == kind}
        if not rows:
            continue
        ceiling = next(iter(rows))
        lines = connection_lines if kind == "tcp" else packet_lines
        trouble = [f"{name}: {sentence}" for name, row in rows.items() for sentence in sorted(set(row["trouble"]))]
        yield title, list(lines(rows, ceiling, reference if reference in rows else ceiling)), trouble


def as_text(result):
    for title, lines, trouble in tables_of(result):
        yield title
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        yield from trouble
        yield ""


def as_markdown(result):
    yield f"# perf/run.sh --end-to-end on {result['cpu']}, Linux {result['kernel']}, commit {result['commit']}"
    yield ""
    busy = " and ".join(f"{share:.0%}" for share in result["busy_before"])
    yield (f"Medians of {result['repetitions']} interleaved repetitions (smallest … largest). Before the run the cores "
           f"were {busy} busy with something else. What is measured, and how: [README.md](../end_to_end/README.md).")
    for title, lines, trouble in tables_of(result):
        yield ""
        yield f"## {title}"
        yield ""
        head, *rest = lines
        for line in (head, ["---"] * len(head), *rest):
            yield f"| {' | '.join(line)} |"
        for sentence in trouble:
            yield ""
            yield sentence
