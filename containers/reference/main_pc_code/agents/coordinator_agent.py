"""CoordinatorAgent: finds the agents that can do something."""

import os
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import REGISTRY, Agent, Reply, Request, main
from main_pc_code.common.messages import PeerError, RequestError, field


class CoordinatorAgent(Agent):
    """Looks agents up by capability in SystemDigitalTwin's registry."""

    default_name = "CoordinatorAgent"
    default_port = 26002
    description = "Finds the registered agents that have a capability; hands out no tasks yet."
    capabilities = ("agent_lookup",)

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"find_agents": self.find_agents}

    def find_agents(self, request: Request) -> Reply:
        capability = field(request, "capability", str)
        try:
            agents = self.ask(REGISTRY, {"action": "list_agents"})["agents"]
        except PeerError as error:
            raise RequestError(f"the registry cannot be asked: {error}") from error
        return {"agents": [agent for agent in agents if capability in agent["capabilities"]]}


if __name__ == "__main__":
    main(CoordinatorAgent)
