"""SelfTrainingOrchestrator with a real SystemDigitalTwin: cycles that run, wait, fail, are cancelled and survive."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from main_pc_code.common import cycles as cycles_module
from main_pc_code.common.cycles import Cycles
from main_pc_code.common.log import JsonLog
from main_pc_code.common.messages import RequestError
from main_pc_code.common.training import Checkpoint, DivergedError, Training, hidden_weights, specification
from main_pc_code.tests.harness import NO_FOLDER, AgentProcess, Message, wait_for
from main_pc_code.tests.hostile import attack

SCRIPT = "main_pc_code/FORMAINPC/SelfTrainingOrchestrator.py"
TWIN = "main_pc_code/agents/system_digital_twin.py"
LONG = {"steps": 1_000_000, "rows": 20, "learning_rate": 0.01}


class Stage:
    """The agent and the SystemDigitalTwin that it reserves with, which has two processors to give."""

    def __init__(self) -> None:
        self.twin = AgentProcess(TWIN, {"CAPACITY_CPUS": "2"})
        environment = {"SYSTEM_DIGITAL_TWIN_ADDRESS": self.twin.address, "CHECKPOINT_INTERVAL_S": "0.02"}
        self.agent = AgentProcess(SCRIPT, environment)

    def add(self, **fields: Any) -> int:
        reply = self.agent.ask({"action": "add_cycle", "target_agent": "EmotionEngine", **fields})
        assert reply["status"] == "ok", reply
        return int(reply["id"])

    def cycle(self, id: int) -> Message:
        return self.agent.ask({"action": "get_cycle", "id": id})

    def wait(self, id: int, *states: str) -> Message:
        wait_for(lambda: self.cycle(id)["state"] in states, f"cycle {id} is {' or '.join(states)}")
        return self.cycle(id)

    def wait_for_checkpoint(self, id: int) -> Message:
        return dict(wait_for(lambda: self.cycle(id)["checkpoint"], f"cycle {id} has a checkpoint"))

    def cancel(self, id: int) -> bool:
        return bool(self.agent.ask({"action": "cancel_cycle", "id": id})["cancelled"])

    def reserved(self) -> list[Message]:
        return list(self.twin.ask({"action": "list_reservations"})["reservations"])


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with stage.twin, stage.agent:
        yield stage


def test_a_cycle_finds_the_weights(stage: Stage) -> None:
    rows = [[x, 3 * x - 2] for x in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    done = stage.wait(stage.add(data=rows, steps=500), "completed")
    assert done["checkpoint"]["step"] == 500
    assert done["checkpoint"]["weights"] == pytest.approx([3, -2], abs=1e-6)
    assert done["checkpoint"]["loss"] < 1e-10


def test_resources_are_reserved_while_it_runs_and_freed_at_its_end(stage: Stage) -> None:
    id = stage.add(memory_mb=10, cpus=0.25, **LONG)
    stage.wait(id, "running")
    (held,) = stage.reserved()
    assert (held["owner"], held["memory_mb"], held["cpus"]) == ("SelfTrainingOrchestrator", 10, 0.25)
    assert stage.cancel(id) is True
    wait_for(lambda: not stage.reserved(), "the reservation is released")
    assert stage.cycle(id)["state"] == "cancelled"
    assert stage.cancel(id) is False
    assert stage.wait(stage.add(steps=1), "completed")["reservation"] is None
    assert stage.reserved() == []


def test_a_cycle_waits_for_resources_while_a_smaller_one_runs(stage: Stage) -> None:
    other = stage.twin.ask({"action": "reserve", "owner": "other", "lease_s": 60, "cpus": 1.5})["reservation"]
    large, small = stage.add(cpus=1, steps=1, priority=5), stage.add(cpus=0.5, steps=1)
    stage.wait(small, "completed")
    assert "not enough cpus" in stage.wait(large, "queued")["problem"]
    stage.twin.ask({"action": "release", "reservation": other})
    assert stage.wait(large, "completed")["problem"] is None


def test_a_cycle_that_can_never_fit_fails(stage: Stage) -> None:
    failed = stage.wait(stage.add(cpus=3), "failed")
    assert "more than there is" in failed["problem"]


def test_a_cycle_that_diverges_fails(stage: Stage) -> None:
    failed = stage.wait(stage.add(learning_rate=1000), "failed")
    assert "learning rate" in failed["problem"]
    assert stage.reserved() == []


def test_a_kill_in_the_middle_costs_no_progress_and_changes_no_result(stage: Stage) -> None:
    spec = {"steps": 60_000, "rows": 20, "seed": 7}
    id = stage.add(**spec)
    reached = stage.wait_for_checkpoint(id)
    stage.agent.kill()
    assert 0 < reached["step"] < spec["steps"], "it was to be killed in the middle"
    assert len(stage.reserved()) == 1
    stage.agent.start()
    stage.agent.wait_ready()
    done = stage.wait(id, "completed")
    assert stage.reserved() == [], "what the killed process held is free as well"
    assert resumed_at(stage, id) >= reached["step"]
    uninterrupted = Training(specification(spec))
    uninterrupted.advance(spec["steps"])
    assert done["checkpoint"] == uninterrupted.checkpoint._asdict()


def test_an_orderly_end_frees_the_resources_at_once(stage: Stage) -> None:
    id = stage.add(**LONG)
    reached = stage.wait_for_checkpoint(id)
    assert stage.agent.stop() == 0
    assert stage.reserved() == []
    stage.agent.start()
    stage.agent.wait_ready()
    stage.wait(id, "running")
    assert resumed_at(stage, id) >= reached["step"]
    assert stage.cancel(id) is True


def test_cycles_run_by_priority(tmp_path: Path) -> None:
    cycles = make(tmp_path)
    ids = [cycles.add("x", priority, {}, {}) for priority in (0, 5, 5, -1)]
    assert [cycle["id"] for cycle in cycles.first_queued(10)] == [ids[1], ids[2], ids[0], ids[3]]


def test_only_a_change_from_the_expected_state_is_made(tmp_path: Path) -> None:
    cycles = make(tmp_path)
    id = cycles.add("x", 0, {}, {})
    assert cycles.move(id, ("running",), "completed") is False
    assert cycles.move(id, ("queued",), "cancelled") is True
    assert cycles.move(id, ("queued", "running"), "running") is False
    assert cycles.counts == {"cancelled": 1}


def test_finished_cycles_are_forgotten_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycles_module, "MAX_FINISHED", 2)
    cycles = make(tmp_path)
    ids = [cycles.add("x", 0, {}, {}) for _ in range(4)]
    for id in ids[:3]:
        cycles.move(id, ("queued",), "cancelled")
    assert [cycle["id"] for cycle in cycles.latest(10)] == [ids[3], ids[2], ids[1]]


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    make(tmp_path).add("x", 0, {}, {})
    with closing(sqlite3.connect(tmp_path / cycles_module.FILE)) as database:
        database.execute("UPDATE cycles SET state = 'asleep'")
        database.commit()
    cycles = make(tmp_path)
    assert cycles.latest(10) == []
    assert cycles.problem is None
    assert (tmp_path / (cycles_module.FILE + ".damaged")).exists()


def test_training_goes_on_from_a_checkpoint_to_the_last_bit() -> None:
    spec = specification({"seed": 3, "steps": 100})
    whole, half = Training(spec), Training(spec)
    whole.advance(100)
    half.advance(37)
    rest = Training(spec, Checkpoint(**half.checkpoint._asdict()))
    while not rest.done():
        rest.advance(10)
    assert rest.checkpoint == whole.checkpoint
    assert whole.checkpoint.loss < half.checkpoint.loss


def test_training_finds_hidden_weights_again() -> None:
    training = Training(specification({"seed": 1, "rows": 50, "features": 2, "steps": 100, "learning_rate": 0.3}))
    training.advance(100)
    assert training.checkpoint.weights == pytest.approx(hidden_weights(1, 2), abs=0.05)
    with pytest.raises(DivergedError):
        Training(specification({"learning_rate": 1000, "steps": 1000})).advance(1000)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"steps": 0}, "`steps`"),
        ({"learning_rate": -1}, "`learning_rate`"),
        ({"rows": 2001}, "`rows`"),
        ({"data": "x"}, "`data`"),
        ({"data": [[1, 2]]}, "2 to 2000 rows"),
        ({"data": [[1, 2], [1]]}, "one length"),
        ({"data": [[1], [1]]}, "one length"),
        ({"data": [[1, 2], [1, "2"]]}, "`data`"),
        ({"data": [[1, 2], [1, 1e300]]}, "`data`"),
    ],
)
def test_bad_specifications_are_refused(fields: Message, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        specification(fields)


def test_bad_messages_do_no_harm(stage: Stage) -> None:
    attack(stage.agent)


def resumed_at(stage: Stage, id: int) -> int:
    """The step from which a cycle went on the last time, as the agent's log says."""
    lines = [json.loads(line) for line in stage.agent.output().splitlines()]
    return [int(line["from_step"]) for line in lines if line["message"] == "cycle running" and line["id"] == id][-1]


def make(folder: Path) -> Cycles:
    return Cycles(str(folder), JsonLog("test", NO_FOLDER))
