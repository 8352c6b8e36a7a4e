#!/usr/bin/python3
"""clang-tidy over the sources of the programs; TAP, one case per file.

Usage: clang_tidy.py BUILD_DIR    (built before: it has the compile commands, and the headers that each file includes)

All files take minutes. So what passed leaves a stamp in BUILD_DIR/clang_tidy, named by a hash of all that the verdict
depends on, and is not looked at again until something of that changes.
"""
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIDY = "clang-tidy-14"
SOURCES = ["common/*.cpp", "dataplane/*.cpp", "controlplane/*.cpp", "bpf/*.cpp"]


def output_of(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@functools.cache
def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Build:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()
        self.stamps = self.directory / "clang_tidy"
        self.stamps.mkdir(exist_ok=True)
        self.tool = output_of(TIDY, "--version") + output_of(TIDY, "--dump-config")
        commands = json.loads((self.directory / "compile_commands.json").read_text())
        self.commands = {(self.directory / each["file"]).resolve(): each for each in commands}
        self.included = self.read_included()

    def read_included(self):
        """All files that went into each object, as ninja noted when it compiled."""
        included = {}
        for line in output_of("ninja", "-C", self.directory, "-t", "deps").splitlines():
            if opening := re.match(r"(\S+): #deps", line):
                files = included.setdefault(opening[1], [])
            elif line.startswith("    "):
                files.append(self.directory / line.strip())
        return included

    def stamp_of(self, source):
        command = self.commands[source]
        key = hashlib.sha256((self.tool + command["command"]).encode())
        for file in self.included[command["output"]]:
            key.update(f"{os.path.normpath(file)} {digest_of(file)}".encode())
        return self.stamps / key.hexdigest()


def complaint_about(build, source):
    """What clang-tidy has to say; empty when the file is clean."""
    stamp = build.stamp_of(source)
    if stamp.exists():
        return ""
    result = subprocess.run([TIDY, "-p", build.directory, "--quiet", "--extra-arg=-Wno-unknown-warning-option", source],
                            cwd=ROOT, capture_output=True, text=True)
    if result.returncode == 0:
        stamp.touch()
        return ""
    return result.stdout or result.stderr


def main():
    build = Build(sys.argv[1])
    sources = [ROOT / name for name in output_of("git", "ls-files", *SOURCES).split()]
    current = {build.stamp_of(source) for source in sources}
    for stamp in set(build.stamps.iterdir()) - current:
        stamp.unlink()
    failures = 0
    print(f"1..{len(sources)}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = pool.map(functools.partial(complaint_about, build), sources)
        for number, (source, complaint) in enumerate(zip(sources, complaints), 1):
            failures += bool(complaint)
            print("".join(f"# {line}\n" for line in complaint.splitlines()), end="")
            print(f"{'not ok' if complaint else 'ok'} {number} - clang-tidy {source.relative_to(ROOT)}", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
