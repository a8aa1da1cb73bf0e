"""SystemDigitalTwin: the registry of running agents."""

import os
import sys
import time
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.messages import RequestError, field, text

MAX_AGENTS = 4096
MISSED_REGISTRATIONS = 3


class SystemDigitalTwin(Agent):
    """Knows who is there, because every other agent registers at its start and again at a fixed interval."""

    default_name = "SystemDigitalTwin"
    default_port = 7120
    description = "Registry of the running agents with their ports and capabilities, kept in memory."
    capabilities = ("agent_registry",)
    registers = False

    def setup(self) -> None:
        self.agents: dict[str, dict[str, Any]] = {}
        self.last_seen_s: dict[str, float] = {}

    def actions(self) -> dict[str, Any]:
        own = {"register": self.register, "deregister": self.deregister, "list_agents": self.list_agents}
        return super().actions() | own

    def health_details(self) -> Reply:
        return {"registered_agents": len(self.agents)}

    def register(self, request: Request) -> Reply:
        name = text(request, "name", 200)
        address = text(request, "address", 300)
        ports = {key: field(request, key, int) for key in ("port", "health_port")}
        capabilities = field(request, "capabilities", list)
        if not address.startswith("tcp://"):
            raise RequestError("`address` must be like tcp://172.20.1.11:26002")
        if not all(1 <= port <= 65535 for port in ports.values()):
            raise RequestError("`port` and `health_port` must be from 1 to 65535")
        if len(capabilities) > 100 or not all(isinstance(item, str) and len(item) <= 200 for item in capabilities):
            raise RequestError("`capabilities` must be at most 100 strings of at most 200 characters")
        self._forget_silent_agents()
        if name not in self.agents:
            if len(self.agents) >= MAX_AGENTS:
                raise RequestError(f"the registry is full: {MAX_AGENTS} agents")
            self.log.info("agent registered", name=name, **ports)
        self.agents[name] = {"name": name, "address": address, **ports, "capabilities": capabilities}
        self.last_seen_s[name] = time.monotonic()
        return {"registered": name}

    def deregister(self, request: Request) -> Reply:
        return {"removed": self._forget(field(request, "name", str), "agent deregistered")}

    def list_agents(self, _request: Request) -> Reply:
        self._forget_silent_agents()
        now_s = time.monotonic()
        return {
            "agents": [
                {**self.agents[name], "last_seen_s_ago": round(now_s - self.last_seen_s[name], 3)}
                for name in sorted(self.agents)
            ]
        }

    def _forget_silent_agents(self) -> None:
        limit_s = time.monotonic() - MISSED_REGISTRATIONS * self.settings.config.register_interval_s
        for name in [name for name, seen_s in self.last_seen_s.items() if seen_s < limit_s]:
            self._forget(name, "agent silent, forgotten")

    def _forget(self, name: str, reason: str) -> bool:
        known = self.agents.pop(name, None) is not None
        self.last_seen_s.pop(name, None)
        if known:
            self.log.info(reason, name=name)
        return known


if __name__ == "__main__":
    main(SystemDigitalTwin)
