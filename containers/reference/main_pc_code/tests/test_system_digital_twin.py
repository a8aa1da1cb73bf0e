"""SystemDigitalTwin: registry, metrics, history, reservations, and what is left of them after a restart."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from main_pc_code.agents.system_digital_twin import SystemDigitalTwin
from main_pc_code.common import twin_state
from main_pc_code.common.capacity import free_of_container
from main_pc_code.common.messages import RequestError
from main_pc_code.common.metrics import HostMeter, cgroup_metrics
from main_pc_code.tests.harness import AgentProcess, Message, unstarted
from main_pc_code.tests.hostile import attack

SCRIPT = "main_pc_code/agents/system_digital_twin.py"
MB = 1024 * 1024
CAPACITY = {"CAPACITY_MEMORY_MB": "1000", "CAPACITY_CPUS": "2", "CAPACITY_VRAM_MB": "500"}


@pytest.fixture(scope="module")
def process() -> Iterator[AgentProcess]:
    with AgentProcess(SCRIPT, CAPACITY) as twin:
        yield twin


@pytest.fixture
def twin(tmp_path: Path) -> SystemDigitalTwin:
    return make(tmp_path)


def make(folder: Path) -> SystemDigitalTwin:
    twin = unstarted(SystemDigitalTwin, {**CAPACITY, "DATA_FOLDER": str(folder)})
    twin.resources.host = {"cpus": 2.0, "memory_available_bytes": 800.0 * MB, "busy_cpus": 0.5}
    return twin


def entry(name: str, **fields: Any) -> Message:
    ports = {"port": 7000, "health_port": 7001}
    return {"name": name, "address": "tcp://10.0.0.1:7000", **ports, "capabilities": ["c"], "metrics": {}} | fields


def names(twin: SystemDigitalTwin) -> list[str]:
    return [agent["name"] for agent in twin.list_agents({})["agents"]]


def test_agents_are_listed_until_they_deregister(process: AgentProcess) -> None:
    assert process.ask({"action": "register", **entry("Alpha", metrics={"rss_bytes": 1e6})})["registered"] == "Alpha"
    agents = {agent["name"]: agent for agent in process.ask({"action": "list_agents"})["agents"]}
    assert agents["Alpha"]["address"] == "tcp://10.0.0.1:7000"
    assert agents["Alpha"]["capabilities"] == ["c"]
    assert agents["SystemDigitalTwin"]["address"] is None
    assert process.health()["registered_agents"] == 1
    assert process.ask({"action": "deregister", "name": "Alpha"})["removed"] is True
    assert [agent["name"] for agent in process.ask({"action": "list_agents"})["agents"]] == ["SystemDigitalTwin"]


def test_silent_agents_are_forgotten(twin: SystemDigitalTwin) -> None:
    interval_s = twin.settings.config.register_interval_s
    for name in ("Lately", "LongAgo"):
        twin.register(entry(name))
    twin.state.seen_s["Lately"] -= 2.9 * interval_s
    twin.state.seen_s["LongAgo"] -= 3.1 * interval_s
    assert names(twin) == ["Lately", "SystemDigitalTwin"]


def test_bad_registrations_are_refused(twin: SystemDigitalTwin) -> None:
    for fields, problem in (
        ({"name": ""}, "`name`"),
        ({"address": "10.0.0.1:7000"}, "`address`"),
        ({"port": 70000}, "`port`"),
        ({"capabilities": ["c"] * 101}, "`capabilities`"),
        ({"capabilities": [1]}, "`capability`"),
        ({"metrics": {"x": "1"}}, "`x`"),
        ({"metrics": {str(i): 1 for i in range(51)}}, "`metrics`"),
    ):
        with pytest.raises(RequestError, match=problem):
            twin.register(entry("Beta") | fields)
    assert names(twin) == ["SystemDigitalTwin"]


def test_metrics_are_those_of_the_real_process(process: AgentProcess) -> None:
    assert process.process is not None
    reply = process.ask({"action": "metrics"})
    resident = reply["agents"]["SystemDigitalTwin"]["rss_bytes"]
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    resident_kb = int(status.split("VmRSS:")[1].split()[0])
    assert resident == pytest.approx(resident_kb * 1024, rel=0.2)
    total_kb = int(Path("/proc/meminfo").read_text().split()[1])
    assert reply["host"]["memory_bytes"] == total_kb * 1024


def test_cgroups_of_both_versions_are_read(tmp_path: Path) -> None:
    files = {
        "proc2/self/cgroup": "0::/agent\n",
        "v2/cgroup.controllers": "cpu memory pids\n",
        "v2/agent/memory.current": "3000000\n",
        "v2/agent/memory.stat": "anon 1\ninactive_file 1000000\n",
        "v2/agent/memory.max": "5000000\n",
        "v2/agent/cpu.max": "150000 100000\n",
        "v2/agent/cpu.stat": "usage_usec 2500000\n",
        "v2/agent/pids.current": "7\n",
        "v2/agent/pids.max": "max\n",
        "proc1/self/cgroup": "3:memory:/seen/only/by/the/host\n2:cpu,cpuacct:/x\n0::/\n",
        "v1/memory/memory.usage_in_bytes": "3000000\n",
        "v1/memory/memory.stat": "inactive_file 5\ntotal_inactive_file 1000000\n",
        "v1/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "v1/cpu/cpu.cfs_quota_us": "150000\n",
        "v1/cpu/cpu.cfs_period_us": "100000\n",
        "v1/cpuacct/cpuacct.usage": "2500000000\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    both = {"cgroup_memory_bytes": 2000000.0, "cgroup_cpus_limit": 1.5, "cgroup_cpu_s": 2.5}
    newer = cgroup_metrics(str(tmp_path / "proc2"), str(tmp_path / "v2"))
    assert newer == both | {"cgroup_memory_limit_bytes": 5000000.0, "cgroup_pids": 7.0}
    assert cgroup_metrics(str(tmp_path / "proc1"), str(tmp_path / "v1")) == both
    assert cgroup_metrics(str(tmp_path), str(tmp_path)) == {}


def test_busy_processors_are_measured_between_two_readings() -> None:
    meter = HostMeter()
    end_s = time.monotonic() + 0.1
    while time.monotonic() < end_s:
        pass
    found = meter.read()
    assert 0.3 < found["busy_cpus"] < found["cpus"] + 1


def test_the_history_has_the_latest_samples_and_is_bounded(
    twin: SystemDigitalTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twin_state, "MAX_SAMPLES", 5)
    for value in range(4):
        twin.register(entry("Alpha", metrics={"value": value}))
        twin.register(entry("Beta"))
    values = [sample["value"] for sample in twin.history({"agent": "Alpha"})["samples"]]
    assert values == [2, 3]
    assert [sample["value"] for sample in twin.history({"agent": "Alpha", "limit": 1})["samples"]] == [3]


def test_reservations_leave_less_for_others(process: AgentProcess) -> None:
    want = {"cpus": 1.5, "vram_mb": 400}
    assert process.ask({"action": "simulate_load", **want})["fits"] is True
    first = process.ask({"action": "reserve", "owner": "A", "lease_s": 60, **want})
    second = process.ask({"action": "reserve", "owner": "B", "lease_s": 60, **want})
    assert (second["code"], second["lacking"]) == ("busy", ["cpus", "vram_mb"])
    simulated = process.ask({"action": "simulate_load", **want})
    assert simulated["fits"] is False
    assert simulated["free"]["cpus"] == 0.5
    assert process.ask({"action": "release", "reservation": first["reservation"]})["released"] is True
    assert process.ask({"action": "release", "reservation": first["reservation"]})["released"] is False
    assert process.ask({"action": "simulate_load", **want})["fits"] is True


def test_memory_must_be_there_now_and_not_only_within_the_capacity(twin: SystemDigitalTwin) -> None:
    assert twin.resources.simulate_load({"memory_mb": 800})["fits"] is True
    assert twin.resources.simulate_load({"memory_mb": 801})["lacking"] == ["memory_mb"]


def test_what_never_fits_is_told_from_what_may_fit_later(twin: SystemDigitalTwin) -> None:
    for memory_mb, code in ((900, "busy"), (1001, "unavailable")):
        with pytest.raises(RequestError) as caught:
            twin.resources.reserve({"owner": "A", "lease_s": 1, "memory_mb": memory_mb})
        assert caught.value.details["code"] == code


def test_a_container_limits_its_agent(twin: SystemDigitalTwin) -> None:
    metrics = {"cgroup_memory_limit_bytes": 512.0 * MB, "cgroup_memory_bytes": 100.0 * MB, "cgroup_cpus_limit": 1.0}
    twin.register(entry("Small", metrics=metrics))
    request = {"owner": "Small", "memory_mb": 400, "cpus": 1}
    assert twin.resources.simulate_load(request)["fits"] is True
    twin.resources.reserve(request | {"lease_s": 60})
    assert twin.resources.simulate_load(request)["lacking"] == ["memory_mb", "cpus"]
    assert twin.resources.simulate_load(request | {"owner": "Other"})["fits"] is True
    assert free_of_container({}, {}) == {}


def test_a_lease_ends_unless_it_is_renewed(twin: SystemDigitalTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s)
    kept, lost = (
        twin.resources.reserve({"owner": "A", "lease_s": 10, "memory_mb": 100})["reservation"] for _ in range(2)
    )
    now_s += 9
    twin.resources.renew({"reservation": kept, "lease_s": 10})
    now_s += 2
    listed = twin.resources.list_reservations({})
    assert [item["reservation"] for item in listed["reservations"]] == [kept]
    assert listed["reserved"]["memory_mb"] == 100
    with pytest.raises(RequestError, match="no such reservation"):
        twin.resources.renew({"reservation": lost, "lease_s": 10})


def test_a_kill_loses_nothing() -> None:
    with AgentProcess(SCRIPT, CAPACITY) as twin:
        twin.ask({"action": "register", **entry("Alpha", metrics={"x": 1})})
        reserved = twin.ask({"action": "reserve", "owner": "Alpha", "lease_s": 60, "cpus": 1})["reservation"]
        twin.kill()
        twin.start()
        twin.wait_ready()
        agents = twin.ask({"action": "list_agents"})["agents"]
        assert [agent["name"] for agent in agents] == ["Alpha", "SystemDigitalTwin"]
        kept = twin.ask({"action": "list_reservations"})["reservations"]
        assert [(item["reservation"], item["owner"], item["cpus"]) for item in kept] == [(reserved, "Alpha", 1)]
        assert [sample["x"] for sample in twin.ask({"action": "history", "agent": "Alpha"})["samples"]] == [1]
        assert twin.stop() == 0


@pytest.mark.parametrize(
    "damage",
    [None, "UPDATE agents SET entry = '{'", "DROP TABLE reservations; PRAGMA user_version = 99"],
    ids=["no database", "a row", "another version"],
)
def test_a_damaged_file_is_set_aside(damage: str | None, tmp_path: Path) -> None:
    path = tmp_path / twin_state.FILE
    make(tmp_path).register(entry("Alpha"))
    with closing(sqlite3.connect(path)) as database:
        if damage:
            database.executescript(damage)
        else:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            path.write_bytes(b"no database" * 1000)
    twin = make(tmp_path)
    assert twin.health_details()["storage"] == "ok"
    assert names(twin) == ["SystemDigitalTwin"]
    assert Path(f"{path}.damaged").exists()
    twin.register(entry("Beta"))
    assert names(make(tmp_path)) == ["Beta", "SystemDigitalTwin"]


def test_without_a_folder_to_write_to_it_works_and_says_so() -> None:
    twin = make(Path("/proc/none"))
    twin.register(entry("Alpha"))
    assert names(twin) == ["Alpha", "SystemDigitalTwin"]
    assert "/proc/none" in twin.health_details()["storage"]


def test_bad_messages_do_no_harm(process: AgentProcess) -> None:
    attack(process)
