#!/usr/bin/python3
"""What a change may break, by perf/continuity_sim over a few schedules; TAP, one case per promise of docs/continuity.md.

Usage: simulated_test.py CONTINUITY_SIM    (perf/run.sh --continuity is the whole of it)
"""
import json
import subprocess
import sys

# The first seed and how many. 864 once broke: a restarted control plane remembered an owner of long ago. The ones of
# `everything` broke flows of drained backends that gave way to others in the history of their slots.
SCENARIOS = {"nothing": [(1, 1)], "drain_one": [(1, 1)], "rolling": [(1, 1)], "lose_lb": [(1, 3)],
             "changes": [(1, 20), (864, 1)], "everything": [(6, 2), (16, 1), (55, 1), (62, 1)]}

MOVED = ("guideway", "guideway_second_chance")


def simulate(program, scenario, seed, schedules):
    command = [program, scenario, f"--seed={seed}", f"--schedules={schedules}"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def broken(rows, scheme):
    """The seeds of schedules in which something broke, and how much."""
    return {row["seed"]: row["broken"][scheme] for row in rows if row["broken"][scheme]}


def broken_drained(rows):
    return {row["seed"]: row["broken_drained"] for row in rows if row["broken_drained"]}


def cases(results):
    """(title, what contradicts it)"""
    for scenario in ("nothing", "drain_one", "rolling", "changes"):
        for scheme in ("guideway", "guideway_second_chance"):
            yield f"{scenario}: {scheme} breaks nothing", broken(results[scenario], scheme)
    yield "lose_lb: guideway_second_chance breaks nothing", broken(results["lose_lb"], "guideway_second_chance")
    yield "everything: second chance finds the flows of drained backends", broken_drained(results["everything"])
    yield ("nothing: no flow is remembered",
           [row["peak"] for row in results["nothing"] if any(row["peak"][kind] for kind in MOVED)])
    yield ("drain_one: at most 3 % of the flows are remembered",
           [row["peak"] for row in results["drain_one"]
            if any(row["peak"][kind] > 0.03 * row["flows"] for kind in MOVED)])
    yield from controls(results)


def controls(results):
    """Without these the others say nothing."""
    for scenario, scheme in (("drain_one", "maglev"), ("changes", "maglev"), ("lose_lb", "guideway"),
                             ("everything", "guideway")):
        yield (f"control: {scenario} breaks flows of {scheme}",
               [row["seed"] for row in results[scenario] if not row["broken"][scheme]])
    yield ("control: lose_lb has packets that go on to the next hop",
           [row["seed"] for row in results["lose_lb"] if not row["detours"]["guideway_second_chance"]])


def main():
    results = {scenario: [row for some in seeds for row in simulate(sys.argv[1], scenario, *some)]
               for scenario, seeds in SCENARIOS.items()}
    failures = 0
    for number, (title, contradiction) in enumerate(cases(results), 1):
        if contradiction:
            failures += 1
            print(f"# {contradiction}")
        print(f"{'not ok' if contradiction else 'ok'} {number} - {title}")
    print(f"1..{number}")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
