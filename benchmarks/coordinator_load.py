"""Sends requests through CoordinatorAgent to SystemDigitalTwin: benchmarks/coordinator_load.py [SECONDS] [RATE]

RATE is in requests a second. Both agents run as processes on loopback. Requests are sent when they are due, answered or
not (an open loop), so that a slow answer delays no other request and latencies are not flattered. Prints counts,
latencies in milliseconds and the memory of both agents at the start, in the middle and at the end; exits with 1 if any
request is lost or refused, or if memory grows by more than a tenth in the second half. Needs pyzmq.
"""

import json
import os
import sys
import time
from pathlib import Path

import zmq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "containers/reference"))

from main_pc_code.tests.harness import AgentProcess

WARM_UP_S = 1.0
LAST_ANSWERS_S = 5.0
MAX_GROWTH = 1.1
TASK = {"capability": "agent_registry", "request": {"action": "ping"}, "timeout_s": LAST_ANSWERS_S}
REQUEST = json.dumps({"action": "submit", **TASK}).encode()


class Load:
    """One DEALER socket, and the time at which each request that has no answer yet was due."""

    def __init__(self, address: str) -> None:
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.connect(address)
        self._due_s: dict[bytes, float] = {}
        self.latencies_ms: list[float] = []
        self.refused: list[str] = []

    def send(self, number: int, due_s: float) -> None:
        id = str(number).encode()
        self._due_s[id] = due_s
        self._socket.send_multipart([id, b"", REQUEST])

    def receive_until(self, end_s: float) -> None:
        while (left_s := end_s - time.perf_counter()) > 0 and self._socket.poll(max(1, int(left_s * 1000))):
            id, _empty, reply = self._socket.recv_multipart()
            self.latencies_ms.append((time.perf_counter() - self._due_s.pop(id)) * 1000)
            answer = json.loads(reply)
            if answer["status"] != "ok":
                self.refused.append(answer["error"])

    def unanswered(self) -> int:
        return len(self._due_s)


def run(load: Load, seconds: float, rate: float, first: int = 0) -> int:
    """Returns the number of the next request."""
    started_s = time.perf_counter()
    count = int(seconds * rate)
    for number in range(count):
        due_s = started_s + number / rate
        load.receive_until(due_s)
        load.send(first + number, due_s)
    return first + count


def rss_mb(agent: AgentProcess) -> float:
    assert agent.process is not None
    pages = int(Path(f"/proc/{agent.process.pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def percentile(values: list[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 2)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 200.0
    with AgentProcess("main_pc_code/agents/system_digital_twin.py") as twin:
        peers = {"SYSTEM_DIGITAL_TWIN_ADDRESS": twin.address}
        with AgentProcess("main_pc_code/agents/coordinator_agent.py", peers) as coordinator:
            agents = {"SystemDigitalTwin": twin, "CoordinatorAgent": coordinator}
            warm_up = Load(coordinator.address)
            run(warm_up, WARM_UP_S, rate)
            warm_up.receive_until(time.perf_counter() + WARM_UP_S)
            load = Load(coordinator.address)
            memory = {name: [rss_mb(agent)] for name, agent in agents.items()}
            sent = 0
            for _half in range(2):
                sent = run(load, seconds / 2, rate, sent)
                for name, agent in agents.items():
                    memory[name].append(rss_mb(agent))
            end_s = time.perf_counter() + LAST_ANSWERS_S
            while load.unanswered() and time.perf_counter() < end_s:
                load.receive_until(min(end_s, time.perf_counter() + 0.1))
    answered = len(load.latencies_ms) - len(load.refused)
    print(f"sent {sent}, answered {answered}, refused {len(load.refused)}, lost {load.unanswered()}")
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    latencies = [f"{name} {percentile(load.latencies_ms, share)}" for name, share in shares.items()]
    print(f"latency ms: {', '.join(latencies)}")
    for name, values in memory.items():
        print(f"{name}: resident MB at start, middle, end: {', '.join(map(str, values))}")
    for problem in sorted(set(load.refused))[:5]:
        print(f"refused: {problem}")
    is_flat = all(end <= MAX_GROWTH * middle for _start, middle, end in memory.values())
    return 0 if answered == sent and is_flat else 1


if __name__ == "__main__":
    raise SystemExit(main())
