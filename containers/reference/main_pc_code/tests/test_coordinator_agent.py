"""CoordinatorAgent between real sockets: a registry and agents played by this test, the coordinator a real process."""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from main_pc_code.agents.coordinator_agent import CoordinatorAgent
from main_pc_code.common.router import SHARE, SUSPECT_S, Candidate, Router
from main_pc_code.tests.harness import AgentProcess, Crowd, FakePeer, Message, wait_for
from main_pc_code.tests.hostile import assert_refuses, attack

SCRIPT = "main_pc_code/agents/coordinator_agent.py"
names = itertools.count()


class Stage:
    """The coordinator, and whatever agents a test puts into the registry."""

    def __init__(self) -> None:
        self.entries: list[Message] = []
        self.peers: list[FakePeer] = []
        self.registry = FakePeer(lambda _request: {"agents": self.entries})
        self.coordinator = AgentProcess(SCRIPT, {"SYSTEM_DIGITAL_TWIN_ADDRESS": self.registry.address})

    def agent(self, capability: str, answer: Callable[[Message], Message | None]) -> FakePeer:
        """Registers one more agent; names are in the order of registration."""
        peer = FakePeer(answer)
        self.peers.append(peer)
        self.entries.append({"name": f"agent{next(names)}", "address": peer.address, "capabilities": [capability]})
        return peer

    def submit(self, capability: str, **fields: Any) -> Message:
        return self.coordinator.ask(submission(capability, **fields))

    def crowd(self, capability: str, count: int, **fields: Any) -> Crowd:
        return Crowd(self.coordinator.address, submission(capability, **fields), count)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with stage.coordinator:
        yield stage
    for peer in [*stage.peers, stage.registry]:
        peer.close()


def submission(capability: str, **fields: Any) -> Message:
    return {"action": "submit", "capability": capability, "request": {"action": "work"}, **fields}


def silent(_request: Message) -> None:
    return None


def always(reply: Message, _request: Message) -> Message:
    return reply


def test_a_task_goes_to_the_agent_that_has_the_capability(stage: Stage) -> None:
    stage.agent("other", lambda _request: {"value": "wrong"})
    able = stage.agent("adding", lambda request: {"value": request["a"] + request["b"]})
    reply = stage.submit("adding", request={"action": "add", "a": 2, "b": 3})
    assert reply["result"]["value"] == 5
    assert reply["by"] == stage.entries[-1]["name"]
    assert able.requests == [{"action": "add", "a": 2, "b": 3}]


def test_an_unknown_capability_is_refused_by_name(stage: Stage) -> None:
    reply = stage.submit("telepathy")
    assert reply["code"] == "unavailable"
    assert "`telepathy`" in reply["error"]


def test_another_agent_takes_over_when_one_dies_in_the_middle(stage: Stage) -> None:
    dying = stage.agent("mortal", silent)
    with stage.crowd("mortal", 1, timeout_s=60) as crowd:
        wait_for(lambda: dying.requests, "the task has arrived")
        stage.agent("mortal", lambda _request: {"value": "done"})
        dying.close()
        replies = crowd.receive(timeout_s=5)
    assert replies, "the loss of the first agent was not noticed"
    assert replies[0]["result"]["value"] == "done"
    assert [attempt["agent"] for attempt in replies[0]["attempts"]] == [stage.entries[-2]["name"]]


def test_another_agent_gets_its_share_of_the_time_when_one_is_silent(stage: Stage) -> None:
    stage.agent("slow", silent)
    stage.agent("slow", lambda _request: {"value": "done"})
    with stage.crowd("slow", 2, timeout_s=0.6) as crowd:
        replies = crowd.receive()
    assert [reply["result"]["value"] for reply in replies] == ["done", "done"]
    assert sorted(len(reply["attempts"]) for reply in replies) == [0, 1]
    assert counts(stage)["retries"] >= 1


def test_a_task_that_nobody_answers_ends_in_time(stage: Stage) -> None:
    stage.agent("never", silent)
    started_s = time.monotonic()
    reply = stage.submit("never", timeout_s=0.2)
    assert 0.2 <= time.monotonic() - started_s < 1
    assert reply["code"] == "timeout"
    assert stage.entries[-1]["name"] in str(reply["attempts"])


def test_a_bad_request_is_not_tried_again_elsewhere(stage: Stage) -> None:
    refusal = {"status": "error", "code": "bad_request", "error": "`a` must be of type int"}
    peers = [stage.agent("strict", lambda _request: refusal) for _ in range(2)]
    reply = stage.submit("strict")
    assert reply["code"] == "bad_request"
    assert "`a` must be of type int" in reply["error"]
    assert sum(len(peer.requests) for peer in peers) == 1


