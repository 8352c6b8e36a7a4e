#!/usr/bin/python3
"""Prints docs/packet_cases.md from docs/packet_policy.md and the golden cases of tests/packet/cases:

    docs/generate_packet_cases.py > docs/packet_cases.md

A case says which rules of the policy it shows, in lines "# Policy: 4, overlapping": the number of the section, and
words of the rule, enough to find it. A rule is a row of a table (the words are from its first cell), an item of a list,
or a sentence. Tests in suite lint check that the file is current, that each row and item has a case, and that each
counter a rule names is raised by a case of it.
"""
import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = "tests/packet/cases"
SENTENCE_END = re.compile(r"(?<=\.)\s+(?=[A-Z0-9`…\"*])")
COUNTER = re.compile(r"`((?:drop|answered|tx|quic|icmp)_\w+)`")
ENDS = ("forward", "answer", "kernel", "drop", "waits", "unchanged", "refused")

HEADER = """# Golden cases of the packet policy

Made from [packet_policy.md](packet_policy.md) and [tests/packet/cases](../tests/packet/cases) by
`docs/generate_packet_cases.py`. Each case is a file of packets as text, with what becomes of them;
[tests/packet/README.md](../tests/packet/README.md) describes the text, `tests/run.sh packet` runs it.
"""


class PolicyError(Exception):
    """A case names a rule that the policy does not have, or not only once."""


@dataclasses.dataclass
class Rule:
    text: str  # as in the policy
    key: str  # what a case's words are looked for in
    needs_case: bool
    cases: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Section:
    number: int
    title: str
    rules: list


@dataclasses.dataclass
class Case:
    name: str
    sentence: str
    policy: list  # (section number, words)
    ends: list
    counters: set


def plain(text):
    """Without Markdown and line breaks."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\s+", " ", re.sub(r"[`*]", "", text)).strip()


def rules_of_block(block):
    """A block is what stands between empty lines: a table, a list, or prose."""
    if block.startswith("|"):
        for row in block.splitlines()[2:]:
            cells = [cell.strip() for cell in row.strip("|").split(" | ")]
            says_end = cells[-1].strip("| ") != ""  # else it only refers to another section
            yield Rule(" → ".join(cell.strip("| ") for cell in cells), plain(cells[0]).lstrip("… "), says_end)
    elif block.startswith("- "):
        for item in re.split(r"^- ", block, flags=re.M)[1:]:
            yield Rule(re.sub(r"\s+", " ", item).strip(), plain(item), True)
    elif not block.startswith("    "):
        for sentence in SENTENCE_END.split(re.sub(r"\s+", " ", block)):
            yield Rule(sentence, plain(sentence), False)


def read_policy():
    text = (ROOT / "docs/packet_policy.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (\d+)\. (.*)\n", text, flags=re.M)[1:]
    sections = []
    for number, title, body in zip(parts[::3], parts[1::3], parts[2::3]):
        blocks = re.split(r"\n\n+", body.strip())
        sections.append(Section(int(number), title, [rule for block in blocks for rule in rules_of_block(block)]))
    return sections


def ends_of(packets):
    """Each end once, in the order that the packets have them."""
    ends = {}
    for line in packets.splitlines():
        words = line.split("#")[0].split()
        if words and words[0] == "also":
            words = words[1:]
        if words and words[0] in ENDS and not line.startswith(" "):
            ends[" ".join(words[:2]) if words[0] == "drop" else words[0]] = True
    return list(ends)


def read_case(path):
    text = path.read_text(encoding="utf-8")
    comments = re.match(r"(?:#.*\n)+", text)
    if comments is None:
        raise PolicyError(f"{path.name} does not begin with a comment that says what it shows")
    lines = [line[2:] for line in comments[0].splitlines()]
    policy = [re.fullmatch(r"Policy: (\d+), (.*)", line) for line in lines if line.startswith("Policy: ")]
    if not policy or None in policy:
        raise PolicyError(f"{path.name} says no rule of the policy that it shows (\"# Policy: SECTION, WORDS\")")
    sentence = SENTENCE_END.split(" ".join(line for line in lines if not line.startswith("Policy: ")))[0]
    packets, _, counters = text[text.index("[packets]"):].partition("[counters]")
    return Case(path.stem, sentence, [(int(match[1]), match[2]) for match in policy], ends_of(packets),
                {line.split()[0] for line in counters.splitlines() if line.strip()})


def find_rule(sections, number, words, case):
    rules = next((section.rules for section in sections if section.number == number), [])
    words = plain(words)
    for fits in (str.__eq__, str.startswith, str.__contains__):
        found = [rule for rule in rules if fits(rule.key, words)]
        if len(found) == 1:
            return found[0]
    raise PolicyError(f"{case.name}.pkt: section {number} of the policy has not one rule \"{words}\"")


def read():
    """The policy's sections, their rules with the cases that show them. Raises PolicyError."""
    sections = read_policy()
    for path in sorted((ROOT / CASES).glob("*.pkt")):
        case = read_case(path)
        for number, words in case.policy:
            find_rule(sections, number, words, case).cases.append(case)
    return sections


def gaps(sections):
    """What the policy says and no case shows, a line for each."""
    for section in sections:
        for rule in section.rules:
            if rule.needs_case and not rule.cases:
                yield f"section {section.number}, no case shows: {rule.text}"
            raised = set().union(*(case.counters for case in rule.cases))
            for counter in sorted(set(COUNTER.findall(rule.text)) - raised if rule.cases else ()):
                yield f"section {section.number}, no case with {counter} shows: {rule.text}"


def cell(text):
    return text.replace("|", "\\|")


def generate(sections=None):
    text = [HEADER]
    for section in sections or read():
        text.append(f"## {section.number}. {section.title}\n")
        for rule in section.rules:
            if not rule.cases:
                continue
            text += [f"> {rule.text}\n", "| case | shows | ends |", "|---|---|---|"]
            text += [f"| [{case.name}](../{CASES}/{case.name}.pkt) | {cell(case.sentence)} | {', '.join(case.ends)} |"
                     for case in rule.cases]
            text.append("")
    return "\n".join(text).rstrip("\n") + "\n"


if __name__ == "__main__":
    print(generate(), end="")
