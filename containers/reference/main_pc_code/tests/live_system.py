"""The system that integration tests talk to: the deployed one that `TEST_SYSTEM` describes, or agents started here.

`TEST_SYSTEM` is the path of a JSON file: which agents are deployed, the addresses at which they can be reached from
here, and in which group's place this process stands (`from`; null: on the backbone only). Without it the agents that a
suite needs run as processes on loopback, and so a suite can be run with plain `python3`.
"""

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

from main_pc_code.tests.harness import ASK_TIMEOUT_S, AgentProcess, Message, ask, wait_for

HEALTH_TIMEOUT_S = 5.0

# What runs without TEST_SYSTEM, in the order in which it is started: script, and its name in variables for its peers.
LOCAL_AGENTS = {
    "SystemDigitalTwin": ("main_pc_code/agents/system_digital_twin.py", "SYSTEM_DIGITAL_TWIN"),
    "CoordinatorAgent": ("main_pc_code/agents/coordinator_agent.py", "COORDINATOR_AGENT"),
    "ChainOfThoughtAgent": ("main_pc_code/FORMAINPC/ChainOfThoughtAgent.py", "CHAIN_OF_THOUGHT_AGENT"),
    "SelfTrainingOrchestrator": ("main_pc_code/FORMAINPC/SelfTrainingOrchestrator.py", "SELF_TRAINING_ORCHESTRATOR"),
    "ModelManagerAgent": ("main_pc_code/agents/model_manager_agent.py", "MODEL_MANAGER_AGENT"),
    "EmotionEngine": ("main_pc_code/agents/emotion_engine.py", "EMOTION_ENGINE"),
    "AudioCapture": ("main_pc_code/agents/streaming_audio_capture.py", "AUDIO_CAPTURE"),
    "GoTToTAgent": ("main_pc_code/FORMAINPC/GOT_TOTAgent.py", "GOT_TOT_AGENT"),
}
LOCAL_ENVIRONMENT = {"USE_DUMMY_AUDIO": "true"}


class LiveAgent(NamedTuple):
    """An agent as it can be reached from here. `networks` has its address in each of its networks."""

    name: str
    address: str
    health_address: str
    group: str | None = None
    port: int = 0
    networks: dict[str, str] = {}

    def ask(self, action: str, wait_s: float = ASK_TIMEOUT_S, **fields: Any) -> Message:
        """The reply, whatever its status; TimeoutError names the agent."""
        try:
            return ask(self.address, {"action": action, **fields}, wait_s)
        except TimeoutError as error:
            raise TimeoutError(f"{self.name}: {error}") from error

    def health(self, timeout_s: float = ASK_TIMEOUT_S) -> Message:
        try:
            return ask(self.health_address, {"action": "health_check"}, timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{self.name}: {error}") from error

    def publish_address(self) -> str:
        """Of its PUB socket, which `describe` knows."""
        port = self.ask("describe")["ports"]["publish"]
        return f"{self.address.rsplit(':', 1)[0]}:{port}"


class LiveSystem:
    """A context manager; what it has started itself ends with it."""

    def __init__(self, needs: Iterable[str] = ()) -> None:
        """`needs`: the agents that a suite talks to; all that are deployed if there are none."""
        self.description = read_description()
        self.agents: dict[str, LiveAgent] = {}
        self._needs = list(needs)
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            if self.description is None:
                self._start(started)
            else:
                deployed = [agent for agent in self.description["agents"] if agent["deployed"]]
                fields = LiveAgent._fields
                self.agents = {it["name"]: LiveAgent(**{key: it[key] for key in fields}) for it in deployed}
            self._processes = started.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._processes.close()

    def __getitem__(self, name: str) -> LiveAgent:
        return self.agents[name]

    def problems(self) -> list[str]:
        """The needed agents that cannot be worked with, each with the reason."""
        names = self._needs or sorted(self.agents)
        with ThreadPoolExecutor(len(names)) as pool:
            return [problem for problem in pool.map(self._problem, names) if problem]

    def _problem(self, name: str) -> str | None:
        if name not in self.agents:
            return f"{name} is not deployed"
        agent = self.agents[name]
        try:
            reply = agent.health(HEALTH_TIMEOUT_S)
            wait_for(lambda: agent.health(HEALTH_TIMEOUT_S)["ready"], "ready", HEALTH_TIMEOUT_S)
        except TimeoutError:
            return f"{name} is down: no health reply from {agent.health_address} within {HEALTH_TIMEOUT_S} s"
        except AssertionError:
            return f"{name} is not ready: {reply}"
        return None if reply["agent"] == name else f"{name}: {reply['agent']} answers at its address"

    def _start(self, started: ExitStack) -> None:
        """All needed agents and the two that every agent may ask, each with the addresses of those before it."""
        environment = dict(LOCAL_ENVIRONMENT)
        wanted = {*self._needs, "SystemDigitalTwin", "CoordinatorAgent"} if self._needs else set(LOCAL_AGENTS)
        for name, (script, variable) in LOCAL_AGENTS.items():
            if name in wanted:
                agent = started.enter_context(AgentProcess(script, environment))
                environment[f"{variable}_ADDRESS"] = agent.address
                self.agents[name] = LiveAgent(name, agent.address, agent.health_address, port=agent.port)


def read_description() -> dict[str, Any] | None:
    path = os.environ.get("TEST_SYSTEM")
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        description: dict[str, Any] = json.load(file)
    return description
