"""Integration: what a container of a group can reach, and that its limits hold.

Runs in a container that stands in a group's place: its networks, limits and security options (see `live_system.py`).
Outside of one there is nothing to test.
"""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from main_pc_code.common.metrics import HostMeter, cgroup_metrics
from main_pc_code.tests.live_system import LiveSystem, read_description

pytestmark = pytest.mark.skipif(read_description() is None, reason="needs a container of the deployed system")

CONNECT_TIMEOUT_S = 3.0
BUSY_S = 1.0
MIB = 1024 * 1024

# Takes memory until there is no more, or four times the limit, and offers itself as the first to be killed.
TAKE_MEMORY = """
import mmap, sys
open("/proc/self/oom_score_adj", "w").write("1000")
held, size = [], 32 * 2**20
while len(held) * 32 < 4 * int(sys.argv[1]):
    held.append(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_POPULATE))
    held[-1][::4096] = b"x" * (size // 4096)
"""
# Starts threads, which count like processes, until that is refused; then tries to fork as well.
TAKE_PIDS = """
import os, sys, threading
threading.stack_size(65536)
end, count = threading.Event(), 0
try:
    while count < 2 * int(sys.argv[1]):
        threading.Thread(target=end.wait, daemon=True).start()
        count += 1
except RuntimeError:
    pass
try:
    if os.fork() == 0:
        os._exit(0)
    print(count, "forked", flush=True)
except BlockingIOError:
    print(count, "refused", flush=True)
os._exit(0)
"""
TAKE_TIME = "import sys, time\nend_s = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end_s: pass"


class Way(NamedTuple):
    """An agent's address in one network, and whether this container is in that network."""

    agent: str
    network: str
    host: str
    port: int
    is_open: bool

    def connects(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), CONNECT_TIMEOUT_S):
                return True
        except OSError:
            return False


@pytest.fixture(scope="module")
def limits(system: LiveSystem) -> dict[str, float]:
    assert system.description is not None
    return dict(system.description["limits"])


def ways(system: LiveSystem) -> list[Way]:
    assert system.description is not None
    here = system.description["networks_here"]
    return [
        Way(agent.name, network, host, agent.port, network in here)
        for agent in system.agents.values()
        for network, host in agent.networks.items()
    ]


def run(code: str, argument: float, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(argument)], capture_output=True, text=True, timeout=timeout_s, check=False
    )


def test_agents_are_reached_in_shared_networks_and_in_no_others(system: LiveSystem) -> None:
    all_ways = ways(system)
    assert {way.is_open for way in all_ways} == {True, False}, "there must be something of both to test"
    with ThreadPoolExecutor(len(all_ways)) as pool:
        connected = list(pool.map(Way.connects, all_ways))
    wrong = [way for way, reached in zip(all_ways, connected, strict=True) if reached != way.is_open]
    assert not wrong, f"reached where they should not be, or not reached where they should: {wrong}"


def test_every_agent_can_be_reached_somehow(system: LiveSystem) -> None:
    reachable = {way.agent for way in ways(system) if way.is_open and way.connects()}
    assert reachable == set(system.agents)


def test_the_kernel_knows_the_limits(limits: dict[str, float]) -> None:
    found = cgroup_metrics()
    assert found["cgroup_memory_limit_bytes"] == limits["memory_mb"] * MIB
    assert found["cgroup_pids_limit"] == limits["pids"]
    assert found["cgroup_cpus_limit"] == pytest.approx(limits["cpus"])


def test_who_takes_too_much_memory_is_killed_alone(limits: dict[str, float]) -> None:
    available_mb = HostMeter().read()["memory_available_bytes"] / MIB
    if limits["memory_mb"] > available_mb / 2:
        # Going up to this limit could harm the host; that it is set has been tested.
        assert cgroup_metrics()["cgroup_memory_limit_bytes"] == limits["memory_mb"] * MIB
        return
    taken = run(TAKE_MEMORY, limits["memory_mb"])
    assert taken.returncode in (-9, 1), f"not stopped: {taken}"
    assert taken.returncode == -9 or "MemoryError" in taken.stderr
    assert run("", 0).returncode == 0


def test_nobody_gets_more_processes_than_the_limit(limits: dict[str, float]) -> None:
    count, fork = run(TAKE_PIDS, limits["pids"]).stdout.split()
    assert fork == "refused"
    assert limits["pids"] - 64 < int(count) < limits["pids"]


def test_nobody_gets_more_processor_time_than_the_limit(limits: dict[str, float]) -> None:
    before, started_s = os.times(), time.monotonic()
    with ThreadPoolExecutor(int(limits["cpus"]) + 1) as pool:
        list(pool.map(lambda _: run(TAKE_TIME, BUSY_S), range(int(limits["cpus"]) + 1)))
    after, elapsed_s = os.times(), time.monotonic() - started_s
    used_s = after.children_user + after.children_system - before.children_user - before.children_system
    assert used_s < elapsed_s * limits["cpus"] * 1.2


def test_there_is_little_to_change_and_no_privilege() -> None:
    assert os.getuid() != 0
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    roots = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if line.split()[4] == "/"]
    assert "ro" in roots[-1][5].split(",")
    for folder in ("/", "/app", "/usr"):
        with pytest.raises(OSError, match=r"Read-only file system|Permission denied"):
            Path(folder, "new file").touch()
    Path("/tmp/new file").touch()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-v", "-p", "no:cacheprovider", *sys.argv[1:]]))
