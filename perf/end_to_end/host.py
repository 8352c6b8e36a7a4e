"""This machine as the lab uses it: cores, hugepages, programs that are started and ended, how busy a core was."""
import contextlib
import os
import pathlib
import signal
import subprocess
import time

LOAD_CORE = 0       # the generator, clients and backends; the threads of a load balancer that move no packets
BALANCER_CORE = 1   # what moves packets in the load balancer under test, and nothing else
HUGEPAGES = 1024    # of 2 MiB: the generator, and the greediest of the load balancers
NR_HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")


class LabError(Exception):
    """Something that keeps a row, or everything, from being measured; a sentence for the reader."""


@contextlib.contextmanager
def hugepages():
    before = int(NR_HUGEPAGES.read_text())
    if before < HUGEPAGES:
        NR_HUGEPAGES.write_text(str(HUGEPAGES))
    try:
        if int(NR_HUGEPAGES.read_text()) < HUGEPAGES:
            raise LabError(f"the machine has no room for {HUGEPAGES} hugepages of 2 MiB; free some memory")
        yield
    finally:
        NR_HUGEPAGES.write_text(str(before))


def wait_until(condition, what, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


def run(*command, netns=None, **options):
    """Runs to its end; what it prints. Fails with its complaint."""
    result = subprocess.run(in_netns(netns, command), capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise LabError(f"'{' '.join(map(str, command))}' failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout


def in_netns(netns, command):
    return ["ip", "netns", "exec", netns, *map(str, command)] if netns else [str(word) for word in command]


class Programs:
    """Programs that run in the background, with their files in `directory`; all end at the end of the with statement.

    Ours are found in `build`.
    """

    def __init__(self, build, directory):
        self.build = build
        self.directory = directory
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            end(process)

    def start(self, name, *command, netns=None, core=None, **options):
        words = ["taskset", "-c", str(core), *command] if core is not None else command
        with self.log_of(name).open("w") as log:
            process = subprocess.Popen(in_netns(netns, words), **{"stdin": subprocess.DEVNULL, "stdout": log,
                                                                  "stderr": log, **options})
        self.running.append(process)
        return process

    def log_of(self, name):
        return self.directory / f"{name}.log"

    def wait_for(self, name, text):
        """Until the program has written this to its log."""
        with contextlib.suppress(LabError):
            wait_until(lambda: text in self.log_of(name).read_text(), text)
            return
        last = self.log_of(name).read_text().strip().splitlines()[-3:]
        raise LabError(f"{name} did not say '{text}'; its log ends: {' / '.join(last)}")


def end(process):
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


class BusyTime:
    """The share of the time that a core worked for somebody, interrupts included, since this object was made."""

    def __init__(self, core):
        self.core = core
        self.begun = self.ticks()

    def share(self):
        idle, everything = (now - then for now, then in zip(self.ticks(), self.begun))
        return 1 - idle / max(everything, 1)

    def ticks(self):
        for line in pathlib.Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name == f"cpu{self.core}":
                ticks = list(map(int, ticks[:8]))
                return ticks[3] + ticks[4] + ticks[7], sum(ticks)  # idle, waiting for disks, taken by the hypervisor
        raise LabError(f"/proc/stat knows no core {self.core}")


def softirq_threads():
    """The kernel's threads that do what interrupts leave over, one for each core."""
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it may have ended
            if comm.read_text().startswith("ksoftirqd/"):
                yield int(comm.parent.name)


@contextlib.contextmanager
def precedence():
    """Whatever else runs on this machine waits for us, for the programs that we start, and for the kernel's network.

    Niceness counts within a session only where the kernel groups processes by session; then the group has one, too.
    """
    group = pathlib.Path("/proc/self/autogroup")
    group_before = group.read_text().split()[-1] if group.exists() else None
    before = {pid: os.getpriority(os.PRIO_PROCESS, pid) for pid in (os.getpid(), *softirq_threads())}
    try:
        for pid in before:
            os.setpriority(os.PRIO_PROCESS, pid, -20)
        if group_before is not None:
            group.write_text("-20")
        yield
    finally:
        for pid, nice in before.items():
            os.setpriority(os.PRIO_PROCESS, pid, nice)
        if group_before is not None:
            group.write_text(group_before)
