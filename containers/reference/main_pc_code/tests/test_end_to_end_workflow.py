"""Integration: what only several agents together can do, from a frame of sound to a mood, from a question to an answer.

Runs against the deployed system (see `live_system.py`), or by itself:

    python3 main_pc_code/tests/test_end_to_end_workflow.py

Whether there is a language model is asked of GoTToTAgent; `TEST_MODEL`, if set, says that there must be one.
"""

import base64
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

sys.path.append(str(Path(__file__).resolve().parents[2]))

from main_pc_code.common.sound_source import voiced
from main_pc_code.tests.harness import AgentProcess, Message, wait_for
from main_pc_code.tests.live_system import LiveSystem, read_description

NEEDS = (
    "SystemDigitalTwin",
    "CoordinatorAgent",
    "ChainOfThoughtAgent",
    "GoTToTAgent",
    "EmotionEngine",
    "AudioCapture",
)
WORKER = "main_pc_code/tests/worker_agent.py"
QUESTION = "The sky is blue. What is 17 * 23? Name a colour."
SOLVE_TIMEOUT_S = 120.0


def model_expected() -> bool:
    """Decided before any test runs, since each case has its own test. Plain runs have no model."""
    if os.environ.get("TEST_MODEL"):
        return True
    if read_description() is None:
        return False
    with LiveSystem(["GoTToTAgent"]) as system:
        return not system.problems() and system["GoTToTAgent"].health()["model_loaded"] is not None


def solve(system: LiveSystem) -> Message:
    task = {"action": "solve", "problem": QUESTION, "max_revisions": 1, "timeout_s": SOLVE_TIMEOUT_S - 10}
    fields = {"capability": "chain_of_thought", "request": task, "timeout_s": SOLVE_TIMEOUT_S - 5}
    return system["CoordinatorAgent"].ask("submit", SOLVE_TIMEOUT_S, **fields)


def test_captured_sound_is_published_frame_by_frame(system: LiveSystem) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe(b"")
        subscriber.connect(system["AudioCapture"].publish_address())
        messages = [subscriber.recv_multipart() for _ in range(5) if subscriber.poll(10_000)]
    assert len(messages) == 5, "AudioCapture publishes nothing"
    headers = [json.loads(header) for header, _frame in messages]
    assert [header["sequence"] - headers[0]["sequence"] for header in headers] == list(range(5))
    assert {len(frame) for _header, frame in messages} == {640}


def test_a_frame_of_sound_becomes_a_changed_mood(system: LiveSystem) -> None:
    engine, capture = system["EmotionEngine"], system["AudioCapture"]
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe(b"")
        subscriber.connect(engine.publish_address())
        before = engine.ask("get_emotion")["events"]
        lost_before = capture.health()["events_lost"]  # A system that has been up for a while may have lost some.
        inject(capture.ask, [bytes(640)] * 30)
        reply = inject(capture.ask, voiced(25, 150))
        assert "voice_started" in reply["events"], reply
        wait_for(lambda: engine.ask("get_emotion")["events"] > before, "EmotionEngine has heard of it")
        assert wait_for(lambda: published_for(subscriber, "voice"), "the changed mood is published")
        assert capture.health()["events_lost"] == lost_before


def inject(ask: Callable[..., Message], frames: list[bytes]) -> Message:
    return ask("inject_frames", pcm_base64=base64.b64encode(b"".join(frames)).decode())


def published_for(subscriber: zmq.Socket, cause: str) -> bool:
    return bool(subscriber.poll(100)) and cause in json.loads(subscriber.recv_multipart()[-1])["cause"]


if model_expected():

    def test_a_question_is_answered_step_by_step(system: LiveSystem) -> None:
        model = system["GoTToTAgent"].health()["model_loaded"]
        assert model, "TEST_MODEL says that there is a model"
        reply = solve(system)
        assert reply["status"] == "ok", reply
        assert reply["by"] == "ChainOfThoughtAgent"
        result = reply["result"]
        assert [item["step"] for item in result["trace"]] == ["What is 17 * 23?", "Name a colour."]
        for item in result["trace"]:
            assert item["answer"].strip()
            # What the model says need not be true, and then the trace must not call it verified.
            assert item["verified"] is not any(attempt["objections"] for attempt in item["attempts"][-1:])
        assert result["answer"] == result["trace"][-1]["answer"]

else:

    def test_without_a_model_the_error_says_what_is_missing(system: LiveSystem) -> None:
        assert system["GoTToTAgent"].health()["model_loaded"] is None
        reply = solve(system)
        assert (reply["status"], reply["code"]) == ("error", "unavailable"), reply
        assert "step 1" in reply["error"]
        assert "model" in reply["error"]


class Workers:
    """Two agents of this test with a capability that nobody else has, registered with the system under test."""

    def __init__(self, system: LiveSystem, folder: Path) -> None:
        id = uuid.uuid4().hex[:8]
        self.system = system
        self.capability = f"work for test {id}"
        self.go_on = folder / "go on"
        environment = {
            "BIND_ADDRESS": "0.0.0.0",
            "WORKER_CAPABILITY": self.capability,
            "SYSTEM_DIGITAL_TWIN_ADDRESS": system["SystemDigitalTwin"].address,
        }
        names = [f"TestWorker-{id}-{number}" for number in (1, 2)]
        self.processes = {name: AgentProcess(WORKER, environment | {"AGENT_NAME": name}) for name in names}

    def known(self) -> int:
        found = self.system["CoordinatorAgent"].ask("find_agents", capability=self.capability)
        return len(found["agents"])

    def submit(self) -> Message:
        task = {"action": "work", "until": str(self.go_on), "timeout_s": 50}
        return self.system["CoordinatorAgent"].ask("submit", 60, capability=self.capability, request=task)

    def busy(self) -> str | None:
        """The one that has the task."""
        found = [name for name, agent in self.processes.items() if agent.alive() and agent.health()["begun"]]
        return found[0] if found else None


@pytest.fixture
def workers(system: LiveSystem, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(system, tmp_path)
    with ExitStack() as processes:
        for process in workers.processes.values():
            processes.enter_context(process)
        wait_for(lambda: workers.known() == 2, "both workers are known to the coordinator")
        yield workers
        for name in workers.processes:
            system["SystemDigitalTwin"].ask("deregister", name=name)


def test_another_agent_takes_over_when_one_is_killed_in_the_middle(workers: Workers) -> None:
    replies: list[Message] = []
    task = threading.Thread(target=lambda: replies.append(workers.submit()))
    task.start()
    first = wait_for(workers.busy, "a worker has the task")
    assert first
    workers.processes[first].kill()
    killed_s = time.monotonic()
    second = wait_for(workers.busy, "the other worker has the task")
    assert time.monotonic() - killed_s < 5, "the loss of an agent is noticed at once, and not when the time is over"
    workers.go_on.touch()
    task.join()
    assert replies[0]["status"] == "ok", replies
    assert replies[0]["result"]["done"] == replies[0]["by"] == second
    assert [attempt["agent"] for attempt in replies[0]["attempts"]] == [first]


def test_tasks_are_shared_among_agents(workers: Workers) -> None:
    threads = [threading.Thread(target=workers.submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: all(agent.health()["begun"] for agent in workers.processes.values()), "each has one of two tasks")
    workers.go_on.touch()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-v", "-p", "no:cacheprovider", *sys.argv[1:]]))
