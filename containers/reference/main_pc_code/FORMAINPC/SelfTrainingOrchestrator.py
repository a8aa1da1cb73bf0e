"""SelfTrainingOrchestrator: the queue of training cycles."""

import os
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.messages import RequestError, field

MAX_CYCLES = 1000


class SelfTrainingOrchestrator(Agent):
    """Keeps the requested training cycles in the order in which they are to run."""

    default_name = "SelfTrainingOrchestrator"
    default_port = 5644
    description = "Keeps requested training cycles in order of priority, in memory; runs none of them yet."
    capabilities = ("training_queue",)

    def setup(self) -> None:
        self.cycles: list[dict[str, Any]] = []
        self.last_id = 0

    def actions(self) -> dict[str, Any]:
        own = {"add_cycle": self.add_cycle, "remove_cycle": self.remove_cycle, "list_cycles": self.list_cycles}
        return super().actions() | own

    def health_details(self) -> Reply:
        return {"waiting_cycles": len(self.cycles)}

    def add_cycle(self, request: Request) -> Reply:
        target = field(request, "target_agent", str)
        priority = field(request, "priority", int)
        if len(self.cycles) >= MAX_CYCLES:
            raise RequestError(f"the queue is full: {MAX_CYCLES} cycles")
        self.last_id += 1
        self.cycles.append({"id": self.last_id, "target_agent": target, "priority": priority})
        self.cycles.sort(key=lambda cycle: (-cycle["priority"], cycle["id"]))
        return {"id": self.last_id}

    def remove_cycle(self, request: Request) -> Reply:
        wanted = field(request, "id", int)
        kept = [cycle for cycle in self.cycles if cycle["id"] != wanted]
        removed = len(kept) < len(self.cycles)
        self.cycles = kept
        return {"removed": removed}

    def list_cycles(self, _request: Request) -> Reply:
        return {"cycles": self.cycles}


if __name__ == "__main__":
    main(SelfTrainingOrchestrator)
