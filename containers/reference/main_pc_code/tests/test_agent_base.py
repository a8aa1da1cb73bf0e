"""What every agent gets from its base: requests side by side, a bounded queue, registration, health, a quick end."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from main_pc_code.common.agent import own_address
from main_pc_code.common.connections import Connections
from main_pc_code.common.messages import PeerError, RequestError, number, text
from main_pc_code.common.settings import StartError, read_config, read_settings
from main_pc_code.tests.harness import AgentProcess, Crowd, FakePeer, Message, wait_for

WORKER = "main_pc_code/tests/worker_agent.py"


@pytest.fixture(scope="module")
def worker() -> Iterator[AgentProcess]:
    with AgentProcess(WORKER) as agent:
        yield agent


@pytest.fixture
def connections() -> Iterator[Connections]:
    with zmq.Context() as context:
        connections = Connections(context)
        yield connections
        connections.close()


def work(until: Path) -> Message:
    """A request that is answered as soon as there is such a file."""
    return {"action": "work", "until": str(until)}


def test_a_request_does_not_wait_for_another_one(worker: AgentProcess, tmp_path: Path) -> None:
    with Crowd(worker.address, work(tmp_path / "go"), 1) as crowd:
        wait_for(lambda: worker.health()["begun"], "the first request has arrived")
        assert worker.ask({"action": "work"})["done"] == "WorkerAgent"
        assert crowd.receive(timeout_s=0) == []
        (tmp_path / "go").touch()
        assert [reply["status"] for reply in crowd.receive()] == ["ok"]


def test_a_full_queue_refuses_with_a_hint_when_to_come_back(worker: AgentProcess, tmp_path: Path) -> None:
    with Crowd(worker.address, work(tmp_path / "go"), 8) as crowd:
        refused = crowd.receive(8 - 2 - 3)
        assert [reply["code"] for reply in refused] == ["busy"] * 3, "two are in hand, three wait"
        assert all(reply["retry_after_s"] > 0 for reply in refused)
        assert worker.health()["ready"] is True
        (tmp_path / "go").touch()
        assert [reply["status"] for reply in crowd.receive()] == ["ok"] * 5


def test_a_failing_handler_is_reported_and_does_no_harm(worker: AgentProcess) -> None:
    reply = worker.ask({"action": "fail"})
    assert (reply["status"], reply["code"], reply["error"]) == ("error", "internal", "internal error: KeyError")
    assert worker.ask({"action": "ping"})["pong"] is True
    assert "on purpose" in worker.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_what_is_in_hand_is_answered(number: signal.Signals, tmp_path: Path) -> None:
    with AgentProcess(WORKER) as agent, Crowd(agent.address, work(tmp_path / "never"), 1) as crowd:
        assert agent.process is not None
        wait_for(lambda: agent.health()["begun"], "the request has arrived")
        started_s = time.monotonic()
        agent.process.send_signal(number)
        assert agent.process.wait(5) == 0
        assert time.monotonic() - started_s < 1
        assert [reply["error"] for reply in crowd.receive()] == ["nobody told me to go on"]


def test_it_registers_where_it_can_be_reached_and_deregisters_at_its_end() -> None:
    with FakePeer(lambda _request: {}) as registry:
        with AgentProcess(WORKER, {"SYSTEM_DIGITAL_TWIN_ADDRESS": registry.address}) as agent:
            entry = wait_for(lambda: registry.requests, "it has registered")[0]
            assert (entry["action"], entry["name"], entry["address"]) == ("register", "WorkerAgent", agent.address)
            assert (entry["port"], entry["health_port"]) == (agent.port, agent.health_port)
            assert entry["metrics"]["rss_bytes"] > 1e6
            assert agent.stop() == 0
        farewell = {"action": "deregister", "name": "WorkerAgent"}
        wait_for(lambda: registry.requests[-1] == farewell, "it has deregistered")


def test_it_registers_as_soon_as_the_registry_is_there() -> None:
    with FakePeer(lambda _request: {}) as registry:
        address = registry.address
    with AgentProcess(WORKER, {"SYSTEM_DIGITAL_TWIN_ADDRESS": address}) as agent:
        wait_for(lambda: "not registered" in agent.output(), "the registry is missed")
        with FakePeer(lambda _request: {}, address) as registry:
            wait_for(lambda: registry.requests, "it has registered")


def test_a_port_in_use_is_a_reason_to_end_and_is_named() -> None:
    agent = AgentProcess(WORKER)
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", agent.port))
        occupant.listen()
        with pytest.raises(AssertionError, match=f"cannot bind tcp://127.0.0.1:{agent.port}"), agent:
            pass
    assert agent.process is not None and agent.process.returncode == 1


def test_a_lost_connection_is_noticed_long_before_the_timeout(connections: Connections) -> None:
    peer = FakePeer(lambda _request: None)
    errors: list[str] = []

    def wait() -> None:
        try:
            connections.ask(peer.address, {}, timeout_s=60)
        except PeerError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_for(lambda: peer.requests, "the request has arrived")
    peer.close()
    thread.join(5)
    assert "lost" in errors[0]


def test_a_connection_is_kept_and_made_anew_when_the_peer_was_restarted(connections: Connections) -> None:
    with FakePeer(lambda _request: {"n": 1}) as peer:
        assert [connections.ask(peer.address, {}, 5)["n"] for _ in range(3)] == [1, 1, 1]
        assert len(peer.senders) == 1
    wait_for(connections._idle[0].is_lost, "the end of the peer is seen")
    with FakePeer(lambda _request: {"n": 2}, peer.address):
        assert connections.ask(peer.address, {}, 5)["n"] == 2


def test_error_replies_of_peers_are_passed_on(connections: Connections) -> None:
    refusal = {"status": "error", "code": "busy", "error": "later"}
    with FakePeer(lambda _request: refusal) as peer, pytest.raises(PeerError, match="later") as caught:
        connections.ask(peer.address, {}, 5)
    assert caught.value.reply == refusal


def test_the_own_address_is_the_one_towards_the_peer() -> None:
    assert own_address("tcp://127.0.0.1:7120", "*") == "127.0.0.1"
    assert own_address("tcp://127.0.0.1:7120", "0.0.0.0") == "127.0.0.1"
    assert own_address("tcp://127.0.0.1:7120", "127.0.0.9") == "127.0.0.9"
    with pytest.raises(ValueError, match="invalid literal"):
        own_address("tcp://127.0.0.1:x", "*")


def test_fields_are_checked() -> None:
    assert text({"t": " a "}, "t", 3) == " a "
    assert text({}, "t", 3, default="d") == "d"
    assert (number({"n": 2}, "n", 1, 2), number({"n": 2}, "n", 1, 2, whole=True)) == (2.0, 2)
    for value in ("", "  ", "abcd", "\ud800", 1, None):
        with pytest.raises(RequestError, match="`t`"):
            text({"t": value}, "t", 3)
    for wrong in (0.9, 2.1, float("inf"), float("nan"), 10**400, "1", True, None):
        with pytest.raises(RequestError, match="`n`"):
            number({"n": wrong}, "n", 1, 2)
    with pytest.raises(RequestError, match="type int"):
        number({"n": 1.5}, "n", 1, 2, whole=True)


def test_settings_come_from_the_environment() -> None:
    settings = read_settings({"PORT": "5", "PUBLISH_PORT": "", "X_ADDRESS": "tcp://h:1", "DATA_FOLDER": "/d"}, 1, 9)
    assert (settings.port, settings.health_port, settings.publish_port) == (5, 6, 9)
    assert (settings.peers, settings.data_folder, settings.bind_address) == ({"X": "tcp://h:1"}, "/d", "*")
    assert read_settings({"PUBLISH_PORT": "7"}, 1).publish_port is None
    for port in ("0", "65536", "x", "1e3", "²"):
        with pytest.raises(StartError, match="PORT"):
            read_settings({"PORT": port}, 1)


def test_a_bad_configuration_is_refused_by_key(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    assert read_config(str(path)).register_interval_s == 30
    for content, problem in (
        ('{"log_level": "loud"}', "`log_level`"),
        ('{"colour": 1}', "`colour`: unknown key"),
        ('{"register_interval_s": 0}', "from 1 to 3600"),
        ("[]", "expected a JSON object"),
        ("{", "cannot read"),
    ):
        path.write_text(content)
        with pytest.raises(StartError, match=problem):
            read_config(str(path))
