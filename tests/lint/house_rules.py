#!/usr/bin/python3
"""What holds everywhere in the house; TAP, one case per rule.

Usage: house_rules.py    (in a git checkout; looks at tracked files only)
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
sys.dont_write_bytecode = True
import generate_counters  # noqa: E402
import generate_packet_cases  # noqa: E402

# Who may include whom: the first pattern that matches a file says which of our headers it may include. ARCHITECTURE.md
# says why.
MAY_INCLUDE = [
    (r"include/guideway/.*", r"guideway/.*"),
    (r"common/.*", r"guideway/.*|common/.*"),
    (r"dataplane/flows/.*", r"guideway/.*|common/(shm/\w+|descriptor)\.h|dataplane/flows/\w+\.h"),
    (r"dataplane/stages/.*", r"guideway/.*|dataplane/batch\.h|dataplane/flows/(flow_table|peer_flows)\.h|dataplane/stages/\w+\.h"),
    (r"dataplane/announce/.*", r"guideway/.*|common/.*|dataplane/announce/.*"),
    (r"dataplane/.*", r"guideway/.*|common/.*|dataplane/.*|bpf/(steer_\w+|attached_program)\.h"),
    (r"controlplane/.*", r"guideway/.*|common/.*|controlplane/.*"),
    (r"bpf/.*\.bpf\.[ch]", r"guideway/abi/.*|bpf/\w+\.bpf\.h"),
    (r"bpf/.*", r"guideway/.*|common/(command_line|descriptor)\.h|common/net/.*|bpf/.*"),
    (r"tests/.*", r"(guideway|common|dataplane|controlplane|bpf)/.*|tests/.*"),
    (r"perf/.*", r"(guideway|common|dataplane|controlplane|bpf)/.*|tests/.*|perf/.*"),
]
# The leaf is for everybody: nothing in it allocates, does I/O or knows DPDK.
LEAF_SYSTEM_HEADERS = set("""algorithm array atomic bit compare concepts cstddef cstdint cstring immintrin.h span
    string_view type_traits xxhash.h""".split())
# The packet path and the speaker run without DPDK, so that tests can run them.
KNOWS_NO_DPDK = re.compile(r"dataplane/(stages/.*|flows/.*|announce/.*|batch\.h|port\.h|worker\.(h|cpp))|common/.*|controlplane/.*|bpf/.*")

# Files and functions that are longer than we like. The numbers may only go down; a new entry needs a reason.
FILE_LINES_MAX = 500
TEST_LINES_MAX = 800  # tables of cases grow
LONG_FILES = {}
FUNCTION_LINES_MAX = 60
LONG_FUNCTIONS = {}

MACHINE_PATH = re.compile(r"/(work|home|Users|mnt)/\w|/root/\w|/tmp/bash_jobs")


def tracked(*patterns):
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", *patterns], check=True, capture_output=True, text=True)
    return [name for name in out.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


SOURCES = tracked("*.h", "*.cpp", "*.c", "*.def")


def includes(name, kind):
    opening, closing = kind
    return re.findall(rf"^\s*#\s*include {opening}([^{closing}]+){closing}", text_of(name), re.M)


def include_rules():
    for name in SOURCES:
        allowed = next((may for files, may in MAY_INCLUDE if re.fullmatch(files, name)), None)
        if allowed is None:
            yield f"{name}: no rule says what it may include"
            continue
        for header in includes(name, '""'):
            if not re.fullmatch(allowed, header) and not header.endswith(".skel.h"):
                yield f"{name}: must not include {header}"


def leaf_headers():
    for name in SOURCES:
        if not name.startswith("include/guideway/") or name.startswith("include/guideway/abi/"):
            continue
        for header in includes(name, "<>"):
            if header not in LEAF_SYSTEM_HEADERS:
                yield f"{name}: the leaf must not include <{header}>"


def no_dpdk():
    for name in SOURCES:
        if KNOWS_NO_DPDK.fullmatch(name):
            for header in includes(name, "<>"):
                if header.startswith("rte_"):
                    yield f"{name}: must not know DPDK, but includes <{header}>"


def counters_documented():
    if text_of("docs/counters.md") != generate_counters.generate():
        yield "docs/counters.md is out of date: run docs/generate_counters.py > docs/counters.md"


def packet_cases_documented():
    try:
        sections = generate_packet_cases.read()
    except generate_packet_cases.PolicyError as error:
        yield str(error)
        return
    yield from (f"docs/packet_policy.md: {gap}" for gap in generate_packet_cases.gaps(sections))
    if text_of("docs/packet_cases.md") != generate_packet_cases.generate(sections):
        yield "docs/packet_cases.md is out of date: run docs/generate_packet_cases.py > docs/packet_cases.md"


def anchors(name):
    """The anchors of a file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text_of(name), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_resolve():
    for name in tracked("*.md"):
        text = re.sub(r"^```.*?^```", "", text_of(name), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if re.match(r"\w+:", target):
                continue
            file = (ROOT / name).parent / path if path else ROOT / name
            if not file.exists():
                yield f"{name}: there is no {target}"
            elif anchor and file.suffix == ".md" and anchor not in anchors(file.relative_to(ROOT)):
                yield f"{name}: {path} has no heading for #{anchor}"


def clang_format():
    result = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *(n for n in SOURCES if not n.endswith(".def"))],
                            cwd=ROOT, capture_output=True, text=True)
    for name in sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", result.stderr, re.M))):
        yield f"{name}: run clang-format-14 -i {name}"
    if result.returncode != 0 and not result.stderr:
        yield "clang-format-14 failed"


