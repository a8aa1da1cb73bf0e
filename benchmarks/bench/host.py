"""Programs of this host: run one with a deadline, measure it, and look at processes in /proc."""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

Argv = list[str]


class BenchError(Exception):
    """What stops a benchmark, in words for its user."""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    argv: Argv
    code: int | None
    """None: it ran into its deadline and was ended."""
    stdout: str
    stderr: str
    seconds: float
    peak_mb: float
    """Most memory that the program itself had resident, without its children."""

    @property
    def said(self) -> str:
        return self.stdout + self.stderr

    def expect(self, *codes: int) -> "Ended":
        if self.code not in (codes or (0,)):
            ending = f"no end within {self.seconds:.0f} s" if self.code is None else f"exit code {self.code}"
            raise BenchError(f"{' '.join(self.argv)}: {ending}\n{self.said[-4000:]}")
        return self


class Program:
    """A program at work, in a session of its own; its output goes to files, so that no child of it holds a pipe."""

    def __init__(self, argv: Argv, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        self.argv = argv
        self.files = (tempfile.TemporaryFile(), tempfile.TemporaryFile())
        self.started = time.perf_counter()
        self.child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=self.files[0],
            stderr=self.files[1],
            env=os.environ | (env or {}),
            cwd=cwd,
            start_new_session=True,
        )
        self.peak_kb = 0
        self.ended = threading.Event()
        self.sampler = threading.Thread(target=self.sample, daemon=True)
        self.sampler.start()

    def sample(self) -> None:
        while not self.ended.wait(0.02 if time.perf_counter() - self.started < 1 else 0.1):
            self.peak_kb = max(self.peak_kb, peak_kb(self.child.pid))

    def wait(self, limit_s: float) -> bool:
        """Whether it has ended within the limit, to the millisecond."""
        if self.child.returncode is not None:
            return True
        descriptor = os.pidfd_open(self.child.pid)
        try:
            ready = select.poll()
            ready.register(descriptor, select.POLLIN)
            if not ready.poll(max(0, limit_s) * 1000):
                return False
        finally:
            os.close(descriptor)
        return True

    def signal(self, number: int) -> None:
        if self.child.poll() is None:
            os.kill(self.child.pid, number)

    def finish(self, limit_s: float) -> Ended:
        """Waits for its end; past the limit it is asked to end, and then killed with its children."""
        in_time = self.wait(limit_s)
        seconds = time.perf_counter() - self.started
        if not in_time:
            self.signal(signal.SIGINT)
            if not self.wait(20):
                end_tree(self.child.pid)
        code = self.child.wait()
        self.ended.set()
        self.sampler.join()
        texts = []
        for file in self.files:
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            file.close()
        return Ended(self.argv, code if in_time else None, texts[0], texts[1], seconds, self.peak_kb / 1024)


def run(argv: Argv, limit_s: float = 120, env: dict[str, str] | None = None, cwd: Path | None = None) -> Ended:
    """Runs a program to its end, or to its deadline."""
    return Program(argv, env, cwd).finish(limit_s)


def podman(*args: str, limit_s: float = 120) -> str:
    """What podman says; an error if it fails."""
    return run(["podman", *args], limit_s).expect().stdout


def peak_kb(pid: int) -> int:
    """Most memory that a process has had resident so far; 0 if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


@dataclass(frozen=True)
class Process:
    """A line of /proc."""

    pid: int
    parent: int
    name: str
    argv: Argv
    cgroup: str


def processes() -> dict[int, Process]:
    """All processes, by id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            cgroup = (folder / "cgroup").read_text()
        except OSError:
            continue
        pid = int(folder.name)
        found[pid] = Process(pid, int(rest.split()[1]), name, argv, cgroup)
    return found


def environment(pid: int) -> bytes:
    """Its variables as they were at its start, each with a zero byte at its end."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def descendants(pid: int) -> list[Process]:
    """The processes below one, parents first."""
    everything = processes()
    found: list[Process] = []
    level = {pid}
    while level:
        below = [process for process in everything.values() if process.parent in level]
        found.extend(below)
        level = {process.pid for process in below}
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end_tree(pid: int) -> None:
    """Kills a process that this program started, and what is below it."""
    below = descendants(pid)
    kill(pid)
    for process in below:
        kill(process.pid)


def timers_work() -> bool:
    """Whether podman's health checks run by themselves: it leaves their timers to systemd."""
    return Path("/run/systemd/system").is_dir()


def facts() -> dict[str, str]:
    """What a reader of figures must know of this host."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else os.uname().machine
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "processor": f"{model}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory_kb / 1e6:.0f} GB",
        "kernel": os.uname().release,
        "podman": podman("--version").split()[-1] + (" as root" if os.geteuid() == 0 else " rootless"),
        "health timers": "systemd's" if timers_work() else "none: no systemd",
        "date": time.strftime("%Y-%m-%d"),
    }


def load() -> float:
    """Processes that wanted a processor in the last minute."""
    return os.getloadavg()[0]
