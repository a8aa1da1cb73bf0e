"""Messages that no agent may be harmed by, and the check that one is not.

Each of them must get an error reply or be dropped; the agent must go on, and must not have failed inside (`internal`).
"""

import json
import re
import socket
import struct
from contextlib import suppress
from typing import Any

import zmq

from main_pc_code.tests.harness import AgentProcess, ask, ask_raw

MEGABYTE = 1_000_000
DROPPED_AFTER_S = 0.1  # How long a reply is waited for where there may be none.
MAX_FIELDS = 12

# Frames that must get an error reply.
REFUSED: dict[str, list[bytes]] = {
    "empty": [b""],
    "blank": [b" \n"],
    "10 MB of text": [b"x" * 10 * MEGABYTE],
    "10 MB of JSON": [b'{"action": "' + b"x" * 10 * MEGABYTE + b'"}'],
    "invalid UTF-8": [b'{"action": "\xff\xfe"}'],
    "half a surrogate pair": [b'{"action": "\\ud800"}'],
    "two frames": [b'{"action": "ping"}', b"{}"],
    "a thousand frames": [b"x"] * 1000,
    "deep lists": [b"[" * 100_000],
    "deep lists, closed": [b"[" * 50_000 + b"]" * 50_000],
    "deep objects": [b'{"action": ' * 50_000 + b"1" + b"}" * 50_000],
    "deep field": [b'{"action": "describe?", "request": ' + b"[" * 980 + b"]" * 980 + b"}"],
    "not closed": [b'{"action": "ping"'],
    "a list": [b'["ping"]'],
    "null": [b"null"],
    "not a number": [b'{"action": NaN}'],
    "infinite": [b'{"action": 1e999}'],
    "a huge number": [b'{"action": ' + b"9" * 100_000 + b"}"],
    "no action": [b"{}"],
    "action of another type": [b'{"action": {"ping": 1}}'],
    "unknown action": [b'{"action": "no such action"}'],
    "10 kB action": [b'{"action": "' + b"x" * 10_000 + b'"}'],
}
# How a ZeroMQ connection begins: a signature, version 3.0, no security; then what kind of socket this is.
GREETING = b"\xff" + bytes(7) + b"\x01\x7f\x03\x00NULL" + bytes(48)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03"
# Bytes on a plain TCP connection; the first part of some is a good beginning, which the other side answers.
NO_MESSAGES: dict[str, tuple[bytes, bytes]] = {
    "HTTP": (b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "zeros": (b"", bytes(10_000)),
    "half a greeting": (b"", GREETING[:11]),
    "nonsense after a greeting": (GREETING, b"\xff" * 1000),
    "a frame of 2^63 bytes": (GREETING + READY + b"REQ", b"\x02\x7f" + b"\xff" * 7),
    "half a message": (GREETING + READY + b"REQ", b"\x01\x00\x00\x64ping"),
    "a subscription of 1 MB": (
        GREETING + READY + b"SUB",
        b"\x02" + struct.pack(">Q", MEGABYTE) + b"\x01" + b"x" * (MEGABYTE - 1),
    ),
}
NASTY_VALUES: list[Any] = [
    None, True, -1, 0, 2**70, 1e308, "", " ", "x" * 100_000, "\ud800", "\x00", [], [[]], [None] * 1000, {}, {"": []},
]  # fmt: skip


def attack(agent: AgentProcess) -> None:
    """Sends everything to the main and the health port, and what fits to the publish port, if there is one."""
    description = agent.ask({"action": "describe"})
    for address in (agent.address, agent.health_address):
        send_malformed(address)
        assert_unharmed(agent)
    if "publish" in description["ports"]:
        send_nonsense(agent.publish_address)
        send_without_envelope(agent.publish_address)
        assert_unharmed(agent)
    for action in description["actions"]:
        send_nasty_fields(agent, action)
    assert_unharmed(agent)


def assert_unharmed(agent: AgentProcess) -> None:
    """It answers on both ports and is the process that it was; failures inside leave a traceback in its output."""
    assert agent.ask({"action": "ping"})["pong"] is True
    assert agent.health()["ready"] is True
    assert agent.alive()
    assert "Traceback" not in agent.output(), agent.output()


def send_malformed(address: str) -> None:
    for name, frames in REFUSED.items():
        reply = ask_raw(address, frames)
        assert reply is not None, f"no reply to: {name}"
        assert_refused(json.loads(reply[0]), name)
    # Larger than any frame may be: the connection ends, and no reply comes.
    assert ask_raw(address, [b"x" * 17 * 1024 * 1024], DROPPED_AFTER_S) is None
    send_nonsense(address)
    send_without_envelope(address)


def send_nonsense(address: str) -> None:
    """Something that is no ZeroMQ, at most the beginning of it; every other connection is reset instead of closed."""
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    for index, (beginning, rest) in enumerate(NO_MESSAGES.values()):
        with socket.create_connection((host, int(port)), timeout=5) as connection, suppress(ConnectionError):
            connection.sendall(beginning)
            answer = b"" if beginning else b"READY"
            while b"READY" not in answer and (received := connection.recv(1000)):
                answer += received
            connection.sendall(rest)
            if index % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def send_without_envelope(address: str) -> None:
    """Messages from sockets that are no REQ: without an empty frame first, with several, from one that only sends."""
    with zmq.Context() as context:
        for kind in (zmq.DEALER, zmq.PUSH, zmq.PUB):
            with context.socket(kind) as sender:
                sender.linger = sender.sndtimeo = 20
                sender.connect(address)
                for frames in ([b"no envelope"], [b"a", b"b", b"", b"{}"], [b"", b""], [b""] * 10):
                    try:
                        sender.send_multipart(frames)
                    except zmq.Again:
                        break  # This kind of socket finds nobody to send to.


def send_nasty_fields(agent: AgentProcess, action: str) -> None:
    """Finds the fields of an action out from its error messages, and gives each of them all kinds of wrong values."""
    tried: set[str] = set()
    request: dict[str, Any] = {"action": action}
    while len(tried) < MAX_FIELDS:
        reply = agent.ask(request)
        assert reply.get("code") != "internal", (request, reply)
        named = re.match(r"`(\w+)`", reply.get("error", ""))
        if named is None or named.group(1) in tried:
            return
        key = named.group(1)
        tried.add(key)
        for value in NASTY_VALUES:
            reply = agent.ask({**request, key: value})
            assert reply.get("code") != "internal", (action, key, str(value)[:100], reply)
            if named.group(1) not in reply.get("error", ""):
                request[key] = value  # Good enough to get on to the next field.


def assert_refused(reply: dict[str, Any], what: str) -> None:
    assert reply["status"] == "error", f"{what}: {reply}"
    assert reply["error"], f"{what}: {reply}"
    assert reply.get("code") != "internal", f"{what}: {reply}"


def assert_refuses(address: str, request: dict[str, Any], *expected: str) -> dict[str, Any]:
    """The error reply to a request, whose text has these parts."""
    reply = ask(address, request)
    assert_refused(reply, str(request)[:200])
    for part in expected:
        assert part in reply["error"], reply
    return reply
