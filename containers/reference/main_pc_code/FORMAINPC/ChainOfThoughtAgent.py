"""ChainOfThoughtAgent: breaks a problem into steps."""

import os
import re
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.messages import RequestError, field

SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


class ChainOfThoughtAgent(Agent):
    """Turns a problem's text into the list of steps to take one by one."""

    default_name = "ChainOfThoughtAgent"
    default_port = 5612
    description = "Breaks a problem into steps, one per sentence; answers none of them yet."
    capabilities = ("problem_splitting",)

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"split_problem": self.split_problem}

    def split_problem(self, request: Request) -> Reply:
        problem = field(request, "problem", str).strip()
        if not problem:
            raise RequestError("`problem` is empty")
        return {"steps": SENTENCE_END.split(problem)}


if __name__ == "__main__":
    main(ChainOfThoughtAgent)
