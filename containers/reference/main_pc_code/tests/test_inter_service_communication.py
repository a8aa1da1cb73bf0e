"""Integration: every agent can be reached, is known to the others, and stands what is sent to it.

Runs against the deployed system (see `live_system.py`), or by itself:

    python3 main_pc_code/tests/test_inter_service_communication.py
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq

sys.path.append(str(Path(__file__).resolve().parents[2]))

from main_pc_code.tests.harness import wait_for
from main_pc_code.tests.hostile import send_malformed
from main_pc_code.tests.live_system import LiveAgent, LiveSystem

REGISTERED_TIMEOUT_S = 40.0  # Agents register every 30 s; one that was missed once is back by then.
BURST = 200


def registered(system: LiveSystem) -> dict[str, dict[str, object]]:
    return {entry["name"]: entry for entry in system["SystemDigitalTwin"].ask("list_agents")["agents"]}


def test_every_agent_answers_on_both_ports(system: LiveSystem) -> None:
    for name, agent in system.agents.items():
        reply = agent.ask("describe")
        assert (reply["status"], reply["name"]) == ("ok", name)
        assert agent.health()["ready"] is True


def test_every_agent_is_registered_with_what_it_can_do(system: LiveSystem) -> None:
    wait_for(lambda: registered(system).keys() >= system.agents.keys(), "all have registered", REGISTERED_TIMEOUT_S)
    for name, agent in system.agents.items():
        description = agent.ask("describe")
        entry = registered(system)[name]
        assert entry["capabilities"] == description["capabilities"]
        assert entry["port"] == description["ports"]["main"]


def test_the_coordinator_reaches_every_agent_by_its_capability(system: LiveSystem) -> None:
    wait_for(lambda: registered(system).keys() >= system.agents.keys(), "all have registered", REGISTERED_TIMEOUT_S)
    coordinator = system["CoordinatorAgent"]
    for name in system.agents.keys() - {"CoordinatorAgent"}:
        capability = system[name].ask("describe")["capabilities"][0]
        reply = coordinator.ask("submit", capability=capability, request={"action": "describe"})
        assert reply["status"] == "ok", reply
        assert (reply["by"], reply["result"]["name"]) == (name, name)


def test_agents_are_told_where_their_peers_are(system: LiveSystem) -> None:
    for name in system.agents.keys() - {"SystemDigitalTwin"}:
        peers = system[name].ask("describe")["peers"]
        assert "SYSTEM_DIGITAL_TWIN" in peers, f"{name} knows {peers}"
    assert "COORDINATOR_AGENT" in system["ChainOfThoughtAgent"].ask("describe")["peers"]
    assert "EMOTION_ENGINE" in system["AudioCapture"].ask("describe")["peers"]


def test_a_burst_of_requests_through_the_coordinator_loses_none(system: LiveSystem) -> None:
    def ping(_number: int) -> str:
        reply = system["CoordinatorAgent"].ask("submit", capability="agent_registry", request={"action": "ping"})
        return str(reply.get("error", "answered"))

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(ping, range(BURST))) == ["answered"] * BURST


def test_a_changed_mood_is_published(system: LiveSystem) -> None:
    engine = system["EmotionEngine"]
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe(b"")
        subscriber.connect(engine.publish_address())

        def heard() -> bool:
            # Asked until the subscription has arrived: what was published before it is lost.
            engine.ask("apply_event", kind="explicit", valence_change=0.1)
            return bool(subscriber.poll(100))

        wait_for(heard, "EmotionEngine publishes")
        message = json.loads(subscriber.recv_multipart()[-1])
    assert message["topic"] == "emotion"
    assert -1 <= message["valence"] <= 1


def test_malformed_messages_harm_nobody(system: LiveSystem) -> None:
    def attack(agent: LiveAgent) -> None:
        before_s = agent.ask("ping")["uptime_s"]
        for address in (agent.address, agent.health_address):
            send_malformed(address)
        after_s = agent.ask("ping")["uptime_s"]
        assert after_s > before_s, f"{agent.name} was started anew"
        assert agent.health()["ready"] is True

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(attack, system.agents.values()))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-v", "-p", "no:cacheprovider", *sys.argv[1:]]))
