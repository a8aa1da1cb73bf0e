"""An agent for tests: works until it is told to go on, several requests at once.

`WORKER_CAPABILITY` is its capability. A request may name a file; it is done as soon as there is such a file.
"""

import os
import sys
import time
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.messages import RequestError, number, text

POLL_INTERVAL_S = 0.005


class WorkerAgent(Agent):
    """Counts what it has in hand, so that a test can tell that a request has arrived."""

    default_name = "WorkerAgent"
    default_port = 9000
    description = "Works for tests."
    capabilities = (os.environ.get("WORKER_CAPABILITY", "work"),)
    workers = 2
    max_waiting = 3

    def setup(self) -> None:
        self.begun = 0

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"work": self.work, "fail": self.fail}

    def health_details(self) -> Reply:
        return {"begun": self.begun}

    def work(self, request: Request) -> Reply:
        path = text(request, "until", 1000, default="")
        timeout_s = number(request, "timeout_s", 0, 60, default=10.0)
        self.begun += 1
        end_s = time.monotonic() + timeout_s
        while path and not os.path.exists(path):
            if time.monotonic() > end_s or self.wait_for_stop(POLL_INTERVAL_S):
                raise RequestError("nobody told me to go on", code="timeout")
        return {"done": self.name}

    def fail(self, _request: Request) -> Reply:
        raise KeyError("on purpose")


if __name__ == "__main__":
    main(WorkerAgent)
