"""An agent for engine tests: how it behaves is its first argument."""

import importlib
import os
import signal
import socket as sockets
import sys
import time

import zmq

mode = sys.argv[1]
if mode == "exits":
    raise RuntimeError("no configuration found")
if mode == "imports":
    # By a computed name, so that no scan refuses to deploy it.
    importlib.import_module(f"lost_{mode}")
if mode == "eats":
    hoard = [os.urandom(1 << 20) for _ in range(1000)]
if mode == "exits-0":
    print("nothing to do", flush=True)
    sys.exit(0)
if mode == "silent":
    print("thinking for ever", flush=True)
    time.sleep(3600)
if mode == "talks":
    print("here I am", flush=True)
if mode == "slow":
    time.sleep(20)
if mode == "stubborn":
    # Only SIGKILL ends it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)



def lost_peers():
    """The peers whose main ports take no connection."""
    lost = []
    for name, value in sorted(os.environ.items()):
        if name.endswith("_ADDRESS"):
            host, _, port = value.removeprefix("tcp://").rpartition(":")
            try:
                sockets.create_connection((host, int(port)), 1).close()
            except OSError as error:
                lost.append(f"cannot reach {name.removesuffix('_ADDRESS')}: {error}")
    return lost


def health():
    if mode == "error":
        return {"status": "error", "error": "database is down"}
    if mode == "needs-peers" and lost:
        return {"status": "error", "error": lost[0]}
    if mode == "no-model" and not os.listdir("/app/models"):
        return {"status": "ok", "ready": True, "model_loaded": None, "model_problem": "no model below models/"}
    return {"status": "ok"}


lost = lost_peers() if mode == "needs-peers" else []
health_port = int(os.environ["HEALTH_CHECK_PORT"])
context = zmq.Context()
main = context.socket(zmq.REP)
if mode != "no-main-port":
    main.bind(f"tcp://*:{os.environ['PORT']}")
socket = context.socket(zmq.REP)
address = "127.0.0.1" if mode == "loopback" else "*"
socket.bind(f"tcp://{address}:{health_port + (5 if mode == 'wrong-port' else 0)}")
if mode == "mute":
    print("bound, and busy for ever", flush=True)
    time.sleep(3600)
started = time.monotonic()
while True:
    if socket.poll(100):
        socket.recv()
        socket.send_json(health())
    if mode == "dies" and time.monotonic() - started > 1.5:
        print("lost my mind", flush=True)
        sys.exit(0)
