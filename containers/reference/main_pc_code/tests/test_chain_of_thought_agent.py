"""ChainOfThoughtAgent with a coordinator played by this test, and the rules by which it doubts answers."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from main_pc_code.common.reasoning import agree, exact_value, objections, split_problem
from main_pc_code.tests.harness import AgentProcess, FakePeer, Message
from main_pc_code.tests.hostile import assert_refuses, attack

SCRIPT = "main_pc_code/FORMAINPC/ChainOfThoughtAgent.py"

Thinker = Callable[[str, int], str | Message]


class Stage:
    """The agent, and a thinker that each test sets: from a question and a seed to an answer, or to a whole reply."""

    def __init__(self) -> None:
        self.thinker: Thinker = lambda _question, _seed: ""
        self.coordinator = FakePeer(self._coordinate)
        self.agent = AgentProcess(SCRIPT, {"COORDINATOR_AGENT_ADDRESS": self.coordinator.address})

    def solve(self, thinker: Thinker, problem: str, **fields: Any) -> Message:
        self.thinker = thinker
        self.coordinator.requests.clear()
        return self.agent.ask({"action": "solve", "problem": problem, **fields})

    def questions(self) -> list[str]:
        return [request["request"]["question"] for request in self.coordinator.requests]

    def _coordinate(self, request: Message) -> Message:
        assert (request["action"], request["capability"]) == ("submit", "graph_of_thought")
        task = request["request"]
        answer = self.thinker(task["question"], task["seed"])
        return answer if isinstance(answer, dict) else {"result": {"answer": answer}, "by": "Thinker"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with stage.coordinator, stage.agent:
        yield stage


def test_each_step_is_asked_with_what_is_known_so_far(stage: Stage) -> None:
    answers = {"How many apples has he?": "Seven: 3 + 4 = 7", "Then multiply 7 * 2.": "That makes 14"}
    problem = "Tom has 3 apples. He buys 4 more. How many apples has he? Then multiply 7 * 2."
    reply = stage.solve(
        lambda question, _seed: next(answers[step] for step in answers if question.endswith(step)), problem
    )
    assert [item["step"] for item in reply["trace"]] == list(answers)
    assert (reply["answer"], reply["verified"]) == ("That makes 14", True)
    assert stage.questions()[-1] == (
        "Given: Tom has 3 apples. He buys 4 more.\nHow many apples has he? Seven: 3 + 4 = 7\nThen multiply 7 * 2."
    )


def test_a_wrong_result_is_asked_again_with_what_is_wrong(stage: Stage) -> None:
    reply = stage.solve(
        lambda question, _seed: "391" if "is 391, not 381" in question else "17 * 23 = 381", "What is 17 * 23?"
    )
    first, second = reply["trace"][0]["attempts"]
    assert first["objections"][0] == "17 * 23 is 391, not 381"
    assert (second["answer"], second["objections"]) == ("391", [])
    assert (reply["answer"], reply["verified"]) == ("391", True)


def test_what_cannot_be_calculated_is_asked_twice(stage: Stage) -> None:
    cities = ["Paris, the capital", "Lyon, certainly", "Paris, the capital", "Paris, the famous capital"]
    reply = stage.solve(lambda _question, seed: cities[seed], "Where is the tower?")
    first, second = reply["trace"][0]["attempts"]
    assert (first["answer"], first["second"]) == tuple(cities[:2])
    assert "Lyon, certainly" in first["objections"][0]
    assert (second["second"], second["objections"]) == (cities[3], [])
    assert reply["verified"] is True


def test_revisions_are_bounded_and_the_doubt_is_reported(stage: Stage) -> None:
    reply = stage.solve(lambda _question, _seed: "4", "What is 1 + 2?", max_revisions=3)
    assert len(reply["trace"][0]["attempts"]) == len(stage.questions()) == 4
    assert (reply["answer"], reply["verified"]) == ("4", False)


def test_a_busy_coordinator_is_asked_again(stage: Stage) -> None:
    busy = {"status": "error", "code": "busy", "error": "busy", "retry_after_s": 0.01}
    reply = stage.solve(lambda *_: busy if len(stage.coordinator.requests) < 3 else "3", "What is 1 + 2?")
    assert (reply["answer"], reply["verified"]) == ("3", True)


def test_without_anybody_who_can_think_the_error_says_why(stage: Stage) -> None:
    def thinker(question: str, _seed: int) -> str | Message:
        return {"status": "error", "code": "unavailable", "error": "no model"} if "2 * 2" in question else "2"

    reply = stage.solve(thinker, "What is 1 + 1? What is 2 * 2?")
    assert (reply["status"], reply["code"]) == ("error", "unavailable")
    assert "step 2" in reply["error"] and "no model" in reply["error"]
    assert [item["answer"] for item in reply["trace"]] == ["2"]


def test_requests_are_checked(stage: Stage) -> None:
    for fields, problem in (
        ({"problem": " "}, "`problem` must have 1 to 4000 characters"),
        ({"problem": "- "}, "0 steps"),
        ({"problem": "Why? " * 21}, "21 steps"),
        ({"problem": "x", "max_revisions": 6}, "`max_revisions` must be from 0 to 5"),
        ({"problem": "x", "timeout_s": "1"}, "`timeout_s` must be of type int or float"),
    ):
        assert_refuses(stage.agent.address, {"action": "solve", **fields}, problem)


def test_bad_messages_do_no_harm(stage: Stage) -> None:
    stage.thinker = lambda _question, _seed: "some answer"
    attack(stage.agent)


@pytest.mark.parametrize(
    ("problem", "given", "steps"),
    [
        ("Explain tea. Then compare it to coffee.", [], ["Explain tea.", "Then compare it to coffee."]),
        ("1. Alpha\n2. Beta; gamma\n\n- delta", [], ["Alpha", "Beta;", "gamma", "delta"]),
        ("It costs 3.50 each. What do 2 cost?", ["It costs 3.50 each."], ["What do 2 cost?"]),
        ("just words", [], ["just words"]),
    ],
)
def test_problems_are_split(problem: str, given: list[str], steps: list[str]) -> None:
    assert split_problem(problem) == (given, steps)


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ("What is 2 + 3 * 4 - 10 / 4?", Fraction(23, 2)),
        ("Compute 7 × 6.", 42),
        ("What is 10 - 2 - 3?", 5),
        ("What is 1 / 0?", None),
        ("Is 2 + 2 = 4?", None),
        ("What happened on 2026-11-22 on pages 3-5?", None),
        ("Add 1 + 1 and 2 + 2.", None),
        ("What is 3?", None),
    ],
)
def test_arithmetic_is_exact(step: str, value: Fraction | None) -> None:
    assert exact_value(step) == value


@pytest.mark.parametrize(
    ("step", "answer", "objection"),
    [
        ("Why?", "  ", "it is empty"),
        ("What is the colour of snow?", "The colour of snow is", "says nothing"),
        ("What is the colour of snow?", "White", None),
        ("How long?", "10 / 4 = 2.5 and 3/3=1 hours", None),
        ("How long?", "10 / 3 = 3.33 hours", None),
        ("How long?", "10 / 3 = 3.34 hours", "10 / 3 is 3.333333333, not 3.34"),
        ("How long?", "5 / 0 = 0 hours", "has no result"),
        ("What is 6 * 7?", "It is 42.", None),
        ("What is 6 * 7?", "It is 142.", "does not say 42"),
    ],
)
def test_answers_are_doubted(step: str, answer: str, objection: str | None) -> None:
    found = objections(step, answer)
    assert (objection in found[0]) if objection else not found, found


def test_two_answers_agree_by_their_numbers_or_words() -> None:
    assert agree("about 41, no, 42", "it is 42.0")
    assert not agree("it is 42", "it is 43")
    assert not agree("it is 42", "it is unknown")
    assert agree("The cat sleeps", "a cat that sleeps")
    assert not agree("The cat sleeps", "The dog barks")
    assert not agree("?", "!")
