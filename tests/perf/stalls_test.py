#!/usr/bin/python3
"""No load on a packet's way waits for narrower stores before it; TAP.

Usage: stalls_test.py DATAPLANE    (the program guideway-dataplane)

A load that takes its bytes from a store still under way gets them at once if that store has them all. If it needs two
stores, or reaches beyond one, it waits until they are in the cache: a dozen cycles that no instruction count shows
(perf/budget.md). Compilers make such loads of harmless code: two halves put into a structure, and read as one.

Looks for them in the machine code of the functions that every packet goes through, one instruction after the other:
addresses are the same if their registers are and none was written meanwhile. What comes by another name, or over a
jump back, it does not see.
"""
import re
import subprocess
import sys

# Every packet goes through these; what they call for some packets only may wait.
HOT = ("DpdkPort::receive", "DpdkPort::transmit", "DpdkPort::release", "parse", "classify", "select", "encap",
       "FlowTable::insert", "FlowTable::put", "FlowTable::erase", "Worker::poll", "Worker::poll_network",
       "Worker::process_ready", "Worker::sort_by_end", "Worker::count_sent", "Worker::send_run",
       "Worker::forward", "Worker::end_batch")
WINDOW = 60  # instructions, after which a store has long arrived

STALLS = (("two halves read as one", 1, """
    mov    %rax,0x80(%rsp)
    mov    %rsi,0x88(%rsp)
    movdqa 0x80(%rsp),%xmm0"""),
          ("a byte changed in a word", 1, """
    mov    %rax,0x10(%rdi)
    movb   $0x0,0x12(%rdi)
    mov    0x10(%rdi),%rcx"""),
          ("beyond a store", 1, """
    mov    %eax,-0x8(%rsp)
    mov    -0x8(%rsp),%rax"""),
          ("an operand of the sum", 1, """
    mov    %ax,0x2(%rsp)
    add    (%rsp),%ecx"""),
          ("the same again", 0, """
    mov    %rax,0x80(%rsp)
    mov    0x80(%rsp),%rcx"""),
          ("a part of it", 0, """
    movups %xmm0,0x80(%rsp)
    mov    0x88(%rsp),%rcx"""),
          ("written over by a whole one", 0, """
    movb   $0x0,0x12(%rdi)
    mov    %rax,0x10(%rdi)
    mov    0x10(%rdi),%rcx"""),
          ("another address", 0, """
    mov    %ax,0x2(%rsp)
    lea    0x40(%rsp),%rbx
    mov    0x8(%rsp),%rax"""),
          ("another base by then", 0, """
    mov    %ax,0x2(%rdi)
    add    $0x40,%rdi
    mov    (%rdi),%rax"""))

SUFFIX_BYTES = {"b": 1, "w": 2, "l": 4, "q": 8}
BYTES = {"movq": 8, "movlps": 8, "movhps": 8, "movlpd": 8, "movhpd": 8, "movsd": 8, "movd": 4, "movss": 4, "movslq": 4}
NO_ACCESS = ("lea", "nop", "prefetch")
MEMORY = re.compile(r"(-?0x[0-9a-f]+)?\((%\w+)(?:,(%\w+),(\d))?\)$")
INSTRUCTION = re.compile(r"\s+(?:[0-9a-f]+:\s+)?([a-z]\w*)(?:\s+(\S.*))?$")
FUNCTION = re.compile(r"[0-9a-f]+ <guideway::([\w:]+)\(.*>:$")


def whole_register(name):
    """The same for all that are a part of one: ax for %rax, %eax, %ax, %al and %ah."""
    numbered = re.match(r"%r\d+|%xmm\d+", name)
    if numbered:
        return numbered[0]
    letters = re.sub("^%[re]?", "", name)
    return letters[0] + "x" if re.fullmatch("[abcd][lh]", letters) else letters[:2]


def register_bytes(name):
    if name.startswith("%xmm"):
        return 16
    if re.fullmatch(r"%r(\d+|[a-z]+)", name):
        return 8
    if re.fullmatch(r"%r\d+d|%e..", name):
        return 4
    return 2 if re.fullmatch(r"%r\d+w|%.[xip]", name) else 1


def operands_of(text):
    return [operand.strip() for operand in re.split(r",(?![^(]*\))", text.split("#")[0].strip())] if text else []


def access_bytes(name, operands):
    extended = re.fullmatch(r"mov[sz]([bw])[wlq]", name)
    if extended:
        return SUFFIX_BYTES[extended[1]]
    registers = [operand for operand in operands if operand.startswith("%")]
    if name in BYTES and (name != "movq" or registers):
        return BYTES[name]
    return register_bytes(registers[-1]) if registers else SUFFIX_BYTES.get(name[-1], 0)


def stalls_in(listing):
    """The instructions that wait, each with the stores that it waits for."""
    stores = []  # (line, address, first byte, bytes, text)
    found = []
    for line, (name, operands) in enumerate(listing):
        text = f"{name} {','.join(operands)}"
        if name.startswith("call"):
            stores = []
        stores = [store for store in stores if line - store[0] < WINDOW]
        memory = next((match for operand in operands if (match := MEMORY.match(operand))), None)
        if memory and not name.startswith(NO_ACCESS):
            address, first = memory.groups()[1:], int(memory[1] or "0", 16)
            length = access_bytes(name, operands)
            is_last = MEMORY.match(operands[-1]) is not None
            writes = is_last and not name.startswith(("cmp", "test", "push", "mul", "div"))
            reads = not is_last or not name.startswith(("mov", "set", "pextr"))
            before = [s for s in stores if s[1] == address and s[2] < first + length and first < s[2] + s[3]]
            if reads and before and not (before[-1][2] <= first and first + length <= before[-1][2] + before[-1][3]):
                found.append((text, [store[4] for store in before]))
            if writes:
                stores = [s for s in stores if s[1] != address or s[2] < first or s[2] + s[3] > first + length]
                stores.append((line, address, first, length, text))
        if operands and operands[-1].startswith("%") and not name.startswith(("cmp", "test", "push")):
            written = whole_register(operands[-1])
            stores = [s for s in stores if written not in [whole_register(r) for r in s[1][:2] if r]]
    return found


def parse(lines):
    matches = (INSTRUCTION.match(line) for line in lines)
    return [(match[1], operands_of(match[2])) for match in matches if match]


def functions_of(program):
    """By name; overloads and clones in one."""
    text = subprocess.run(["objdump", "--disassemble", "--no-show-raw-insn", "--demangle", program],
                          capture_output=True, text=True, check=True).stdout
    functions = {}
    for block in text.split("\n\n"):
        head, *lines = block.strip("\n").split("\n")
        named = FUNCTION.match(head)
        if named and "[clone .cold]" not in head:
            functions.setdefault(named[1], []).extend(parse(lines))
    return functions


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    functions = functions_of(sys.argv[1])
    results = [(f"the search, {what}", [] if len(stalls_in(parse(listing.split("\n")))) == count else ["it errs"])
               for what, count, listing in STALLS]
    for name in HOT:
        complaints = [f"{load} waits for {'; '.join(stores)}" for load, stores in stalls_in(functions.get(name, []))]
        results.append((name, complaints if functions.get(name) else ["the program has no such function"]))
    print(f"1..{len(results)}")
    for number, (what, complaints) in enumerate(results, 1):
        print(f"{'not ok' if complaints else 'ok'} {number} - {what}")
        for complaint in complaints:
            print(f"# {complaint}")
    sys.exit(any(complaints for _, complaints in results))


if __name__ == "__main__":
    main()
