"""An agent in a thread of the test's own process: for agents whose libraries take seconds to import."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from main_pc_code.common.agent import Agent
from main_pc_code.common.log import JsonLog
from main_pc_code.common.settings import read_settings
from main_pc_code.tests.harness import Message, ask, free_ports, wait_for

# The quickest for tiny models, however busy the processors are.
os.environ.setdefault("OMP_NUM_THREADS", "1")

NO_LOG_FOLDER = "/proc/none"


class AgentThread:
    """Addresses of a running agent, and how to ask it; like AgentProcess."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.address = f"tcp://127.0.0.1:{agent.settings.port}"
        self.health_address = f"tcp://127.0.0.1:{agent.settings.health_port}"

    def ask(self, message: Message, timeout_s: float = 30.0) -> Message:
        return ask(self.address, message, timeout_s)

    def health(self) -> Message:
        return ask(self.health_address, {"action": "health_check"})


@contextmanager
def run_agent(agent_class: type[Agent], environment: Mapping[str, str]) -> Iterator[AgentThread]:
    """The agent is ready inside and has ended afterwards."""
    port, health_port = free_ports(2)
    ports = {"BIND_ADDRESS": "127.0.0.1", "PORT": str(port), "HEALTH_CHECK_PORT": str(health_port)}
    settings = read_settings({**environment, **ports}, agent_class.default_port)
    agent = agent_class(settings, JsonLog(agent_class.default_name, NO_LOG_FOLDER))
    thread = threading.Thread(target=agent.run)
    thread.start()
    running = AgentThread(agent)
    try:
        wait_for(lambda: running.health()["ready"], f"{agent.name} is ready", timeout_s=60)
        yield running
    finally:
        agent.stop()
        thread.join()
