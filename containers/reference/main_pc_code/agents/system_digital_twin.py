"""SystemDigitalTwin: what runs, what it uses, and what could still be taken."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.messages import RequestError, field, number, text
from main_pc_code.common.metrics import HostMeter, Metrics, process_metrics
from main_pc_code.common.resource_desk import ResourceDesk, read_capacity
from main_pc_code.common.twin_state import HOST, TwinState

MAX_AGENTS = 4096
MAX_CAPABILITIES = 100
MAX_METRICS = 50
MISSED_REGISTRATIONS = 3
SAMPLE_INTERVAL_S = 10.0
METRIC_LIMIT = 1e18


class SystemDigitalTwin(Agent):
    """The one that all others register with, at their start and again at a fixed interval, each with its metrics."""

    default_name = "SystemDigitalTwin"
    default_port = 7120
    description = "Registry of the running agents with their metrics; simulates load and reserves resources."
    capabilities = ("agent_registry", "resource_reservation")
    registers = False

    def setup(self) -> None:
        self.meter = HostMeter()
        self.state = TwinState(self.settings.data_folder, self.log)
        host = self.meter.read()
        self.resources = ResourceDesk(self.state, read_capacity(self.settings.environment, host), host)

    def actions(self) -> dict[str, Any]:
        own = (self.register, self.deregister, self.list_agents, self.metrics, self.history)
        return super().actions() | {action.__name__: action for action in own} | self.resources.actions()

    def loops(self) -> tuple[Callable[[], None], ...]:
        return (self.sample,)

    def health_details(self) -> Reply:
        counts = {"registered_agents": len(self.state.agents), "reservations": len(self.state.reservations)}
        return counts | {"storage": self.state.problem or "ok"}

    def register(self, request: Request) -> Reply:
        ports = {key: number(request, key, 1, 65535, whole=True) for key in ("port", "health_port")}
        name, address = text(request, "name", 200), text(request, "address", 300)
        capabilities = field(request, "capabilities", list)
        if not address.startswith("tcp://"):
            raise RequestError("`address` must be like tcp://172.20.1.11:26002")
        if len(capabilities) > MAX_CAPABILITIES:
            raise RequestError(f"`capabilities` must be at most {MAX_CAPABILITIES}")
        for capability in capabilities:
            text({"capability": capability}, "capability", 200)
        metrics = metrics_field(request)
        self._forget_silent_agents()
        if name not in self.state.agents:
            if len(self.state.agents) >= MAX_AGENTS:
                raise RequestError(f"the registry is full: {MAX_AGENTS} agents", code="unavailable")
            self.log.info("agent registered", name=name, address=address)
        entry = {"name": name, "address": address, **ports, "capabilities": capabilities, "metrics": metrics}
        self.state.put_agent(entry)
        return {"registered": name}

    def deregister(self, request: Request) -> Reply:
        return {"removed": self._forget(text(request, "name", 200), "agent deregistered")}

    def list_agents(self, _request: Request) -> Reply:
        """With this agent itself, whose address is null: whoever asks knows it."""
        self._forget_silent_agents()
        now_s = time.monotonic()
        agents = [
            {**entry, "last_seen_s_ago": round(now_s - self.state.seen_s[name], 3)}
            for name, entry in self.state.agents.items()
            if name != self.name
        ]
        return {"agents": sorted([self._own_entry(), *agents], key=lambda entry: str(entry["name"]))}

    def metrics(self, _request: Request) -> Reply:
        agents = {name: entry["metrics"] for name, entry in self.state.agents.items()}
        return {"host": self.resources.host, "agents": agents | {self.name: process_metrics()}}

    def history(self, request: Request) -> Reply:
        """Samples of an agent, or of the host if none is named, from the oldest to the newest."""
        agent = text(request, "agent", 200, default=HOST)
        return {"samples": self.state.samples(agent, number(request, "limit", 1, 1000, default=100, whole=True))}

    def sample(self) -> None:
        while not self.wait_for_stop(SAMPLE_INTERVAL_S):
            self.resources.host = self.meter.read()
            self.state.add_sample(HOST, self.resources.host)
            self.state.add_sample(self.name, process_metrics())

    def _own_entry(self) -> dict[str, Any]:
        ports = {"port": self.settings.port, "health_port": self.settings.health_port}
        entry = {"name": self.name, "address": None, **ports, "capabilities": self.capabilities}
        return entry | {"metrics": process_metrics(), "last_seen_s_ago": 0.0}

    def _forget_silent_agents(self) -> None:
        limit_s = time.monotonic() - MISSED_REGISTRATIONS * self.settings.config.register_interval_s
        for name in [name for name, seen_s in self.state.seen_s.items() if seen_s < limit_s]:
            self._forget(name, "agent silent, forgotten")

    def _forget(self, name: str, reason: str) -> bool:
        known = self.state.drop_agent(name)
        if known:
            self.log.info(reason, name=name)
        return known


def metrics_field(request: Request) -> Metrics:
    """Whatever an agent measures about itself: names and numbers."""
    metrics = field(request, "metrics", dict)
    if len(metrics) > MAX_METRICS or any(len(name) > 100 for name in metrics):
        raise RequestError(f"`metrics` must be at most {MAX_METRICS}, with names of at most 100 characters")
    return {name: number(metrics, name, -METRIC_LIMIT, METRIC_LIMIT) for name in metrics}


if __name__ == "__main__":
    main(SystemDigitalTwin)