def no_machine_paths():
    for name in tracked():
        if name == "tests/lint/house_rules.py":
            continue
        try:
            text = text_of(name)
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(line):
                yield f"{name}:{number}: a path of somebody's machine: {line.strip()}"


def file_lengths():
    for name in SOURCES:
        lines = len(text_of(name).splitlines())
        limit = LONG_FILES.get(name, TEST_LINES_MAX if name.startswith("tests/") else FILE_LINES_MAX)
        if lines > limit:
            yield f"{name}: {lines} lines, at most {limit}: split it by noun"


def function_lengths():
    """By indentation, which clang-format makes reliable: from a line that ends with ") {" or alike to its "}"."""
    opening = re.compile(r"^( *)(?!namespace|class|struct|enum|union|extern|if|for|while|switch|else|do\b)[\w~\[].*\).*\{$")
    for name in SOURCES:
        if name.startswith("tests/"):
            continue
        lines = text_of(name).splitlines()
        for start, line in enumerate(lines):
            match = opening.match(line)
            if not match or len(match[1]) > 2:
                continue
            end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith(match[1] + "}")), start)
            function = re.search(r"([\w:~]+)\(", line)
            key = f"{name} {function[1] if function else '?'}"
            limit = LONG_FUNCTIONS.get(key, FUNCTION_LINES_MAX)
            if end - start - 1 > limit:
                yield f"{key}: {end - start - 1} lines, at most {limit}: split it"


RULES = [
    ("rooms include only what they may", include_rules),
    ("the leaf includes no heap, I/O or DPDK", leaf_headers),
    ("the packet path, common and the control plane know no DPDK", no_dpdk),
    ("docs/counters.md is current", counters_documented),
    ("each rule of the packet policy has a golden case, docs/packet_cases.md is current", packet_cases_documented),
    ("relative links in documents resolve", links_resolve),
    ("sources are formatted", clang_format),
    ("no path of a developer's machine", no_machine_paths),
    ("files are short", file_lengths),
    ("functions are short", function_lengths),
]


def main():
    failures = 0
    print(f"1..{len(RULES)}")
    for number, (title, rule) in enumerate(RULES, 1):
        complaints = list(rule())
        for complaint in complaints:
            print(f"# {complaint}")
        failures += bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {number} - {title}", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
