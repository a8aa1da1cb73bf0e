"""What is really there, by podman and by the kernel, and what must hold of it after whatever has happened."""

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import host
from fixture import System
from host import Process
from tools import Ours
from workshop import external, volumes_of

SETTLED_S = 8
"""Processes of a container that was just removed may take so long to be gone."""
CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
RUNS = ("running", "paused", "stopping")
STATES = {
    "running": {"running"},
    "exited": {"exited"},
    "stopped": {"exited", "stopped", "other"},
    "created": {"created"},
    "configured": {"created"},
    "initialized": {"created", "initialized", "other"},
    "paused": {"paused", "other"},
    "stopping": {"stopping", "other"},
    "missing": {"missing"},
}
"""For each of podman's words, those of `status` that tell the truth."""


def containers(system: System) -> dict[str, dict[str, Any]]:
    """All containers of a system, by name, as podman lists them."""
    name = f"name=^{system.name}-"
    listed = json.loads(host.podman("ps", "--all", "--no-trunc", "--filter", name, "--format", "json") or "[]")
    return {container["Names"][0]: container for container in listed}


def inspected(system: System) -> dict[str, dict[str, Any]]:
    """The same in all detail."""
    names = list(containers(system))
    if not names:
        return {}
    ended = host.run(["podman", "container", "inspect", *names])
    # One that has gone meanwhile is an error beside what is there.
    return {str(found["Name"]): found for found in json.loads(ended.stdout or "[]")}


def is_agent(process: Process, system: System) -> bool:
    """Whether a process belongs to a container of the system: its monitor, its init, or the agent."""
    if process.name == "conmon":
        return "-n" in process.argv and process.argv[process.argv.index("-n") + 1].startswith(f"{system.name}-")
    last = process.argv[-1] if process.argv else ""
    return "code/agent.py" in process.argv and last.startswith(f"{system.name}-") and process.name != "podman"


def owner(process: Process, everything: dict[int, Process]) -> str:
    """Id of the container that a process was started for; empty if nothing tells."""
    at: Process | None = process
    while at:
        if at.name == "conmon" and "-c" in at.argv:
            return at.argv[at.argv.index("-c") + 1]
        found = CONTAINER_ID.search(at.cgroup)
        if found:
            return found[0]
        at = everything.get(at.parent)
    return ""


def shown(process: Process) -> str:
    """Its command line, cut; a monitor by the container's name."""
    if process.name == "conmon":
        return process.argv[process.argv.index("-n") + 1]
    return " ".join(process.argv)[-120:]


def strays(system: System) -> list[str]:
    """Processes whose container podman does not know, or does not know to run."""
    deadline = time.monotonic() + SETTLED_S
    while True:
        known = {c["Id"]: str(c["State"]) for c in containers(system).values()}
        everything = host.processes()
        found = []
        for process in everything.values():
            if is_agent(process, system):
                state = known.get(owner(process, everything), "unknown to podman")
                if state not in RUNS:
                    found.append(f"process {process.pid} ({process.name}), container {state}: {shown(process)}")
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


def marks(system: System) -> dict[str, str]:
    """What agents wrote at their first start, by volume and file: a lost volume would have other content, or none."""
    found = {}
    for volume in volumes_of(system.name):
        place = host.podman("volume", "inspect", "--format", "{{.Mountpoint}}", volume).strip()
        enter = [] if os.geteuid() == 0 else ["podman", "unshare"]
        listed = host.run([*enter, "grep", "-r", "", place]).stdout
        for line in listed.splitlines():
            file, _, text = line.partition(":")
            found[f"{volume}/{Path(file).name}"] = text
        found[volume] = "exists"
    return found


