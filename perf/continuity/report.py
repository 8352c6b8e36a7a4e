#!/usr/bin/python3
"""Runs perf/continuity_sim over all scenarios, and shows what broke by each scheme.

Usage: report.py CONTINUITY_SIM [--quick] [--seed N] [--schedules N] [--write DIR]
--quick: fewer schedules and flows. --seed: of the first schedule of each scenario, 1 if not given. --schedules: how many
of each kind of random ones, 2400 if not given, 100 with --quick. --write: also DIR/continuity.json, DIR/continuity.md and DIR/continuity.svg.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess

SCHEMES = {"guideway": "Guideway, IPIP", "guideway_second_chance": "Guideway, GUE with second chance",
           "maglev": "Maglev alone", "full_tracking": "full tracking", "two_choice": "two choices, as GLB"}
WITH_HOPS = "guideway_second_chance"
SCENARIOS = {"nothing": "nothing happens", "drain_one": "1 of 100 backends is drained",
             "rolling": "100 backends are drained for 4 s each, one after the other",
             "lose_lb": "1 of 100 is drained, then 1 of 2 LBs is lost, and replaced while slots are unsettled",
             "changes": "random changes and failures of backends, restarts of both planes",
             "everything": "… and LBs are lost and return, at any time"}
ONE_OF_A_KIND = ("nothing", "drain_one", "rolling", "lose_lb")
CAUSES = {
    "late": "the LB met the flow for the first time when its backend had left the slot so long ago that it is no hop any "
            "more",
    "mistaken": "the LB had met the flow before, and remembered another backend; second chance led it to the right one "
                "until the slot settled",
    "crowded": "the slot had more than four previous owners, and the flow's was not among those that are kept",
    "era_cut": "the pool had more than 16 eras in the window, and the flow's backend owned the slot in one that was cut",
}


def run(program, scenario, flows, seed, schedules):
    command = [program, scenario, f"--seed={seed}", f"--schedules={schedules}", f"--flows={flows}"]
    if scenario in ONE_OF_A_KIND:
        command.append("--minutes")
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


AT_A_TIME = 25  # schedules, by one process


def run_all(program, seed, schedules, quick):
    flows, some_flows = (100_000, 5000) if quick else (1_000_000, 20_000)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        parts = {scenario: [pool.submit(run, program, scenario, flows, seed, 1)] if scenario in ONE_OF_A_KIND else
                           [pool.submit(run, program, scenario, some_flows, seed + first,
                                        min(AT_A_TIME, schedules - first))
                            for first in range(0, schedules, AT_A_TIME)]
                 for scenario in SCENARIOS}
        return {scenario: [row for part in of_it for row in part.result()] for scenario, of_it in parts.items()}


def total(rows, *path):
    def value(row):
        for key in path:
            row = row[key]
        return row
    return sum(map(value, rows))


def peaks(rows, scheme):
    """Of each schedule, in percent of live flows."""
    return [100 * row["peak"].get(scheme, 0) / row["flows"] for row in rows]


def line_of(scenario, scheme, rows):
    live = total(rows, "flows")
    of_schedules = peaks(rows, scheme)
    return {"scenario": scenario, "scheme": scheme, "schedules": len(rows), "flows": rows[0]["flows"],
            "broken": total(rows, "broken", scheme), "broken_per_million": 1e6 * total(rows, "broken", scheme) / live,
            "inherent_per_million": 1e6 * total(rows, "inherent", scheme) / live,
            "peak_percent": statistics.median(of_schedules), "peak_percent_max": max(of_schedules),
            "bytes_per_flow": rows[0]["bytes_per_flow"], "detour_percent": 100 * total(rows, "detours", scheme) / total(rows, "packets"),
            "hops_percent": 100 * total(rows, "with_hops") / total(rows, "packets") * (scheme == WITH_HOPS),
            "table_bytes_per_million": round(1e4 * max(of_schedules) * rows[0]["bytes_per_flow"])}


def causes_of(rows):
    for cause, why in CAUSES.items():
        hit = [row for row in rows if row["causes"][cause]]
        yield {"cause": cause, "why": why, "broken": total(hit, "causes", cause), "schedules": len(hit),
               "seeds": [row["seed"] for row in hit[:5]]}


def checks_of(results):
    def broken(scenario, scheme):
        return total(results[scenario], "broken", scheme)

    def check(what, figure, unit, limit):
        return {"what": what, "figure": round(figure, 2), "unit": unit, "target": f"≤ {limit} {unit}",
                "verdict": "ok" if figure <= limit else "short"}

    chance = WITH_HOPS
    count = len(results["changes"])
    yield check("remembered at most, 1 of 100 backends drained", peaks(results["drain_one"], chance)[0], "%", 3)
    yield check("remembered when nothing happens", results["nothing"][0]["peak"][chance], "flows", 0)
    yield check(f"broken by IPIP, {count} schedules without loss of an LB", broken("changes", "guideway"), "flows", 0)
    yield check(f"broken by GUE with second chance, {count} schedules without loss of an LB",
                broken("changes", chance), "flows", 0)
    yield check("broken by GUE with second chance, 1 of 100 drained, an LB lost while slots are unsettled",
                broken("lose_lb", chance), "flows", 0)
    yield check(f"broken by GUE with second chance, {len(results['everything'])} schedules with loss of LBs",
                broken("everything", chance), "flows", 0)
    yield check("… of them on drained backends", total(results["everything"], "broken_drained"), "flows", 0)


def summary_of(results, seed):
    lines = [line_of(scenario, scheme, rows) for scenario, rows in results.items() for scheme in SCHEMES]
    return {"seed": seed, "checks": list(checks_of(results)), "causes": list(causes_of(results["everything"])),
            "lines": lines}


def markdown(summary):
    yield f"# perf/run.sh --continuity, seed {summary['seed']}, commit {summary['commit']}"
    yield ""
    yield "What the shipped stages and tables break in virtual time; how it is counted: [simulation.h](../continuity/simulation.h)."
    yield ""
    yield "![broken and remembered flows](continuity.svg)"
    yield ""
    yield "| what | figure | target | |"
    yield "|---|---|---|---|"
    for c in summary["checks"]:
        yield f"| {c['what']} | {c['figure']:g} {c['unit']} | {c['target']} | {c['verdict']} |"
    yield from markdown_lines(summary["lines"])
    yield from markdown_causes(summary["causes"])


def markdown_lines(lines):
    yield ""
    yield "Broken: connections whose backend lives, per million live flows and schedule. Inherent: their backend died or was"
    yield "removed. Remembered: by all LBs at once, in percent of live flows, the median schedule and the worst; memory is"
    yield f"what a shipped table for that many takes, for a million live flows: {lines[0]['bytes_per_flow']:.1f} bytes each. Hops: packets"
    yield "with a hop list. Detours: packets that a backend passed on. Two choices know no weights, and all their packets have a hop."
    for scenario, title in SCENARIOS.items():
        own = [line for line in lines if line["scenario"] == scenario]
        schedules = f"{own[0]['schedules']} schedules" if own[0]["schedules"] > 1 else "1 schedule"
        yield ""
        yield f"**{title}** ({schedules}, {own[0]['flows']:,} flows)"
        yield ""
        yield "| scheme | broken | inherent | remembered, median … worst | memory | hops | detours |"
        yield "|---|---|---|---|---|---|---|"
        for line in own:
            yield (f"| {SCHEMES[line['scheme']]} | {line['broken_per_million']:.1f} | {line['inherent_per_million']:.0f} "
                   f"| {line['peak_percent']:.2f} … {line['peak_percent_max']:.2f} % "
                   f"| {line['table_bytes_per_million'] / 1e6:.2f} MB | {line['hops_percent']:.2f} % "
                   f"| {line['detour_percent']:.2f} % |")


def markdown_causes(causes):
    yield ""
    yield f"What second chance did not save under “{SCENARIOS['everything']}”; `continuity_sim everything --events --seed N`"
    yield "shows such a schedule:"
    yield ""
    yield "| cause | flows | schedules | seeds, the first ones |"
    yield "|---|---|---|---|"
    for c in causes:
        yield f"| {c['why']} | {c['broken']} | {c['schedules']} | {', '.join(map(str, c['seeds']))} |"


def write(directory, summary, results):
    import plot  # matplotlib is in the package group perf, and nothing else here needs it
    directory.mkdir(exist_ok=True)
    (directory / "continuity.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    (directory / "continuity.md").write_text("\n".join(markdown(summary)) + "\n")
    plot.draw(summary["lines"], results, directory / "continuity.svg")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--schedules", type=int)
    arguments.add_argument("--write", type=pathlib.Path)
    args = arguments.parse_args()

    schedules = args.schedules or (100 if args.quick else 2400)
    results = run_all(args.program, args.seed, schedules, args.quick)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    summary = {"commit": commit.stdout.strip(), **summary_of(results, args.seed)}
    print("\n".join(markdown_lines(summary["lines"])), "\n")
    print("\n".join(markdown_causes(summary["causes"])), "\n")
    print(f"seed {args.seed}")
    for c in summary["checks"]:
        print(f"{c['verdict']:<5}  {c['what']}: {c['figure']:g} {c['unit']}, target {c['target']}")
    if args.write:
        write(args.write, summary, results)


if __name__ == "__main__":
    main()
