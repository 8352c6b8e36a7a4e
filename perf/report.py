#!/usr/bin/python3
"""Results of perf/pipeline_bench and perf/micro_bench against their targets, one line each.

Usage: report.py TARGETS.json TABLES.json [MATRIX.json …] [--write DIR]
--write: also DIR/pipeline.json, DIR/pipeline.md and DIR/pipeline.svg, with all rows.
"""
import argparse
import json
import pathlib
import platform
import subprocess

FLOWS = {"64k flows": "flows:65536/vips:100/backends:1000", "1M flows": "flows:1048576/vips:100/backends:1000"}
VIPS = "ipv4/tcp/ipip/flows:65536/vips:{}/backends:1000"
RIGS = ("empty", "mac_swap", "l3fwd")
FITS = {"≤": lambda figure, limit: figure <= limit, "≥": lambda figure, limit: figure >= limit}


def over_a_driver():
    """(what, row, rig)"""
    for text, size in FLOWS.items():
        row = f"ipv4/tcp/ipip/{size}/driver:null"
        yield f"IPv4 against l3fwd, {text}", row, "l3fwd"
        yield f"IPv4 against l3fwd to clients, {text}", row, "l3fwd_to_clients"
    million = "ipv4/tcp/ipip/flows:1048576/vips:100"
    yield "… 3 backends a pool", f"{million}/backends:3/driver:null", "l3fwd_to_clients"
    yield "… one pool", f"{million}/backends:1000/pools:1/driver:null", "l3fwd_to_clients"
    yield "IPv6 against l3fwd, 64k flows", f"ipv6/tcp/ipip/{FLOWS['64k flows']}/driver:null", "l3fwd"


def targets_of(measured, tables):
    """(what, row or None, figure, unit, ≤ or ≥, limit)"""
    rows = {row["name"]: row for row in measured["rows"]}

    def cycles(name):
        return rows[name]["cycles"]["median"]

    def ratio(name, rig="l3fwd"):
        return rows[name]["ratio_to"][rig]["median"]

    for text, size in FLOWS.items():
        base = f"ipv4/tcp/ipip/{size}"
        yield f"IPv4 TCP, IPIP, {text}", base, cycles(base), "cycles", "≤", 100
        yield f"… against l3fwd, {text}", base, ratio(base), "×", "≤", 1.5
        yield f"… against l3fwd to clients, {text}", base, ratio(base, "l3fwd_to_clients"), "×", "≤", 1.5
        for what, name, limit in (("GUE against IPIP", f"ipv4/tcp/gue/{size}", 1.15),
                                  ("IPv6 against IPv4", f"ipv6/tcp/ipip/{size}", 1.25),
                                  ("SYN against established", f"ipv4/syn/ipip/{size}", 1.1)):
            yield f"{what}, {text}", name, cycles(name) / cycles(base), "×", "≤", limit
    for text, flows, limit in (("1M", 1 << 20, 140), ("8M", 1 << 23, 210)):
        name = f"ipv4/tcp/ipip/flows:{flows}/vips:100/backends:1000/known"
        if name in rows:
            yield f"flow-table hit, {text} flows", name, cycles(name), "cycles", "≤", limit
    name = "ipv4/syn/ipip/flows:1048576/vips:100/backends:1000/fresh"
    yield "new flow written to the flow table", name, cycles(name), "cycles", "≤", 150
    for what, name, rig in over_a_driver():
        yield f"{what}, both over a DPDK driver", name, ratio(name, rig), "×", "≤", 1.5
    many, one_pool, one = VIPS.format(10000), VIPS.format(10000) + "/pools:1", VIPS.format(1)
    yield "10,000 VIPs against 1", many, cycles(many) / cycles(one), "×", "≤", 1.3
    yield "… all of one pool", one_pool, cycles(one_pool) / cycles(one), "×", "≤", 1.3
    if "two_workers" in measured:
        yield "two workers on two cores against one", None, measured["two_workers"]["median"], "×", "≥", 1.9
    build = next(b for b in tables if b["name"] == "build_slots_median")
    yield "slot table, N = 1000, M = 65521, mixed weights", None, build["cpu_time"], "ms", "≤", 2
    flip = next(b for b in tables if b["name"].startswith("flip/") and b["name"].endswith("_median"))
    yield "publish after one backend changed", None, flip["publish_p50_ns"] / 1e6, "ms", "≤", 1


