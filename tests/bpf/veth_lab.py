"""What the tests in network namespaces share: commands, sockets in another namespace, and TAP."""
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000


def sh(command, check=True):
    return subprocess.run(command, shell=True, check=check, capture_output=True, text=True)


class InNamespace:
    """Sockets and files that are opened in here belong to the namespace."""

    def __init__(self, name):
        self.name = name
        self.libc = ctypes.CDLL(None, use_errno=True)

    def enter(self, path):
        there = os.open(path, os.O_RDONLY)
        if self.libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(there)

    def __enter__(self):
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.enter(f"/run/netns/{self.name}")

    def __exit__(self, *_):
        self.libc.setns(self.before, CLONE_NEWNET)
        os.close(self.before)


class Tap:
    def __init__(self):
        self.count = 0

    def check(self, name, good, details=""):
        self.count += 1
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)
        if not good:
            for line in str(details).splitlines():
                print(f"# {line}")

    def says(self, name, result, code, text):
        """Of a command that has ended."""
        said = result.stdout + result.stderr
        self.check(name, result.returncode == code and text in said, f"exit code {result.returncode}: {said}")

    def close(self):
        print(f"1..{self.count}")
