"""What tests need of running agents: start one as a process on free loopback ports, ask it, stop it, kill it.

    with AgentProcess("main_pc_code/agents/system_digital_twin.py") as twin:
        assert twin.ask({"action": "ping"})["pong"]

Nothing is written into the tree: an agent's data folder is a temporary one unless `DATA_FOLDER` is given.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import zmq

from main_pc_code.common.agent import Agent
from main_pc_code.common.log import JsonLog
from main_pc_code.common.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
READY_TIMEOUT_S = 30.0
ASK_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
POLL_INTERVAL_S = 0.01

NO_FOLDER = "/proc/none"

T = TypeVar("T")
AgentClass = TypeVar("AgentClass", bound=Agent)
Message = dict[str, Any]

claims: dict[int, socket.socket] = {}


def unstarted(agent_class: type[AgentClass], environment: Mapping[str, str] | None = None) -> AgentClass:
    """An agent that has been set up and neither listens nor runs, for tests that call its actions directly."""
    settings = read_settings(environment or {}, agent_class.default_port, agent_class.default_publish_port)
    agent = agent_class(settings, JsonLog(agent_class.default_name, NO_FOLDER))
    agent.setup()
    return agent


class AgentProcess:
    """An agent as a process of its own. As a context manager it is ready inside and gone afterwards."""

    def __init__(self, script: str | Path, environment: Mapping[str, str] | None = None) -> None:
        """`script` starts at the monorepo; `environment` is added to this process's."""
        self.script = ROOT / script
        self.port, self.health_port, self.publish_port = free_ports(3)
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.health_address = f"tcp://127.0.0.1:{self.health_port}"
        self.publish_address = f"tcp://127.0.0.1:{self.publish_port}"
        self._folder = tempfile.TemporaryDirectory()
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BIND_ADDRESS": "127.0.0.1",
            "PORT": str(self.port),
            "HEALTH_CHECK_PORT": str(self.health_port),
            "PUBLISH_PORT": str(self.publish_port),
            "DATA_FOLDER": self._folder.name,
            **(environment or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()
        self._output.close()
        self._folder.cleanup()
        give_back(self.port, self.health_port, self.publish_port)

    def start(self) -> None:
        """Starts the process, also once more after `stop` or `kill`, on the same ports and with the same data."""
        command = [sys.executable, "-u", str(self.script)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output
        )

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> Message:
        """The first health reply with `ready: true`; fails with the agent's output if it exits or takes too long."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                reply = self.health(0.2)
                if reply.get("ready"):
                    return reply
            except TimeoutError:
                pass
            exited = self.process is None or self.process.poll() is not None
            if exited or time.monotonic() > deadline_s:
                what = "exited" if exited else f"is not ready after {timeout_s} s"
                raise AssertionError(f"{self.script.name} {what}:\n{self.output()}")

    def ask(self, message: Message, timeout_s: float = ASK_TIMEOUT_S) -> Message:
        """The reply of the main port, whatever its status."""
        return ask(self.address, message, timeout_s)

    def health(self, timeout_s: float = ASK_TIMEOUT_S) -> Message:
        return ask(self.health_address, {"action": "health_check"}, timeout_s)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> int:
        """Sends SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """Sends SIGKILL and waits for the end; harmless if it has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def output(self) -> str:
        """What it has written so far, of all its starts."""
        return os.pread(self._output.fileno(), 1_000_000, 0).decode(errors="replace")


class FakePeer:
    """Stands for a peer in a thread of this process: `answer` makes replies, or none, and the sender waits for ever."""

    def __init__(self, answer: Callable[[Message], Message | None], address: str | None = None) -> None:
        self.requests: list[Message] = []
        self.senders: set[bytes] = set()  # One for each connection.
        self.address = address or f"tcp://127.0.0.1:{free_ports(1)[0]}"
        self._answer = answer
        self._context = zmq.Context()
        self._closing = threading.Event()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(self.address)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections, as the death of a process does."""
        self._closing.set()
        self._thread.join()
        give_back(int(self.address.rsplit(":", 1)[1]))

    def _serve(self) -> None:
        while not self._closing.is_set():
            if self._socket.poll(5):
                sender, empty, message = self._socket.recv_multipart()
                self.senders.add(sender)
                self.requests.append(json.loads(message))
                reply = self._answer(self.requests[-1])
                if reply is not None:
                    self._socket.send_multipart([sender, empty, json.dumps({"status": "ok"} | reply).encode()])
        self._context.destroy(linger=0)


class Crowd:
    """Sends the same request many times at once, over one connection, and collects the replies as they come."""

    def __init__(self, address: str, request: Message, count: int) -> None:
        self._missing = count
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.connect(address)
        for _ in range(count):
            self._socket.send_multipart([b"", json.dumps(request).encode()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._context.destroy(linger=0)

    def receive(self, count: int | None = None, timeout_s: float = ASK_TIMEOUT_S) -> list[Message]:
        """So many more replies, or all that are missing; fewer if they do not come in time."""
        count = self._missing if count is None else count
        deadline_s = time.monotonic() + timeout_s
        received: list[Message] = []
        while len(received) < count and self._socket.poll(max(0, int(1000 * (deadline_s - time.monotonic())))):
            received.append(json.loads(self._socket.recv_multipart()[-1]))
        self._missing -= len(received)
        return received


def ask(address: str, message: Message, timeout_s: float = ASK_TIMEOUT_S) -> Message:
    """Sends a JSON object and returns the one that comes back; TimeoutError if none does."""
    reply = ask_raw(address, [json.dumps(message).encode()], timeout_s)
    if reply is None:
        raise TimeoutError(f"no answer from {address} within {timeout_s} s to {str(message)[:200]}")
    answer: Message = json.loads(reply[0])
    return answer


def ask_raw(address: str, frames: list[bytes], timeout_s: float = ASK_TIMEOUT_S) -> list[bytes] | None:
    """Sends any frames from a REQ socket; none if no reply comes."""
    with zmq.Context() as context, context.socket(zmq.REQ) as request:
        request.linger = 0
        request.connect(address)
        request.send_multipart(frames)
        return request.recv_multipart() if request.poll(int(timeout_s * 1000)) else None


def wait_for(condition: Callable[[], T], what: str, timeout_s: float = ASK_TIMEOUT_S) -> T:
    """The first true value of a condition that is asked again and again; AssertionError if there is none in time."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(POLL_INTERVAL_S)
    return value


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nobody uses, outside the range that outgoing connections are given.

    They are this process's until it gives them back: other tests beside it look for the claim, the UDP port of the same
    number, which does not keep an agent from listening on the TCP port.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10_000, 32_000)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                claim.bind(("127.0.0.1", port))
                probe.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
        claims[port] = claim
        ports.append(port)
    return ports


def give_back(*ports: int) -> None:
    for port in ports:
        if claim := claims.pop(port, None):
            claim.close()
