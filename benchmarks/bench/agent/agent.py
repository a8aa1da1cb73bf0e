"""A tiny agent for benchmarks: answers health questions over ZeroMQ, and needs nothing but Python.

It speaks just enough of ZeroMQ's wire protocol (ZMTP 3.0, no security) to be a REP socket, so that its image is Python
and this file, and what is timed is the tool that starts it. How it behaves is its first argument:

    ok        answers
    stubborn  answers, and does not end at SIGTERM
    exits     ends at once with exit code 1
    ask       is no agent: asks the one that runs beside it, as a health check inside a container does
"""

import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
MORE, LONG, COMMAND = 1, 2, 4


def ready(kind: bytes) -> bytes:
    """The command that opens a connection of a socket of this kind."""
    name = b"Socket-Type"
    body = b"\x05READY" + bytes([len(name)]) + name + len(kind).to_bytes(4, "big") + kind
    return bytes([COMMAND, len(body)]) + body


def exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = peer.recv(count - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data


def frame(peer: socket.socket) -> tuple[int, bytes]:
    """The next frame: its flags and its body."""
    flags = exactly(peer, 1)[0]
    size = int.from_bytes(exactly(peer, 8 if flags & LONG else 1), "big")
    if size > 1 << 20:
        raise ConnectionError("too long")
    return flags, exactly(peer, size)


def message(peer: socket.socket) -> list[bytes]:
    """The next whole message; commands in between are passed over."""
    parts = []
    while True:
        flags, body = frame(peer)
        if flags & COMMAND:
            continue
        parts.append(body)
        if not flags & MORE:
            return parts


def one_part(body: bytes) -> bytes:
    """A message of one part, after the empty frame that stands between REQ and REP."""
    return bytes([MORE, 0, 0, len(body)]) + body


def serve(peer: socket.socket) -> None:
    """Answers one connection until it closes."""
    with peer:
        try:
            peer.sendall(GREETING)
            exactly(peer, len(GREETING))
            peer.sendall(ready(b"REP"))
            while message(peer):
                peer.sendall(one_part(b'{"status": "ok"}'))
        except OSError:
            pass


def listener(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(64)
    return server


def ask(port: int) -> int:
    """Exit code 0 for a good answer."""
    with socket.create_connection(("127.0.0.1", port), 2) as peer:
        peer.sendall(GREETING)
        exactly(peer, len(GREETING))
        peer.sendall(ready(b"REQ"))
        peer.sendall(one_part(b'{"action": "health_check"}'))
        return 0 if b"ok" in message(peer)[-1] else 1


def end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


def main() -> None:
    mode = sys.argv[1]
    ports = [int(os.environ["PORT"]), int(os.environ["HEALTH_CHECK_PORT"])]
    if mode == "ask":
        sys.exit(ask(ports[1]))
    if mode == "exits":
        print("no configuration found", file=sys.stderr, flush=True)
        sys.exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else end)
    keep = os.environ.get("BENCH_KEEP")
    if keep:
        # The first start leaves a mark that a lost volume would not have.
        try:
            with Path(keep).open("x", encoding="ascii") as file:
                file.write(os.urandom(8).hex())
        except FileExistsError:
            pass
    servers = [listener(port) for port in ports]
    while True:
        for server in select.select(servers, [], [])[0]:
            peer, _ = server.accept()
            threading.Thread(target=serve, args=(peer,), daemon=True).start()


if __name__ == "__main__":
    main()
