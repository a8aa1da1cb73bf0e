"""GoTToTAgent: answers a question by a search in a graph of thoughts."""

import math
import os
import sys
import time
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Reply, Request, main
from main_pc_code.common.language_model import LanguageModel
from main_pc_code.common.language_service import DEFAULT_TIMEOUT_S, MAX_TEXT_CHARS, MAX_TIMEOUT_S, LanguageAgent
from main_pc_code.common.messages import RequestError, number, text
from main_pc_code.common.thought_search import Chain, Limits, search

PROMPT = "Question: {question}\nLet us think step by step.\n"
STEP = "Step {number}: {thought}\n"
STEP_TOKENS, ANSWER_TOKENS = 32, 64
TEMPERATURE = 0.8
MAX_EXPANSIONS = 64
SEARCH_SHARE = 0.7  # Of the time; the rest is for the answer.
MIN_ANSWER_S = 0.5


class GoTToTAgent(LanguageAgent):
    """A causal language model proposes the thoughts of the search, says how likely each is, and writes the answer."""

    default_name = "GoTToTAgent"
    default_port = 7000
    description = "Thinks in a graph of thoughts with a causal language model and answers from the best chain of them."
    capabilities = ("graph_of_thought",)

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"think": self.think}

    def think(self, request: Request) -> Reply:
        started_s = time.monotonic()
        question = text(request, "question", MAX_TEXT_CHARS)
        seed = number(request, "seed", 0, 2**31, 0, whole=True)
        branches = number(request, "branches", 1, 8, 3, whole=True)
        timeout_s = number(request, "timeout_s", 0.1, MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S)
        limits = Limits(
            width=number(request, "width", 1, 8, 2, whole=True),
            depth=number(request, "depth", 1, 8, 3, whole=True),
            max_expansions=number(request, "max_expansions", 1, MAX_EXPANSIONS, 16, whole=True),
            time_s=SEARCH_SHARE * timeout_s,
        )
        with self.working_model() as model:
            thinker = Thinker(model, question, branches, seed, started_s + SEARCH_SHARE * timeout_s)
            result = search(thinker.expand, thinker.score, limits, key=point_of)
            answer = thinker.answer(result.chain, max(MIN_ANSWER_S, started_s + timeout_s - time.monotonic()))
        if not answer:
            raise RequestError(f"model `{model.name}` has nothing to say to this", code="unavailable")
        return {
            "answer": answer,
            "score": round(math.exp(result.score), 6) if result.chain else 0.0,
            "trace": thinker.trace(result.chain),
            "search": {key: value for key, value in result._asdict().items() if key not in ("chain", "score")},
            "model": model.name,
        }


class Thinker:
    """One question to a language model; a score is the mean log-likelihood of a chain's tokens."""

    def __init__(self, model: LanguageModel, question: str, branches: int, seed: int, deadline_s: float) -> None:
        self.model, self.branches, self.deadline_s = model, branches, deadline_s
        self.seed = seed * 2 * MAX_EXPANSIONS  # Each expansion takes one more, and none that another seed would take.
        self.prompt = PROMPT.format(question=question)
        self.scores: dict[Chain, float] = {}

    def expand(self, chain: Chain) -> list[str]:
        """Possible next thoughts."""
        prompt = self.prompt + steps_text((*chain, "")).rstrip()
        self.seed += 1
        timeout_s = max(0.0, self.deadline_s - time.monotonic())
        texts = self.model.generate(prompt, STEP_TOKENS, timeout_s, self.branches, TEMPERATURE, self.seed)
        return [thought for thought in map(first_line, texts) if thought]

    def score(self, chain: Chain) -> float:
        if chain not in self.scores:
            self.scores[chain] = self.model.score(self.prompt, steps_text(chain))
        return self.scores[chain]

    def answer(self, chain: Chain, timeout_s: float) -> str:
        """The model's answer after a chain of thoughts; the last thought if it adds nothing to it."""
        prompt = f"{self.prompt}{steps_text(chain)}Answer:"
        answer = first_line(self.model.generate(prompt, ANSWER_TOKENS, timeout_s)[0])
        return answer or (chain[-1] if chain else "")

    def trace(self, chain: Chain) -> list[Reply]:
        """Each thought with the likelihood, from 0 to 1, of a token in the chain that ends with it."""
        ends = range(1, len(chain) + 1)
        return [{"thought": chain[end - 1], "score": round(math.exp(self.score(chain[:end])), 6)} for end in ends]


def point_of(chain: Chain) -> frozenset[str]:
    """What a chain has thought of, in whatever order and spelling: the same thoughts lead to the same point."""
    return frozenset(" ".join(thought.casefold().split()) for thought in chain)


def steps_text(chain: Chain) -> str:
    return "".join(STEP.format(number=number, thought=thought) for number, thought in enumerate(chain, 1))


def first_line(generated: str) -> str:
    lines = generated.strip().splitlines()
    return lines[0].strip() if lines else ""


if __name__ == "__main__":
    main(GoTToTAgent)