def lost(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What was in a volume and is not, or not as it was."""
    return [
        f"{what} was `{text}`, is `{after.get(what, 'gone')}`"
        for what, text in before.items()
        if after.get(what) != text
    ]


@dataclass(frozen=True)
class Shape:
    """What of a container must be as the manifest has it."""

    running: bool
    image: str
    addresses: tuple[tuple[str, str], ...]
    memory: int
    """In bytes, as the kernel enforces it; 0 if that cannot be read."""


def differences(good: Shape, now: Shape | None) -> list[str]:
    """What of a container is not as it was, in words."""
    if not now:
        return ["is gone"]
    pairs = zip(vars(good).items(), vars(now).values(), strict=True)
    return [f"{what} should be {wanted}, is {is_now}" for (what, wanted), is_now in pairs if wanted != is_now]


def shapes(system: System) -> dict[str, Shape]:
    found = {}
    for name, container in inspected(system).items():
        joined = container["NetworkSettings"]["Networks"] or {}
        addresses = tuple(sorted((network, str(values["IPAddress"])) for network, values in joined.items()))
        running = container["State"]["Status"] == "running"
        memory = memory_limit(int(container["State"]["Pid"])) if running else 0
        found[name] = Shape(running, str(container["Image"]), addresses, memory)
    return found


def memory_limit(pid: int) -> int:
    """The limit of a process's control group, version 2 or 1; `podman update` does not change what inspect says."""
    try:
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "memory":
                return int(Path(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes").read_text())
            limit = Path(f"/sys/fs/cgroup{path}/memory.max")
            if not controllers and limit.exists():
                text = limit.read_text().strip()
                return int(text) if text.isdigit() else 0
    except (OSError, ValueError):
        pass
    return 0


def lies(ours: Ours, system: System, deaf: frozenset[str] = frozenset()) -> list[str]:
    """Where `status` and podman disagree. `deaf` agents run and cannot answer.

    podman is asked before and after, since a container may change in between: either answer will do.
    """
    before = inspected(system)
    ended = ours.run(system, "status", "--format", "json", limit_s=60)
    after = inspected(system)
    try:
        rows = json.loads(ended.stdout)["agents"]
    except (ValueError, KeyError):
        return [f"status: exit code {ended.code}, no JSON: {ended.said[-500:]}"]
    found = [] if len(rows) == len(system.agents) else [f"status shows {len(rows)} of {len(system.agents)} agents"]
    for row in rows:
        looks = [look.get(row["container"]) for look in (before, after)]
        words = [str(look["State"]["Status"]) if look else "missing" for look in looks]
        if not any(row["state"] in STATES.get(word, {word, "other"}) for word in words):
            found.append(f"{row['name']}: status says {row['state']}, podman {' then '.join(words)}")
        runs = words == ["running", "running"] and row["name"] not in deaf
        if runs and row["health"] != "healthy" and not young(looks[1]):
            found.append(f"{row['name']}: runs and answers, status says {row['health']}")
        if "running" not in words and row["health"] == "healthy":
            found.append(f"{row['name']}: podman says {words[1]}, status healthy")
        if words == ["exited", "exited"] and looks[1] and row["exit_code"] != looks[1]["State"]["ExitCode"]:
            found.append(f"{row['name']}: status says exit code {row['exit_code']}")
    return found


def young(container: dict[str, Any] | None) -> bool:
    """Whether a container may still be on its way to its first answer."""
    return not container or age_s(int(container["State"]["Pid"])) < 3


def age_s(pid: int) -> float:
    """Seconds since a process started; 0 if it is gone."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return 0
    return up - ticks / os.sysconf("SC_CLK_TCK")


def not_deployed(ours: Ours, system: System) -> list[str]:
    """What keeps a system from being as its manifest has it, and quiet about it."""
    there, wanted = containers(system), {system.container(agent.name) for agent in system.agents}
    found = [f"container {name} is left over" for name in sorted(there.keys() - wanted)]
    found += [f"container {name} is missing" for name in sorted(wanted - there.keys())]
    found += [f"{name} is {c['State']}" for name, c in there.items() if name in wanted and c["State"] != "running"]
    ended = ours.run(system, "deploy", "--dry-run", "--format", "json", limit_s=60)
    steps = json.loads(ended.stdout)["steps"] if ended.code == 0 else [{"subject": ended.said[-300:]}]
    if steps:
        found.append(f"there is still something to do: {[step.get('subject', step) for step in steps]}")
    if ours.run(system, "health-check", limit_s=60).code != 0:
        found.append("not all agents are healthy")
    return found


def always(system: System, prefix: str, volumes: dict[str, str]) -> list[str]:
    """What must never be, whatever was interrupted."""
    found = strays(system)
    found += [f"container {kept[:12]} is in podman's storage only" for kept in external(prefix)]
    return found + lost(volumes, marks(system))
