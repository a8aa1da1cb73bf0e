"""GoTToTAgent: the search on small graphs whose answers are known, and the agent with a tiny model and without one."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from main_pc_code.common.language_model import LOWEST_SCORE, LanguageModel
from main_pc_code.common.thought_search import Chain, Limits, Result, search
from main_pc_code.FORMAINPC.GOT_TOTAgent import ANSWER_TOKENS, PROMPT, GoTToTAgent, first_line, point_of, steps_text
from main_pc_code.tests.harness import AgentProcess
from main_pc_code.tests.hostile import attack, send_nasty_fields
from main_pc_code.tests.in_process import AgentThread, run_agent
from main_pc_code.tests.tiny_model import make_causal

WIDE = Limits(width=100, depth=10, max_expansions=1000, time_s=60)


class Graph:
    """A search where a point is a chain's last step; scores belong to points, or to chains where they are given."""

    def __init__(self, edges: dict[str, str], scores: dict[str, float]) -> None:
        self.edges, self.scores = edges, scores
        self.expanded: list[str] = []

    def expand(self, chain: Chain) -> list[str]:
        self.expanded.append("".join(chain))
        return list(self.edges.get(chain[-1] if chain else "", ""))

    def score(self, chain: Chain) -> float:
        path = "".join(chain)
        return self.scores.get(path, self.scores.get(path[-1:], 0.0))

    def search(self, limits: Limits = WIDE, **options: Any) -> Result:
        return search(self.expand, self.score, limits, key=lambda chain: chain[-1:], **options)


def tree() -> Graph:
    """`b` looks worse than `a` but leads to the best end."""
    return Graph({"": "ab", "a": "cd", "b": "ef"}, {"a": 5, "b": 4, "c": 1, "d": 2, "e": 9, "f": 3})


def test_a_wide_search_finds_the_best_end() -> None:
    result = tree().search()
    assert (result.chain, result.score, result.stopped) == (("b", "e"), 9, "exhausted")
    assert (result.expansions, result.thoughts, result.pruned) == (7, 6, 0)


def test_a_narrow_search_prunes_what_looks_worse() -> None:
    graph = tree()
    result = graph.search(WIDE._replace(width=1))
    assert (result.chain, result.score) == (("a", "d"), 2)
    assert graph.expanded == ["", "a", "ad"]
    assert result.pruned == 2


@pytest.mark.parametrize(("better", "worse"), [("a", "b"), ("b", "a")])
def test_ways_to_the_same_point_are_merged_into_the_better_one(better: str, worse: str) -> None:
    scores = {f"{better}x": 3.0, f"{worse}x": 1.0, f"{better}xz": 2.0, f"{worse}xz": 10.0}
    graph = Graph({"": "ab", "a": "x", "b": "x", "x": "z"}, scores)
    result = graph.search()
    assert result.merged == 1
    assert f"{better}x" in graph.expanded
    assert f"{worse}x" not in graph.expanded, "a point is expanded once, from its better chain"
    assert result.chain == (better, "x", "z")


def test_circles_end() -> None:
    result = Graph({"": "a", "a": "b", "b": "a"}, {"a": 1, "b": 2}).search()
    assert (result.chain, result.merged, result.stopped) == (("a", "b"), 1, "exhausted")


def test_an_end_on_the_way_can_be_the_best() -> None:
    result = Graph({"": "ab", "b": "c", "c": "d"}, {"a": 7, "b": 1, "c": 2, "d": 3}).search()
    assert result.chain == ("a",)


def test_depth_is_bounded() -> None:
    graph = Graph({"": "a", "a": "b", "b": "c", "c": "d"}, {})
    result = graph.search(WIDE._replace(depth=2))
    assert (result.chain, result.expansions, result.stopped) == (("a", "b"), 2, "depth")


def test_expansions_are_bounded_and_what_is_known_counts() -> None:
    graph = tree()
    result = graph.search(WIDE._replace(max_expansions=2))
    assert graph.expanded == ["", "a"]
    # `b` was to be the next; not expanded, it is still better than the ends of `a`.
    assert (result.chain, result.stopped) == (("b",), "expansions")


def test_time_is_bounded() -> None:
    ticks = iter(range(100))
    graph = tree()
    result = graph.search(WIDE._replace(time_s=2), clock=lambda: next(ticks))
    assert graph.expanded == [""]
    assert (result.chain, result.stopped) == (("a",), "time")


def test_the_same_thoughts_in_another_order_are_the_same_point() -> None:
    assert point_of(("The sun", "is  warm")) == point_of(("is warm", "the SUN"))
    assert point_of(("The sun",)) != point_of(("The sun", "is warm"))


def test_texts_for_the_model() -> None:
    assert steps_text(("think", "check")) == "Step 1: think\nStep 2: check\n"
    assert first_line("\n  four \n five") == "four"
    assert first_line(" \n ") == ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="only the gpu image has transformers")
    folder = tmp_path_factory.mktemp("models")
    make_causal(folder / "tiny-causal")
    return folder