def against_targets(measured, tables):
    rows = {row["name"]: row for row in measured["rows"]}
    for what, name, figure, unit, sign, limit in targets_of(measured, tables):
        row = rows.get(name)
        yield {"what": what, "row": name, "cycles": row and row["cycles"]["median"],
               "ratio": row and row["ratio_to"]["l3fwd"]["median"], "figure": figure, "unit": unit,
               "target": f"{sign} {limit} {unit}", "verdict": "ok" if FITS[sign](figure, limit) else "short"}


def shown(value, pattern="{:.2f}"):
    return "" if value is None else pattern.format(value)


def print_targets(lines):
    head = ("what", "cycles", "× l3fwd", "figure", "target", "")
    print("{:<66} {:>7} {:>8} {:>13} {:>13}  {}".format(*head))
    for line in lines:
        print("{:<66} {:>7} {:>8} {:>13} {:>13}  {}".format(
            line["what"], shown(line["cycles"], "{:.1f}"), shown(line["ratio"]),
            f"{line['figure']:.2f} {line['unit']}", line["target"], line["verdict"]))


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def markdown(result):
    yield f"# perf/run.sh on {result['cpu']}, TSC at {result['tsc_hz'] / 1e9:.2f} GHz, commit {result['commit']}"
    yield ""
    yield "TSC cycles per packet, medians over interleaved repetitions; what the rows are: [matrix.h](../matrix.h)."
    yield ""
    yield "![cycles per packet](pipeline.svg)"
    yield ""
    yield "| what | cycles | × l3fwd | figure | target | |"
    yield "|---|---|---|---|---|---|"
    for t in result["targets"]:
        yield (f"| {t['what']} | {shown(t['cycles'], '{:.1f}')} | {shown(t['ratio'])} | {t['figure']:.2f} {t['unit']} "
               f"| {t['target']} | {t['verdict']} |")
    yield ""
    yield "| row | cycles | min … max | × empty | × mac_swap | × l3fwd | min … max | × l3fwd to clients |"
    yield "|---|---|---|---|---|---|---|---|"
    for r in result["rows"]:
        cycles, to = r["cycles"], r["ratio_to"]
        ratios = " | ".join(f"{to[rig]['median']:.2f}" for rig in RIGS)
        to_clients = to.get("l3fwd_to_clients")  # with IPv4
        yield (f"| {r['name']} | {cycles['median']:.1f} | {cycles['min']:.1f} … {cycles['max']:.1f} | {ratios} "
               f"| {to['l3fwd']['min']:.2f} … {to['l3fwd']['max']:.2f} "
               f"| {shown(to_clients and to_clients['median'])} |")


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value


def write(directory, result):
    import plot  # matplotlib is in the package group perf, and nothing else here needs it
    directory.mkdir(exist_ok=True)
    (directory / "pipeline.json").write_text(json.dumps(rounded(result), indent=1) + "\n")
    (directory / "pipeline.md").write_text("\n".join(markdown(result)) + "\n")
    plot.draw(result["rows"], directory / "pipeline.svg")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("targets", type=pathlib.Path)
    arguments.add_argument("tables", type=pathlib.Path)
    arguments.add_argument("matrix", type=pathlib.Path, nargs="*")
    arguments.add_argument("--write", type=pathlib.Path)
    args = arguments.parse_args()

    measured = json.loads(args.targets.read_text())
    tables = json.loads(args.tables.read_text())["benchmarks"]
    lines = list(against_targets(measured, tables))
    print_targets(lines)
    if args.write:
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
        rows = [row for file in args.matrix for row in json.loads(file.read_text())["rows"]]
        write(args.write, {"cpu": cpu_model(), "tsc_hz": measured["tsc_hz"], "commit": commit.stdout.strip(),
                           "targets": lines, "rows": rows or measured["rows"]})


if __name__ == "__main__":
    main()
