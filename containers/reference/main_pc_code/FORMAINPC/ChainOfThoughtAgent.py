"""ChainOfThoughtAgent: solves a problem step by step, and doubts each answer."""

import os
import sys
import time
from typing import Any, NamedTuple

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.messages import PeerError, RequestError, number, text
from main_pc_code.common.reasoning import agree, exact_value, objections, split_problem

COORDINATOR = "COORDINATOR_AGENT"
CAPABILITY = "graph_of_thought"
MAX_PROBLEM_CHARS = 4000
MAX_STEPS = 20
MAX_SHOWN_CHARS = 500  # Of each earlier answer in a question.
MAX_QUESTION_CHARS = 8000
MIN_ASK_S, MAX_ASK_S = 0.2, 60.0
ASK_MARGIN_S = 1.0  # The coordinator should be the first to find that the time is over, and say what happened.
THINKING_SHARE = 0.8  # Of the time for an ask; the rest is for the way there and back.
PASSED_ON = ("code", "retry_after_s")  # Of an error reply.


class Attempt(NamedTuple):
    """An answer to a step, a second one to the same question where that was needed, and what speaks against it."""

    answer: str
    second: str | None
    objections: list[str]


class ChainOfThoughtAgent(Agent):
    """Has each step answered through the coordinator; what does not stand up to verification is asked again."""

    default_name = "ChainOfThoughtAgent"
    default_port = 5612
    description = "Breaks a problem into steps, has each answered, verifies and revises; returns the trace."
    capabilities = ("chain_of_thought", "problem_splitting")
    workers = 4

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"solve": self.solve, "split_problem": self.split_problem}

    def split_problem(self, request: Request) -> Reply:
        given, steps = split_problem(text(request, "problem", MAX_PROBLEM_CHARS))
        return {"given": given, "steps": steps}

    def solve(self, request: Request) -> Reply:
        """`timeout_s` is for all steps together; `verified` says whether every answer stood up to verification."""
        given, steps = split_problem(text(request, "problem", MAX_PROBLEM_CHARS))
        revisions = number(request, "max_revisions", 0, 5, default=2, whole=True)
        deadline_s = time.monotonic() + number(request, "timeout_s", 0.1, 600, default=25.0)
        if not 1 <= len(steps) <= MAX_STEPS:
            raise RequestError(f"the problem has {len(steps)} steps; expected 1 to {MAX_STEPS}")
        trace: list[dict[str, Any]] = []
        for index, step in enumerate(steps):
            step_end_s = time.monotonic() + (deadline_s - time.monotonic()) / (len(steps) - index)
            try:
                attempts = self._attempts(step, context(given, trace), revisions, step_end_s)
            except PeerError as error:
                hints = {"code": "unavailable"} | {key: error.reply[key] for key in PASSED_ON if key in error.reply}
                raise RequestError(f"step {index + 1} was not answered: {error}", **hints, trace=trace) from error
            best = min(reversed(attempts), key=lambda attempt: len(attempt.objections))
            shown = {"answer": best.answer, "verified": not best.objections}
            trace.append({"step": step, **shown, "attempts": [attempt._asdict() for attempt in attempts]})
        verified = all(item["verified"] for item in trace)
        return {"answer": trace[-1]["answer"], "verified": verified, "trace": trace}

    def _attempts(self, step: str, known: str, revisions: int, end_s: float) -> list[Attempt]:
        """Ends with the first answer to which there is no objection; PeerError if there is not a single answer."""
        question, attempts = known + step, list[Attempt]()
        for turn in range(revisions + 1):
            share_s = (end_s - time.monotonic()) / (2 * (revisions + 1 - turn))
            try:
                attempt = self._attempt(step, question, 2 * turn, share_s)
            except PeerError:
                if not attempts:
                    raise
                break
            attempts.append(attempt)
            if not attempt.objections or time.monotonic() >= end_s:
                break
            wrong = "; ".join(attempt.objections)[:MAX_SHOWN_CHARS]
            answer = attempt.answer[:MAX_SHOWN_CHARS]
            question = f"{known}{step}\nThis answer was not good: {answer}\nWhat is wrong with it: {wrong}\nBetter:"
        return attempts

    def _attempt(self, step: str, question: str, seed: int, share_s: float) -> Attempt:
        answer = self._answer_to(question, seed, share_s)
        found = objections(step, answer)
        if found or exact_value(step) is not None:
            return Attempt(answer, None, found)
        second = self._answer_to(question, seed + 1, share_s)
        if not agree(answer, second):
            found = [f"asked again, the answer was: {second[:MAX_SHOWN_CHARS]}"]
        return Attempt(answer, second, found)

    def _answer_to(self, question: str, seed: int, share_s: float) -> str:
        """While everybody is busy it asks again, as long as there is time."""
        end_s = time.monotonic() + min(max(share_s, MIN_ASK_S), MAX_ASK_S)
        while True:
            left_s = max(end_s - time.monotonic(), MIN_ASK_S)
            limits = {"seed": seed, "timeout_s": left_s * THINKING_SHARE}
            think = {"action": "think", "question": question[-MAX_QUESTION_CHARS:], **limits}
            task = {"capability": CAPABILITY, "timeout_s": left_s, "request": think}
            try:
                reply = self.ask(COORDINATOR, {"action": "submit", **task}, left_s + ASK_MARGIN_S)
            except PeerError as error:
                wait_s = error.reply.get("retry_after_s", 0.0)
                is_busy = error.reply.get("code") == "busy"
                if not is_busy or time.monotonic() + wait_s >= end_s or self.wait_for_stop(wait_s):
                    raise
                continue
            answer = reply.get("result", {}).get("answer")
            if not isinstance(answer, str):
                raise PeerError(f"{reply.get('by')} gave no answer")
            return answer


def context(given: list[str], trace: list[dict[str, Any]]) -> str:
    """What is known when a step is asked: what was given, and the answers so far."""
    known = [f"Given: {' '.join(given)}"] if given else []
    known += [f"{item['step']} {item['answer'][:MAX_SHOWN_CHARS]}" for item in trace]
    return "".join(line + "\n" for line in known)


if __name__ == "__main__":
    main(ChainOfThoughtAgent)
