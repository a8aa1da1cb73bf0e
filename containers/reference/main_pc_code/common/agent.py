"""The base of every agent: a main port, a health port, a place in the registry, and a quick end.

Threads: the main thread answers health checks, so that no request can delay them; one takes requests and hands them to
`workers` others; one keeps the agent registered with SystemDigitalTwin once it is ready; an agent may have loops of its
own. All of them end when the stop pipe becomes readable, which a signal does through `signal.set_wakeup_fd`.

Only the standard library and zmq are imported here: the time to the first health reply is what deployments wait for.
Heavy libraries belong into an agent's `setup`.
"""

import functools
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import zmq

from main_pc_code.common import messages
from main_pc_code.common.connections import Connections
from main_pc_code.common.log import LEVELS, JsonLog
from main_pc_code.common.messages import PeerError, RequestError
from main_pc_code.common.metrics import process_metrics
from main_pc_code.common.server import RequestServer
from main_pc_code.common.settings import LOG_FOLDER, Settings, StartError, read_settings

REGISTRY = "SYSTEM_DIGITAL_TWIN"
ASK_TIMEOUT_S = 1.0
DEREGISTER_TIMEOUT_S = 0.2
STOP_TIMEOUT_S = 0.4
MAX_UNREAD_MESSAGES = 16  # Of each connection; so many of the largest size must fit into an agent's memory.
RETRY_MIN_S, RETRY_MAX_S = 0.1, 5.0

Request = dict[str, Any]
Reply = dict[str, Any]


