"""EmotionEngine: how events move the mood, how it comes back, and who is told."""

import json
from collections.abc import Callable, Iterator

import pytest
import zmq

from main_pc_code.common.mood import Mood, decayed, label, moved, sentiment, voice_change
from main_pc_code.tests.harness import AgentProcess, Message, wait_for
from main_pc_code.tests.hostile import attack

SCRIPT = "main_pc_code/agents/emotion_engine.py"


@pytest.fixture(scope="module")
def engine() -> Iterator[AgentProcess]:
    with AgentProcess(SCRIPT) as agent:
        yield agent


def receive(subscriber: zmq.Socket, wanted: Callable[[Message], bool]) -> Message:
    """The first published message of this kind."""
    while True:
        assert subscriber.poll(5000), "nothing was published within 5 s"
        [frame] = subscriber.recv_multipart()
        message: Message = json.loads(frame)
        if wanted(message):
            return message


def test_half_of_the_mood_is_left_after_a_half_life() -> None:
    mood = Mood(0.8, -0.4, at_s=100)
    later = decayed(mood, 110, half_life_s=10)
    assert later == pytest.approx((0.4, -0.2, 110))
    assert decayed(later, 120, half_life_s=10) == pytest.approx((0.2, -0.1, 120))
    assert decayed(mood, 100, half_life_s=10) == mood


def test_a_change_ends_at_the_limits() -> None:
    assert moved(Mood(0.9, -0.9, 5), (0.5, -0.5)) == Mood(1.0, -1.0, 5)
    assert moved(Mood(0.1, 0.2, 5), (0.25, -0.5)) == pytest.approx((0.35, -0.3, 5))


def test_words_have_a_sentiment() -> None:
    assert sentiment("What a WONDERFUL day!") == (0.9, 0.6)
    assert sentiment("terrible") == (-0.9, 0.7)
    assert sentiment("The table is round.") == (0.0, 0.0)
    assert sentiment("good and bad") == pytest.approx((-0.05, 0.15))


def test_a_negation_turns_the_words_after_it() -> None:
    assert sentiment("not a good idea")[0] == -sentiment("a good idea")[0]
    assert sentiment("don’t hate")[0] > 0
    assert sentiment("not today or tomorrow but good")[0] > 0, "it reaches a few words only"


def test_a_louder_voice_excites_more() -> None:
    quiet, loud = voice_change(True, -50)[1], voice_change(True, -10)[1]
    assert 0 < quiet < loud
    assert voice_change(True, -80)[1] == 0
    assert voice_change(False, -10)[1] < 0


@pytest.mark.parametrize(
    ("valence", "arousal", "expected"),
    [(0.05, -0.05, "neutral"), (0.5, 0.5, "excited"), (0.5, -0.5, "calm"), (-0.5, 0.5, "tense"), (-0.5, -0.5, "sad")],
)
def test_each_quarter_has_a_name(valence: float, arousal: float, expected: str) -> None:
    assert label(Mood(valence, arousal, 0)) == expected


def test_events_move_the_mood(engine: AgentProcess) -> None:
    before = engine.ask({"action": "get_emotion"})
    happy = engine.ask({"action": "apply_event", "kind": "text", "text": "I love it"})
    assert happy["valence"] > before["valence"] + 0.4
    assert happy["events"] == before["events"] + 1
    spoken = engine.ask({"action": "apply_event", "kind": "voice", "speaks": True, "level_db": -20})
    assert spoken["arousal"] > happy["arousal"] + 0.2
    sad = engine.ask({"action": "apply_event", "kind": "explicit", "valence_change": -2})
    assert sad["valence"] == -1.0
    assert engine.ask({"action": "get_emotion"})["valence"] < -0.9


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"kind": "weather"},
        {"kind": "explicit", "valence_change": 3},
        {"kind": "explicit", "valence_change": "much"},
        {"kind": "text", "text": "x" * 10_001},
        {"kind": "text"},
        {"kind": "voice", "speaks": 1, "level_db": -10},
        {"kind": "voice", "speaks": True, "level_db": 7},
    ],
)
def test_a_bad_event_changes_nothing(engine: AgentProcess, event: Message) -> None:
    before = engine.ask({"action": "get_emotion"})["events"]
    reply = engine.ask({"action": "apply_event"} | event)
    assert (reply["status"], reply["code"]) == ("error", "bad_request")
    assert engine.ask({"action": "get_emotion"})["events"] == before


def test_subscribers_are_told_of_events_and_of_the_way_back() -> None:
    with (
        AgentProcess(SCRIPT, {"EMOTION_HALF_LIFE_S": "0.1"}) as engine,
        zmq.Context() as context,
        context.socket(zmq.SUB) as subscriber,
    ):
        subscriber.linger = 0
        subscriber.subscribe(b'{"topic": "emotion"')
        subscriber.connect(engine.publish_address)

        def heard() -> bool:
            engine.ask({"action": "apply_event", "kind": "explicit", "arousal_change": 0.001})
            return bool(subscriber.poll(20))

        wait_for(heard, "the subscription has arrived")
        engine.ask({"action": "apply_event", "kind": "explicit", "valence_change": 1, "arousal_change": 1})
        message = receive(subscriber, lambda told: told["valence"] > 0.5)
        assert (message["cause"], message["label"]) == ("explicit", "excited")
        back = receive(subscriber, lambda told: told["valence"] < 0.3)
        assert back["cause"] == "decay"
        assert engine.ask({"action": "get_emotion"})["valence"] <= back["valence"]


def test_describe_names_the_publish_port(engine: AgentProcess) -> None:
    assert engine.ask({"action": "describe"})["ports"]["publish"] == engine.publish_port


def test_no_message_harms_it(engine: AgentProcess) -> None:
    attack(engine)