@pytest.fixture(scope="module")
def thinker(folder: Path) -> Iterator[AgentThread]:
    with run_agent(GoTToTAgent, {"MODEL_FOLDER": str(folder), "CUDA_VISIBLE_DEVICES": ""}) as agent:
        yield agent


def language_model(thinker: AgentThread) -> LanguageModel:
    assert isinstance(thinker.agent, GoTToTAgent)
    assert thinker.agent.model is not None
    return thinker.agent.model


QUESTION = {"action": "think", "question": "Why is the sea cold?", "width": 2, "depth": 2, "branches": 2}


def test_a_question_is_answered_from_a_chain_of_thoughts(thinker: AgentThread) -> None:
    reply = thinker.ask(QUESTION)
    assert reply["status"] == "ok", reply
    assert reply["answer"]
    assert reply["model"] == thinker.health()["model_loaded"] == "tiny-causal"
    assert 1 <= len(reply["trace"]) <= 2
    assert all(step["thought"] and 0 < step["score"] < 1 for step in reply["trace"])
    assert reply["score"] == reply["trace"][-1]["score"]
    assert reply["search"]["expansions"] == 3


def test_the_answer_and_the_scores_come_from_the_model_and_the_chain(thinker: AgentThread) -> None:
    reply = thinker.ask(QUESTION)
    model, prompt = language_model(thinker), PROMPT.format(question=QUESTION["question"])
    chain = tuple(step["thought"] for step in reply["trace"])
    answer = first_line(model.generate(f"{prompt}{steps_text(chain)}Answer:", ANSWER_TOKENS, 10)[0])
    assert reply["answer"] == (answer or chain[-1])
    for end, step in enumerate(reply["trace"], 1):
        assert step["score"] == pytest.approx(math.exp(model.score(prompt, steps_text(chain[:end]))), abs=1e-5)


def test_the_seed_decides(thinker: AgentThread) -> None:
    assert thinker.ask(QUESTION | {"seed": 7}) == thinker.ask(QUESTION | {"seed": 7})
    assert thinker.ask(QUESTION | {"seed": 7})["trace"] != thinker.ask(QUESTION | {"seed": 8})["trace"]


def test_a_score_is_the_mean_log_likelihood_of_the_tokens(thinker: AgentThread, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "tiny-causal")
    network = AutoModelForCausalLM.from_pretrained(folder / "tiny-causal")
    read, expected = tokenizer("The sun").input_ids, []
    for token in tokenizer(" is warm today").input_ids:
        with torch.inference_mode():
            logits = network(torch.tensor([read])).logits[0, -1]
        expected.append(float(logits.log_softmax(-1)[token]))
        read.append(token)
    model = language_model(thinker)
    assert model.score("The sun", " is warm today") == pytest.approx(sum(expected) / len(expected), abs=1e-4)
    assert model.score("The sun", "") == LOWEST_SCORE


def test_time_runs_out(thinker: AgentThread) -> None:
    reply = thinker.ask(QUESTION | {"width": 8, "depth": 8, "branches": 8, "max_expansions": 64, "timeout_s": 0.2})
    assert (reply["status"], reply["search"]["stopped"]) == ("ok", "time")


@pytest.mark.parametrize(
    "fields",
    [
        {"question": ""},
        {"question": "x" * 8001},
        {"question": 4},
        {"width": 0},
        {"depth": 9},
        {"branches": 1.5},
        {"timeout_s": 1e9},
        {"max_expansions": True},
    ],
)
def test_bad_questions_are_refused(thinker: AgentThread, fields: dict[str, Any]) -> None:
    reply = thinker.ask(QUESTION | fields)
    assert (reply["status"], reply["code"]) == ("error", "bad_request")


def test_without_a_model_it_says_so_and_refuses(tmp_path: Path) -> None:
    with run_agent(GoTToTAgent, {"MODEL_FOLDER": str(tmp_path)}) as agent:
        health = agent.health()
        assert (health["status"], health["ready"], health["model_loaded"]) == ("ok", True, None)
        assert "no causal language model" in health["model_problem"]
        reply = agent.ask(QUESTION)
        assert (reply["status"], reply["code"]) == ("error", "unavailable")
        assert "has no model" in reply["error"]


def test_no_message_harms_it(tmp_path: Path) -> None:
    with AgentProcess("main_pc_code/FORMAINPC/GOT_TOTAgent.py", {"MODEL_FOLDER": str(tmp_path)}) as agent:
        attack(agent)


def test_no_field_harms_it_when_it_has_a_model(thinker: AgentThread) -> None:
    send_nasty_fields(thinker, "think")
    assert thinker.ask(QUESTION)["status"] == "ok"
