"""What a process, its container and its host use, read from /proc and the cgroup files.

A metric that cannot be read is left out. Sizes are in bytes, processor time is in seconds, `cpus` are processors.
"""

import os
import threading
import time

Metrics = dict[str, float]

PROC = "/proc"
CGROUPS = "/sys/fs/cgroup"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
UNLIMITED = 2**60  # Version 1 says with a number of this size that there is no limit.


def process_metrics() -> Metrics:
    """Of this process, and of its cgroup, which is its container's if it is in one."""
    used = os.times()
    own = {"cpu_s": round(used.user + used.system, 2), "threads": float(threading.active_count())}
    pages = _numbers(PROC, "self/statm")
    if len(pages) > 1:
        own["rss_bytes"] = pages[1] * os.sysconf("SC_PAGE_SIZE")
    return own | cgroup_metrics()


def cgroup_metrics(proc: str = PROC, cgroups: str = CGROUPS) -> Metrics:
    """Use and limits of this process's cgroup, version 2 or 1; limits are there only if they are set."""
    folders = _cgroup_folders(proc, cgroups)
    found: dict[str, float | None] = {}
    if memory := folders.get("memory"):
        used = _first(memory, "memory.current", "memory.usage_in_bytes")
        # What could be dropped at any time, cached files, is no use of memory.
        details = _pairs(memory, "memory.stat")
        cached = details.get("total_inactive_file", details.get("inactive_file", 0.0))
        found["cgroup_memory_bytes"] = None if used is None else max(0.0, used - cached)
        limit = _first(memory, "memory.max", "memory.limit_in_bytes")
        found["cgroup_memory_limit_bytes"] = None if limit is None or limit >= UNLIMITED else limit
    if cpu := folders.get("cpu"):
        quota = _numbers(cpu, "cpu.max") or _numbers(cpu, "cpu.cfs_quota_us") + _numbers(cpu, "cpu.cfs_period_us")
        found["cgroup_cpus_limit"] = quota[0] / quota[1] if len(quota) == 2 and min(quota) > 0 else None
    if accounting := folders.get("cpuacct"):
        nanoseconds = _first(accounting, "cpuacct.usage")
        microseconds = _pairs(accounting, "cpu.stat").get("usage_usec")
        found["cgroup_cpu_s"] = nanoseconds / 1e9 if nanoseconds is not None else microseconds and microseconds / 1e6
    if pids := folders.get("pids"):
        found["cgroup_pids"] = _first(pids, "pids.current")
        found["cgroup_pids_limit"] = _first(pids, "pids.max")
    return {name: value for name, value in found.items() if value is not None}


class HostMeter:
    """Of the whole host; `busy_cpus` is the mean since the call before."""

    def __init__(self, proc: str = PROC) -> None:
        self._proc = proc
        self._last = self._processor_time()

    def read(self) -> Metrics:
        found = {"cpus": float(os.cpu_count() or 1)}
        memory = _pairs(self._proc, "meminfo")
        if "MemTotal" in memory and "MemAvailable" in memory:
            found["memory_bytes"] = memory["MemTotal"] * 1024
            found["memory_available_bytes"] = memory["MemAvailable"] * 1024
        if load := _numbers(self._proc, "loadavg"):
            found["load_1min"] = load[0]
        before, self._last = self._last, self._processor_time()
        elapsed_s = self._last[1] - before[1]
        if elapsed_s > 0:
            found["busy_cpus"] = round(max(0.0, self._last[0] - before[0]) / elapsed_s, 3)
        return found

    def _processor_time(self) -> tuple[float, float]:
        """Seconds that all processors together were busy, and the time of this reading."""
        words = _text(self._proc, "stat").partition("\n")[0].split()
        user, nice, system, _idle, _waiting, irq, softirq = map(int, words[1:8] if len(words) > 7 else [0] * 7)
        return (user + nice + system + irq + softirq) / TICKS_PER_S, time.monotonic()


def _cgroup_folders(proc: str, cgroups: str) -> dict[str, str]:
    """Where the files of each controller are."""
    folders: dict[str, str] = {}
    for line in _text(proc, "self/cgroup").splitlines():
        controllers, path = line.split(":", 2)[1:]
        if controllers:
            mounts = {name: os.path.join(cgroups, name) for name in controllers.split(",")}
        elif os.path.exists(os.path.join(cgroups, "cgroup.controllers")):
            mounts = dict.fromkeys(("memory", "cpu", "cpuacct", "pids"), cgroups)
        else:
            continue  # The part of version 2 in a hybrid layout, which has no controllers.
        for name, mount in mounts.items():
            # In a container the mount is already the container's cgroup, and the path is the host's.
            own = os.path.join(mount, path.lstrip("/"))
            folders[name] = own if os.path.isdir(own) else mount
    return folders


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _numbers(folder: str, name: str) -> list[float]:
    """The numbers at the start of a file, up to the first word that is none."""
    numbers: list[float] = []
    for word in _text(folder, name).split():
        if not word.lstrip("-").replace(".", "", 1).isdigit():
            break
        numbers.append(float(word))
    return numbers


def _first(folder: str, *names: str) -> float | None:
    """The number in the first of these files that starts with one."""
    return next((numbers[0] for name in names if (numbers := _numbers(folder, name))), None)


def _pairs(folder: str, name: str) -> dict[str, float]:
    """The lines that are a name and a number."""
    lines = (line.replace(":", " ").split() for line in _text(folder, name).splitlines())
    return {line[0]: float(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}