def test_any_other_error_is_tried_elsewhere(stage: Stage) -> None:
    failing = {"status": "error", "code": "internal", "error": "internal error: KeyError"}
    peers = [stage.agent("shaky", lambda _request: failing), stage.agent("shaky", lambda _request: {"value": 1})]
    assert all(stage.submit("shaky")["result"]["value"] == 1 for _ in range(3))
    assert peers[0].requests, "the failing agent was never asked, so that nothing was tried elsewhere"


def test_when_all_agents_are_busy_the_sender_is_told_when_to_come_back(stage: Stage) -> None:
    for retry_after_s in (0.7, 0.3):
        refusal = {"status": "error", "code": "busy", "error": "busy", "retry_after_s": retry_after_s}
        stage.agent("crowded", partial(always, refusal))
    reply = stage.submit("crowded")
    assert (reply["code"], reply["retry_after_s"]) == ("busy", 0.7)


def test_too_many_tasks_of_one_kind_are_refused_and_leave_room_for_others(stage: Stage) -> None:
    stuck = stage.agent("stuck", silent)
    stage.agent("free", lambda _request: {"value": "done"})
    limit = int(SHARE * CoordinatorAgent.workers)
    with stage.crowd("stuck", limit + 20) as crowd:
        refused = crowd.receive(20)
        assert [reply["code"] for reply in refused] == ["busy"] * 20, "what is over the limit is refused at once"
        assert all(reply["retry_after_s"] > 0 for reply in refused)
        assert stage.submit("free")["result"]["value"] == "done"
        stuck.close()
        assert [reply["code"] for reply in crowd.receive()] == ["unavailable"] * limit


def test_it_goes_on_without_the_registry() -> None:
    stage = Stage()
    with stage.coordinator:
        stage.agent("lasting", lambda _request: {"value": "done"})
        assert stage.submit("lasting")["result"]["value"] == "done"
        stage.registry.close()
        assert "cannot be asked" in stage.submit("unknown")["error"]
        assert stage.coordinator.health()["registry"] != "ok"
        assert stage.submit("lasting")["result"]["value"] == "done"
    stage.peers[0].close()


def test_counts_are_in_the_health_reply(stage: Stage) -> None:
    stage.agent("counted", lambda _request: {})
    before = counts(stage)
    stage.submit("counted")
    stage.submit("uncounted")
    after = counts(stage)
    assert {key: after[key] - before[key] for key in after} == {
        "in_hand": 0, "done": 1, "failed": 1, "refused": 0, "retries": 0,
    }  # fmt: skip


def test_requests_are_checked(stage: Stage) -> None:
    for fields, problem in (
        ({"capability": ""}, "`capability` must have 1 to 200 characters"),
        ({"request": "work"}, "`request` must be of type dict"),
        ({"timeout_s": 0}, "`timeout_s` must be from 0.01 to 600"),
        ({"attempts": 1.5}, "`attempts` must be of type int"),
    ):
        request = {"action": "submit", "capability": "x", "request": {}, **fields}
        assert_refuses(stage.coordinator.address, request, problem)


def test_bad_messages_do_no_harm(stage: Stage) -> None:
    attack(stage.coordinator)


def test_the_router_prefers_agents_with_less_in_hand_and_without_failures() -> None:
    router = Router(10)
    router.set_candidates(Candidate(name, "", ("x",)) for name in ("a", "b"))
    chosen = [router.choose("x", set(), 0.0) for _ in range(2)]
    assert [choice and choice[0].name for choice in chosen] == ["a", "b"]
    router.finish("a", failed=True, now_s=0.0)
    assert router.choose("x", set(), 1.0) == (Candidate("b", "", ("x",)), 2)
    assert router.choose("x", {"b"}, 1.0) == (Candidate("a", "", ("x",)), 1)
    router.finish("a", failed=False, now_s=SUSPECT_S)
    assert router.choose("x", {"a", "b"}, 1.0) is None


def test_the_router_always_leaves_room_for_another_capability() -> None:
    router = Router(8)
    admitted = [sum(router.admit(capability) for _ in range(8)) for capability in "abc"]
    assert admitted == [6, 1, 1]
    router.leave("a")
    assert router.in_hand() == 7
    assert router.admit("c") is False


def counts(stage: Stage) -> dict[str, int]:
    return dict(stage.coordinator.health()["tasks"])
