"""Integration: resources are measured, promised to one agent at a time, and given back.

Runs against the deployed system (see `live_system.py`), or by itself:

    python3 main_pc_code/tests/test_resource_management.py
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from main_pc_code.common.training import Training, specification
from main_pc_code.tests.harness import Message, wait_for
from main_pc_code.tests.live_system import LiveAgent, LiveSystem

NEEDS = ("SystemDigitalTwin", "SelfTrainingOrchestrator")
OWNER = "test_resource_management"
TRAINER = "SelfTrainingOrchestrator"
RUN_TIMEOUT_S = 30.0
REGISTERED_TIMEOUT_S = 40.0  # Agents register every 30 s.


@pytest.fixture
def twin(system: LiveSystem) -> LiveAgent:
    return system["SystemDigitalTwin"]


@pytest.fixture
def trainer(system: LiveSystem, twin: LiveAgent) -> LiveAgent:
    wait_for(lambda: TRAINER in twin.ask("metrics")["agents"], f"{TRAINER} is registered", REGISTERED_TIMEOUT_S)
    return system[TRAINER]


@contextmanager
def cycle(trainer: LiveAgent, **fields: Any) -> Iterator[int]:
    """A training cycle of this test, cancelled at the end if it still runs."""
    reply = trainer.ask("add_cycle", target_agent="EmotionEngine", priority=100, **fields)
    assert reply["status"] == "ok", reply
    try:
        yield reply["id"]
    finally:
        trainer.ask("cancel_cycle", id=reply["id"])


def wait_for_state(trainer: LiveAgent, id: int, state: str) -> Message:
    wait_for(lambda: trainer.ask("get_cycle", id=id)["state"] == state, f"cycle {id} is {state}", RUN_TIMEOUT_S)
    return trainer.ask("get_cycle", id=id)


def held_by(twin: LiveAgent, owner: str) -> list[Message]:
    return [item for item in twin.ask("list_reservations")["reservations"] if item["owner"] == owner]


@contextmanager
def reservation(twin: LiveAgent, **amounts: float) -> Iterator[str]:
    reply = twin.ask("reserve", owner=OWNER, lease_s=60, **amounts)
    assert reply["status"] == "ok", reply
    try:
        yield reply["reservation"]
    finally:
        twin.ask("release", reservation=reply["reservation"])


def test_a_training_cycle_reserves_and_frees_its_resources(twin: LiveAgent, trainer: LiveAgent) -> None:
    with cycle(trainer, memory_mb=33, cpus=0.125, steps=1_000_000) as id:
        wait_for_state(trainer, id, "running")
        (held,) = held_by(twin, TRAINER)
        assert (held["memory_mb"], held["cpus"]) == (33, 0.125)
        assert held["reservation"] == trainer.ask("get_cycle", id=id)["reservation"]
        before = twin.ask("simulate_load", cpus=0.1)["free"]["cpus"]
        assert trainer.ask("cancel_cycle", id=id)["cancelled"] is True
        wait_for(lambda: not held_by(twin, TRAINER), "the reservation is released", RUN_TIMEOUT_S)
    assert twin.ask("simulate_load", cpus=0.1)["free"]["cpus"] == pytest.approx(before + 0.125)


def test_a_training_cycle_learns_what_it_should(trainer: LiveAgent) -> None:
    spec = {"steps": 300, "rows": 30, "seed": 11}
    with cycle(trainer, **spec) as id:
        done = wait_for_state(trainer, id, "completed")
    expected = Training(specification(spec))
    expected.advance(300)
    assert done["checkpoint"]["weights"] == pytest.approx(expected.checkpoint.weights, rel=1e-9)


def test_a_training_cycle_waits_until_there_is_room(twin: LiveAgent, trainer: LiveAgent) -> None:
    free = twin.ask("simulate_load", cpus=0.1, owner=TRAINER)["free"]["cpus"]
    total = twin.ask("simulate_load", cpus=0.1)["free"]["cpus"]
    with reservation(twin, cpus=total - free / 2), cycle(trainer, cpus=free, steps=1) as id:
        wait_for(lambda: "not enough cpus" in (trainer.ask("get_cycle", id=id)["problem"] or ""), "it waits")
        assert trainer.ask("get_cycle", id=id)["state"] in ("queued", "reserving")
        assert held_by(twin, TRAINER) == []
        twin.ask("release", reservation=held_by(twin, OWNER)[0]["reservation"])
        wait_for_state(trainer, id, "completed")


def test_resources_are_promised_once(twin: LiveAgent) -> None:
    free = twin.ask("simulate_load", cpus=0.1)["free"]["cpus"]
    with reservation(twin, cpus=free):
        reply = twin.ask("reserve", owner=OWNER, lease_s=1, cpus=0.1)
        assert (reply["code"], reply["lacking"]) == ("busy", ["cpus"])
    assert twin.ask("simulate_load", cpus=free)["fits"] is True


def test_a_promise_ends_with_its_lease(twin: LiveAgent) -> None:
    reply = twin.ask("reserve", owner=OWNER, lease_s=0.2, cpus=0.1)
    assert reply["status"] == "ok", reply
    wait_for(lambda: not held_by(twin, OWNER), "the lease is over")
    assert twin.ask("renew", reservation=reply["reservation"], lease_s=1)["status"] == "error"


def test_more_than_there_is_never_fits(twin: LiveAgent) -> None:
    reply = twin.ask("simulate_load", memory_mb=1e9, cpus=1e5, vram_mb=1e9)
    assert reply["fits"] is False
    assert reply["lacking"] == ["memory_mb", "cpus", "vram_mb"]
    assert twin.ask("reserve", owner=OWNER, lease_s=1, memory_mb=1e9)["code"] == "unavailable"


def test_use_and_limits_of_every_agent_are_measured(system: LiveSystem, twin: LiveAgent, trainer: LiveAgent) -> None:
    metrics = twin.ask("metrics")
    assert metrics["host"]["memory_bytes"] > metrics["host"]["memory_available_bytes"] > 0
    for name in {"SystemDigitalTwin", TRAINER} & system.agents.keys():
        measured = metrics["agents"][name]
        assert measured["rss_bytes"] > 5e6
        assert measured["cpu_s"] > 0
        if system.description:
            assert measured["rss_bytes"] < measured["cgroup_memory_limit_bytes"]
            assert measured["cgroup_pids"] <= measured["cgroup_pids_limit"]
    assert twin.ask("history", agent=trainer.name)["samples"]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-v", "-p", "no:cacheprovider", *sys.argv[1:]]))