class Agent:
    """One process that answers JSON requests; a subclass adds actions, capabilities and health details."""

    default_name: ClassVar[str]
    default_port: ClassVar[int]
    default_publish_port: ClassVar[int | None] = None  # Of the PUB socket, for agents that have one.
    description: ClassVar[str]
    capabilities: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[str] = "0.1.0"
    registers: ClassVar[bool] = True
    workers: ClassVar[int] = 1  # Requests that are handled at once; handlers need locks only if there are several.
    max_waiting: ClassVar[int] = 64  # Requests that wait for a worker; with more the reply is `busy`.

    def __init__(self, settings: Settings, log: JsonLog) -> None:
        self.settings = settings
        self.log = log
        self.name = log.agent
        self.ready = False
        self._started_s = time.monotonic()
        self._exit_code = 0
        self._threads: list[threading.Thread] = []
        self.stop_fd, self.wakeup_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.context = zmq.Context()
        # Requests to peers have their own IO thread, because zmq looks up host names in it and that may take seconds.
        self.connections = Connections(zmq.Context())

    def setup(self) -> None:
        """Runs before the first request, in the request thread; until it returns, health says `ready: false`."""

    def actions(self) -> dict[str, Callable[[Request], Reply]]:
        """What the main port can be asked. A handler returns the reply's fields or raises RequestError."""
        return {"ping": self.ping, "describe": self.describe}

    def loops(self) -> tuple[Callable[[], None], ...]:
        """What runs beside requests once `setup` has returned: functions that return when `wait_for_stop` says so."""
        return ()

    def health_details(self) -> Reply:
        """Extra fields of the health reply once ready; called in the main thread at every check and must not wait."""
        return {}

    def ping(self, _request: Request) -> Reply:
        return {"pong": True, "uptime_s": self.uptime_s()}

    def describe(self, _request: Request) -> Reply:
        ports = {"main": self.settings.port, "health": self.settings.health_port}
        if self.settings.publish_port is not None:
            ports["publish"] = self.settings.publish_port
        return {
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "capabilities": self.capabilities,
            "actions": sorted(self.actions()),
            "ports": ports,
            "workers": self.workers,
            "peers": self.settings.peers,
        }

    def uptime_s(self) -> float:
        return round(time.monotonic() - self._started_s, 3)

    def ask(self, peer: str, message: Request, timeout_s: float = ASK_TIMEOUT_S) -> Reply:
        """Asks a peer, named as in its environment variable; PeerError unless it answers with status ok."""
        address = self.settings.peers.get(peer)
        if address is None:
            raise PeerError(f"no address of this peer: {peer}_ADDRESS is not set")
        return self.connections.ask(address, message, timeout_s, self.stop_fd)

    def stop(self) -> None:
        """Asks all threads to end; callable from any thread."""
        os.write(self.wakeup_fd, b"\0")

    def wait_for_stop(self, timeout_s: float) -> bool:
        """A sleep that ends at once, with true, when the agent is to stop."""
        return bool(select.select([self.stop_fd], [], [], timeout_s)[0])

    def run(self) -> int:
        """Serves until stopped; returns the exit code, or raises StartError if a port cannot be bound."""
        ports = (self.settings.port, self.settings.health_port)
        main_socket = self._bind(zmq.ROUTER, ports[0])
        health_socket = self._bind(zmq.REP, ports[1])
        self._start(self._handle_requests, main_socket)
        self.log.info("started", port=ports[0], health_port=ports[1], pid=os.getpid(), log_file=self.log.path)
        self._answer_health_checks(health_socket)
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        abandoned = sum(thread.is_alive() for thread in self._threads)
        if not abandoned:
            self.connections.close()
            self.context.destroy()  # Waits until the last replies are sent.
        self.log.info("stopped", uptime_s=self.uptime_s(), abandoned_threads=abandoned)
        return self._exit_code

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _bind(self, kind: int, port: int) -> zmq.Socket:
        endpoint = f"tcp://{self.settings.bind_address}:{port}"
        server = self.context.socket(kind)
        server.linger = 0
        server.maxmsgsize = messages.MAX_FRAME_BYTES
        server.rcvhwm = MAX_UNREAD_MESSAGES
        try:
            server.bind(endpoint)
        except zmq.ZMQError as error:
            self.context.destroy(linger=0)
            raise StartError(f"cannot bind {endpoint}: {error}") from error
        return server

    def _handle_requests(self, server: zmq.Socket) -> None:
        try:
            self.setup()
            self.ready = True
            registers = self.registers and REGISTRY in self.settings.peers
            for loop in (*self.loops(), *([self._keep_registered] if registers else [])):
                self._start(self._run_loop, loop)
            answer = functools.partial(self._answer, self.actions())
            limits = (self.workers, self.max_waiting, self.settings.config.max_request_bytes)
            RequestServer(server, answer, self._refusal, *limits).serve(self.stop_fd)
        except Exception:
            self._give_up()

    def _run_loop(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception:
            self._give_up()

    def _give_up(self) -> None:
        """Called while an exception is handled: an agent that can no longer do its work must not look healthy."""
        error = sys.exception()
        if isinstance(error, StartError):
            self.log.error("cannot start", reason=str(error))
        else:
            self.log.exception("cannot go on")
        self._exit_code = 1
        self.stop()

    def _answer(self, actions: dict[str, Callable[[Request], Reply]], frames: list[bytes]) -> bytes:
        def handle() -> Reply:
            request = self._parse(frames)
            action = messages.field(request, "action", str)
            if action not in actions:
                raise RequestError(f"unknown action `{action[:80]}`; known are {', '.join(sorted(actions))}")
            return actions[action](request)

        return self._encode_answer(handle)

    def _parse(self, frames: list[bytes]) -> Request:
        return messages.parse(frames, self.settings.config.max_request_bytes)

    def _encode_answer(self, handle: Callable[[], Reply]) -> bytes:
        try:
            return messages.encode({"status": "ok", "agent": self.name} | handle())
        except RequestError as error:
            return self._refusal(error)
        except RecursionError:
            return self._refusal(RequestError("nested too deeply"))
        except Exception as error:
            # Whatever is wrong in a handler, the agent goes on and the sender is told.
            self.log.exception("a handler failed")
            return self._refusal(RequestError(f"internal error: {type(error).__name__}", code="internal"))

    def _refusal(self, error: RequestError) -> bytes:
        self.log.debug("refused a message", error=str(error))
        return messages.encode({"status": "error", "agent": self.name, "error": str(error)} | error.details)

    def _answer_health_checks(self, server: zmq.Socket) -> None:
        poller = zmq.Poller()
        poller.register(server, zmq.POLLIN)
        poller.register(self.stop_fd, zmq.POLLIN)
        while self.stop_fd not in dict(poller.poll()):
            try:
                frames = server.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                continue  # A message without a REQ envelope: the socket has dropped it.
            server.send(self._encode_answer(functools.partial(self._check_health, frames)))
        server.close()

    def _check_health(self, frames: list[bytes]) -> Reply:
        is_text = len(frames) == 1 and frames[0].strip() == b"health"
        if not is_text and self._parse(frames).get("action") != "health_check":
            raise RequestError('expected {"action": "health_check"} or the text `health`')
        details = self.health_details() if self.ready else {}
        return details | {"ready": self.ready, "uptime_s": self.uptime_s()}

    def _keep_registered(self) -> None:
        """Registers again and again, since SystemDigitalTwin forgets who is silent; deregisters at the end."""
        registered, warned, wait_s = False, False, 0.0
        while not self.wait_for_stop(wait_s):
            try:
                self.ask(REGISTRY, {"action": "register", **self._registration()})
            except (PeerError, OSError, ValueError) as error:
                if self.wait_for_stop(0):
                    break
                if not warned:
                    self.log.warning("not registered, will try again", error=str(error))
                registered, warned = False, True
                wait_s = min(max(RETRY_MIN_S, 2 * wait_s), RETRY_MAX_S)
                continue
            if not registered:
                self.log.info("registered", registry=self.settings.peers[REGISTRY])
            registered, warned, wait_s = True, False, self.settings.config.register_interval_s
        if registered:
            self._deregister()

    def _registration(self) -> Reply:
        host = own_address(self.settings.peers[REGISTRY], self.settings.bind_address)
        return {
            "name": self.name,
            "address": f"tcp://{host}:{self.settings.port}",
            "port": self.settings.port,
            "health_port": self.settings.health_port,
            "capabilities": self.capabilities,
            "metrics": process_metrics(),
        }

    def _deregister(self) -> None:
        request = {"action": "deregister", "name": self.name}
        try:
            self.connections.ask(self.settings.peers[REGISTRY], request, DEREGISTER_TIMEOUT_S)
        except PeerError as error:
            self.log.debug("not deregistered", error=str(error))


def own_address(peer: str, bind_address: str) -> str:
    """Where a peer can reach this host: the address it listens on, or that of the route to the peer.

    No packet is sent. OSError if the peer's name cannot be looked up, ValueError if this is no address.
    """
    if bind_address[0].isdigit() and bind_address != "0.0.0.0":
        return bind_address
    host, port = peer.removeprefix("tcp://").rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, int(port)))
        return str(probe.getsockname()[0])


def main(agent_class: type[Agent]) -> NoReturn:
    """Runs an agent as this process: exit code 0 after SIGTERM or SIGINT, 1 if it cannot start or go on."""
    log = JsonLog(os.environ.get("AGENT_NAME") or agent_class.default_name, LOG_FOLDER)
    try:
        settings = read_settings(os.environ, agent_class.default_port, agent_class.default_publish_port)
        log.threshold = LEVELS.index(settings.config.log_level)
        agent = agent_class(settings, log)
        signal.set_wakeup_fd(agent.wakeup_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)
        exit_code = agent.run()
    except StartError as error:
        log.error("cannot start", reason=str(error))
        exit_code = 1
    except Exception:
        log.exception("cannot go on")
        exit_code = 1
    # No orderly end of the interpreter: it would wait for a name look-up or a handler that is still busy.
    os._exit(exit_code)
