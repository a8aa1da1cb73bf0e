"""AudioCapture: made-up sound, speech in it, and who hears of it."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from main_pc_code.common import sound_source
from main_pc_code.common.voice import (
    FRAME_BYTES,
    HANGOVER_FRAMES,
    SILENCE_DB,
    START_FRAMES,
    Listener,
    VoiceActivity,
    level_db,
    open_detector,
)
from main_pc_code.tests.harness import AgentProcess, Message, wait_for
from main_pc_code.tests.hostile import attack

SCRIPT = "main_pc_code/agents/streaming_audio_capture.py"
SILENCE = bytes(FRAME_BYTES)
VOICED = sound_source.voiced(30, pitch_hz=140)


@pytest.fixture(scope="module")
def dummy() -> Iterator[AgentProcess]:
    """It is told an address of EmotionEngine where nobody answers."""
    with zmq.Context() as context, context.socket(zmq.REP) as silent:
        port = silent.bind_to_random_port("tcp://127.0.0.1")
        environment = {"USE_DUMMY_AUDIO": "true", "EMOTION_ENGINE_ADDRESS": f"tcp://127.0.0.1:{port}"}
        with AgentProcess(SCRIPT, environment) as agent:
            yield agent


def injection(frames: list[bytes]) -> Message:
    return {"action": "inject_frames", "pcm_base64": base64.b64encode(b"".join(frames)).decode()}


def feed(verdicts: str) -> list[int]:
    """Where segments begin and end, for a voice at each `x`."""
    voice = VoiceActivity(start_frames=3, hangover_frames=4)
    return [position for position, verdict in enumerate(verdicts) if voice.feed(verdict == "x")]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("..xx..xx..", []),
        ("..xxx.....", [4, 8]),
        ("xxx...x...x....", [2, 14]),
        ("xxxx....xxx", [2, 7, 10]),
    ],
)
def test_segments_begin_late_and_end_late(verdicts: str, expected: list[int]) -> None:
    assert feed(verdicts) == expected


def test_level_is_relative_to_full_scale() -> None:
    full = b"\xff\x7f" * (FRAME_BYTES // 2)
    assert level_db(full) == pytest.approx(0, abs=0.001)
    assert level_db(SILENCE) == SILENCE_DB
    half = (16384).to_bytes(2, "little") * (FRAME_BYTES // 2)
    assert level_db(half) == pytest.approx(-6.02, abs=0.01)


def test_the_same_seed_makes_the_same_scene() -> None:
    scene = sound_source.make_scene(3)
    assert scene == sound_source.make_scene(3)
    assert scene != sound_source.make_scene(4)
    assert {len(frame) for _, frames in scene for frame in frames} == {FRAME_BYTES}


def test_a_pause_between_words_does_not_end_a_segment() -> None:
    listener = Listener()
    heard = [listener.hear(frame) for frame in [*VOICED, *[SILENCE] * 10, *VOICED, *[SILENCE] * 60]]
    assert [each.event for each in heard if each.event] == ["voice_started", "voice_ended"]


@pytest.mark.parametrize("seed", range(4))
def test_speech_is_found_where_the_scene_has_it(seed: int) -> None:
    _, judge = open_detector()
    voice = VoiceActivity()
    begun_in, spoken = [], 0
    for kind, frames in sound_source.make_scene(seed):
        for frame in frames:
            if voice.feed(judge(frame, level_db(frame))) and voice.active:
                begun_in.append(kind)
        spoken += kind == sound_source.VOICED
    assert begun_in == [sound_source.VOICED] * spoken


def test_dummy_frames_keep_the_pace_of_a_device_and_stop() -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) > 10

    assert len(list(sound_source.dummy_frames(0, wait))) == 10
    # Nobody really waited, so each frame is due 20 ms after the one before it.
    assert 0.1 < waits[-1] <= 11 * 0.02 + 0.001


def test_frames_are_published_with_a_header(dummy: AgentProcess) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.subscribe(b"")
        subscriber.connect(dummy.publish_address)
        headers: list[dict[str, Any]] = []
        while len(headers) < 5:
            assert subscriber.poll(5000), "nothing was published within 5 s"
            header, pcm = subscriber.recv_multipart()
            assert len(pcm) == FRAME_BYTES
            headers.append(json.loads(header))
            assert headers[-1]["level_db"] == round(level_db(pcm), 1)
    first = headers[0]["sequence"]
    assert [header["sequence"] for header in headers] == list(range(first, first + 5))
    assert (headers[0]["topic"], headers[0]["origin"], headers[0]["sample_rate_hz"]) == ("audio", "captured", 16000)


def test_dummy_sound_has_speech_and_capture_does_not_wait_for_emotion_engine(dummy: AgentProcess) -> None:
    before = dummy.health()
    assert (before["audio_source"], before["capturing"], before["problem"]) == ("dummy", True, None)
    started_s = time.monotonic()
    for _ in range(5):
        assert len(dummy.ask(injection(VOICED + [SILENCE] * 50))["events"]) == 2
    after = wait_for(lambda: newer(dummy.health(), before["frames"] + 15), "0.3 s of sound")
    # Each of the ten events stays unanswered for a second.
    assert time.monotonic() - started_s < 5
    assert after["frames_injected"] >= before["frames_injected"] + 5 * 80
    assert after["voice_events"] >= 10
    assert after["events_sent"] == 0


def newer(health: Message, frames: int) -> Message:
    return health if health["frames"] >= frames else {}


@pytest.fixture(scope="module")
def engine() -> Iterator[AgentProcess]:
    with AgentProcess("main_pc_code/agents/emotion_engine.py") as agent:
        yield agent


@pytest.fixture(scope="module")
def without_device(engine: AgentProcess) -> Iterator[AgentProcess]:
    with AgentProcess(SCRIPT, {"USE_DUMMY_AUDIO": "", "EMOTION_ENGINE_ADDRESS": engine.address}) as agent:
        yield agent


def test_injected_speech_reaches_emotion_engine(without_device: AgentProcess, engine: AgentProcess) -> None:
    reply = without_device.ask(injection(VOICED))
    assert (reply["frames"], reply["events"], reply["voice_active"]) == (30, ["voice_started"], True)
    assert reply["voice_frames"] >= 30 - START_FRAMES
    told = wait_for(lambda: events(engine, 1), "the event has arrived")
    assert told["arousal"] > 0.1
    assert without_device.ask(injection([SILENCE] * (HANGOVER_FRAMES + 30)))["events"] == ["voice_ended"]
    assert wait_for(lambda: events(engine, 2), "its end has arrived")["arousal"] < told["arousal"]
    wait_for(lambda: without_device.health()["events_sent"] == 2, "both are counted")


def events(engine: AgentProcess, count: int) -> Message:
    reply = engine.ask({"action": "get_emotion"})
    return reply if reply["events"] == count else {}


def test_without_a_device_it_says_so_and_goes_on(without_device: AgentProcess) -> None:
    health = without_device.health()
    assert not health["capturing"]
    assert "sound" in health["problem"] or "device" in health["problem"] or "PortAudio" in health["problem"]
    samples = [int.from_bytes(VOICED[0][at : at + 2], "little", signed=True) for at in range(0, FRAME_BYTES, 2)]
    reply = without_device.ask({"action": "inject_frames", "samples": samples})
    assert (reply["status"], reply["frames"]) == ("ok", 1)


@pytest.mark.parametrize(
    "sound",
    [
        {},
        {"samples": [0] * 320, "pcm_base64": ""},
        {"samples": [0] * 319},
        {"samples": [0] * 319 + [40_000]},
        {"samples": [0] * 319 + [True]},
        {"samples": []},
        {"samples": [0] * 320 * 101},
        {"pcm_base64": "not base64!"},
        {"pcm_base64": "é"},
        {"pcm_base64": "AAAA"},
    ],
)
def test_bad_sound_is_refused(without_device: AgentProcess, sound: Message) -> None:
    reply = without_device.ask({"action": "inject_frames"} | sound)
    assert (reply["status"], reply["code"]) == ("error", "bad_request")


def test_no_message_harms_it(dummy: AgentProcess) -> None:
    attack(dummy)
