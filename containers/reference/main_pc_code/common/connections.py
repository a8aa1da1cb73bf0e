"""Requests to other agents, over connections that are kept and that notice when the other end is gone.

A REQ socket by itself waits for the reply to a request that died with its receiver. Here a socket monitor tells at once
that a connection is refused or lost, and heartbeats, which zmq answers however busy an agent is, find frozen ones.
"""

import math
import threading
import time
from typing import Any

import zmq

from main_pc_code.common.messages import MAX_FRAME_BYTES, PeerError, RequestError, encode, parse

CONNECT_TIMEOUT_S = 2.0
HEARTBEAT_INTERVAL_S = 1.0
HEARTBEAT_TIMEOUT_S = 5.0
MAX_IDLE_S = 30.0
LOST = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED

Message = dict[str, Any]


class Connections:
    """All connections of one agent; safe to use from several threads, each of which gets one of its own meanwhile."""

    def __init__(self, context: zmq.Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._idle: list[Connection] = []

    def ask(self, address: str, message: Message, timeout_s: float, stop_fd: int | None = None) -> Message:
        """Returns the reply if its status is ok; PeerError otherwise, at once if `stop_fd` gets readable."""
        try:
            request = encode(message)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"this cannot be sent on: {error}") from error
        connection = self._take(address)
        try:
            reply = connection.ask(request, timeout_s, stop_fd)
        except BaseException as error:
            connection.close()  # Its socket cannot send before the reply that is still missing.
            if isinstance(error, (zmq.ZMQError, RequestError)):
                raise PeerError(f"{address}: {error}") from error
            raise
        self._keep(connection)
        if reply.get("status") != "ok":
            raise PeerError(f"{address} answered: {str(reply.get('error', reply))[:1000]}", reply)
        return reply

    def close(self) -> None:
        """Closes those that are not in use; afterwards the context can be ended."""
        with self._lock:
            idle, self._idle = self._idle, []
        for item in idle:
            item.close()

    def _take(self, address: str) -> "Connection":
        with self._lock:
            found = next((item for item in reversed(self._idle) if item.address == address), None)
            if found:
                self._idle.remove(found)
        if found and not found.is_lost():
            return found
        if found:
            found.close()
        return Connection(self._context, address)

    def _keep(self, connection: "Connection") -> None:
        connection.idle_since_s = time.monotonic()
        with self._lock:
            self._idle.append(connection)
            too_old = [item for item in self._idle if item.idle_since_s < connection.idle_since_s - MAX_IDLE_S]
            self._idle = [item for item in self._idle if item not in too_old]
        for item in too_old:
            item.close()


class Connection:
    """A REQ socket and its monitor, for one request at a time."""

    def __init__(self, context: zmq.Context, address: str) -> None:
        self.address = address
        self.idle_since_s = 0.0
        self._socket = context.socket(zmq.REQ)
        self._monitor = self._socket.get_monitor_socket(LOST)
        self._socket.linger = 0
        self._socket.maxmsgsize = MAX_FRAME_BYTES
        self._socket.connect_timeout = int(CONNECT_TIMEOUT_S * 1000)
        self._socket.heartbeat_ivl = int(HEARTBEAT_INTERVAL_S * 1000)
        self._socket.heartbeat_timeout = int(HEARTBEAT_TIMEOUT_S * 1000)
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise PeerError(f"{address}: {error}") from error

    def ask(self, request: bytes, timeout_s: float, stop_fd: int | None) -> Message:
        poller = zmq.Poller()
        for source in (self._socket, self._monitor, stop_fd):
            if source is not None:
                poller.register(source, zmq.POLLIN)
        self._socket.send(request)
        ready = dict(poller.poll(math.ceil(timeout_s * 1000)))  # Not before the time is up.
        if self._socket in ready:
            return parse(self._socket.recv_multipart())
        if self._monitor in ready:
            raise PeerError(f"{self.address}: the connection is refused or lost")
        if ready:
            raise PeerError("this agent is about to end")
        raise PeerError(f"{self.address}: no answer within {timeout_s:.3g} s")

    def is_lost(self) -> bool:
        return bool(self._monitor.poll(0))

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close()
