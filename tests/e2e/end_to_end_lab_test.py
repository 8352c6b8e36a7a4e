#!/usr/bin/python3
"""perf/end_to_end/run.py measures and leaves nothing behind: end_to_end_lab_test.py BUILD_DIR

Only rows that need no further packages. TAP on stdout. Figures must be there; how large they are is nobody's business here.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
NR_HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
ROWS = [("memif", "testpmd, macswap"), ("memif", "Guideway, ipip"), ("udp", "nftables, ingress and fwd")]


def traces():
    """What the lab makes on the machine."""
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.split()
    return {*(name for name in namespaces if name.startswith("gwe")),
            *map(str, pathlib.Path(tempfile.gettempdir()).glob("guideway-lab-*"))}


def run_lab(build, results):
    return subprocess.run([ROOT / "perf/end_to_end/run.py", "--no-build", "--quick", "--build", build,
                           "--json", results, "--kinds", "memif,udp",
                           "--rows", "testpmd|Guideway, ipip|ingress and fwd"],
                          capture_output=True, text=True)


def main():
    before, hugepages = traces(), NR_HUGEPAGES.read_text()
    with tempfile.TemporaryDirectory() as directory:
        results = pathlib.Path(directory) / "results.json"
        lab = run_lab(sys.argv[1], results)
        if "no room for" in lab.stderr:
            print(f"1..0 # SKIP {lab.stderr.strip()}")
            return
        rows = json.loads(results.read_text())["rows"] if results.exists() else []
    cases = [("the lab ends with 0", lab.returncode == 0)]
    for kind, name in ROWS:
        measured = [r for row in rows if (row["kind"], row["name"]) == (kind, name) for r in row["repetitions"]]
        cases.append((f"{kind}: packets came through {name}", any(r.get("throughput_pps", 0) > 0 for r in measured)))
    cases += [("no namespace and no file is left", traces() <= before),
              ("hugepages are as before", NR_HUGEPAGES.read_text() == hugepages)]
    print(f"1..{len(cases)}")
    for number, (name, holds) in enumerate(cases, 1):
        print(f"{'ok' if holds else 'not ok'} {number} - {name}")
    for line in (lab.stdout + lab.stderr).splitlines():
        print("#", line)


if __name__ == "__main__":
    main()
