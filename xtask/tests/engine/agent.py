"""An agent for engine tests: how it behaves is its first argument."""

import os
import sys
import time

import zmq

mode = sys.argv[1]
if mode == "exits":
    raise RuntimeError("no configuration found")
if mode == "exits-0":
    print("nothing to do", flush=True)
    sys.exit(0)
if mode == "silent":
    print("thinking for ever", flush=True)
    time.sleep(3600)
if mode == "slow":
    time.sleep(20)

health_port = int(os.environ["HEALTH_CHECK_PORT"])
socket = zmq.Context().socket(zmq.REP)
socket.bind(f"tcp://*:{health_port + (5 if mode == 'wrong-port' else 0)}")
started = time.monotonic()
while True:
    if socket.poll(100):
        socket.recv()
        socket.send_json({"status": "error", "error": "database is down"} if mode == "error" else {"status": "ok"})
    if mode == "dies" and time.monotonic() - started > 1.5:
        print("lost my mind", flush=True)
        sys.exit(0)
