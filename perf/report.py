#!/usr/bin/python3
"""Results of perf/pipeline_bench and perf/micro_bench against their targets, one line each.

Usage: report.py TARGETS.json TABLES.json [MATRIX.json …] [--write DIR]
--write: also DIR/pipeline.json and DIR/pipeline.md, with all rows.
"""
import argparse
import json
import pathlib
import platform
import subprocess

FLOWS = {"64k flows": "flows:65536/vips:100/backends:1000", "1M flows": "flows:1048576/vips:100/backends:1000"}
VIPS = "ipv4/tcp/ipip/flows:65536/vips:{}/backends:1000"


def targets_of(rows, tables):
    """(what, row or None, figure, unit, at most)"""
    def cycles(name):
        return rows[name]["cycles"]

    for text, size in FLOWS.items():
        base = f"ipv4/tcp/ipip/{size}"
        yield f"IPv4 TCP, IPIP, {text}", base, cycles(base), "cycles", 100
        yield f"… against l3fwd, {text}", base, rows[base]["ratio"], "×", 1.5
        for what, name, limit in (("GUE against IPIP", f"ipv4/tcp/gue/{size}", 1.15),
                                  ("IPv6 against IPv4", f"ipv6/tcp/ipip/{size}", 1.25),
                                  ("SYN against established", f"ipv4/syn/ipip/{size}", 1.1)):
            yield f"{what}, {text}", name, cycles(name) / cycles(base), "×", limit
    many, one_pool, one = VIPS.format(10000), VIPS.format(10000) + "/pools:1", VIPS.format(1)
    yield "10,000 VIPs against 1", many, cycles(many) / cycles(one), "×", 1.3
    yield "… all of one pool", one_pool, cycles(one_pool) / cycles(one), "×", 1.3
    build = next(b for b in tables if b["name"] == "build_slots")
    yield "slot table, N = 1000, M = 65521, mixed weights", None, build["cpu_time"], "ms", 2
    flip = next(b for b in tables if b["name"].startswith("flip/"))
    yield "publish after one backend changed", None, flip["publish_p50_ns"] / 1e6, "ms", 1


def against_targets(rows, tables):
    for what, name, figure, unit, limit in targets_of(rows, tables):
        row = rows.get(name, {})
        yield {"what": what, "row": name, "cycles": row.get("cycles"), "ratio": row.get("ratio"), "figure": figure,
               "unit": unit, "target": limit, "verdict": "ok" if figure <= limit else "short"}


def shown(value, pattern="{:.2f}"):
    return "" if value is None else pattern.format(value)


def print_targets(lines):
    head = ("what", "cycles", "× l3fwd", "figure", "target", "")
    print("{:<52} {:>7} {:>8} {:>13} {:>13}  {}".format(*head))
    for line in lines:
        print("{:<52} {:>7} {:>8} {:>13} {:>13}  {}".format(
            line["what"], shown(line["cycles"], "{:.1f}"), shown(line["ratio"]),
            f"{line['figure']:.2f} {line['unit']}", f"≤ {line['target']} {line['unit']}", line["verdict"]))


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def markdown(result):
    yield f"# perf/run.sh on {result['cpu']}, TSC at {result['tsc_hz'] / 1e9:.2f} GHz, commit {result['commit']}"
    yield ""
    yield "TSC cycles per packet; what the rows are: [pipeline_bench.cpp](../pipeline_bench.cpp)."
    yield ""
    yield "| what | cycles | × l3fwd | figure | target | |"
    yield "|---|---|---|---|---|---|"
    for t in result["targets"]:
        yield (f"| {t['what']} | {shown(t['cycles'], '{:.1f}')} | {shown(t['ratio'])} | {t['figure']:.2f} {t['unit']} "
               f"| ≤ {t['target']} {t['unit']} | {t['verdict']} |")
    yield ""
    yield "| row | cycles | min … max | × l3fwd |"
    yield "|---|---|---|---|"
    for r in result["rows"]:
        yield f"| {r['name']} | {r['cycles']:.1f} | {r['min']:.1f} … {r['max']:.1f} | {r['ratio']:.2f} |"


def write(directory, result):
    directory.mkdir(exist_ok=True)
    (directory / "pipeline.json").write_text(json.dumps(result, indent=1) + "\n")
    (directory / "pipeline.md").write_text("\n".join(markdown(result)) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("targets", type=pathlib.Path)
    arguments.add_argument("tables", type=pathlib.Path)
    arguments.add_argument("matrix", type=pathlib.Path, nargs="*")
    arguments.add_argument("--write", type=pathlib.Path)
    args = arguments.parse_args()

    measured = json.loads(args.targets.read_text())
    tables = json.loads(args.tables.read_text())["benchmarks"]
    lines = list(against_targets({row["name"]: row for row in measured["rows"]}, tables))
    print_targets(lines)
    if args.write:
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
        rows = [row for file in args.matrix for row in json.loads(file.read_text())["rows"]]
        write(args.write, {"cpu": cpu_model(), "tsc_hz": measured["tsc_hz"], "commit": commit.stdout.strip(),
                           "targets": lines, "rows": rows or measured["rows"]})


if __name__ == "__main__":
    main()
