"""Where sound comes from: a device, a made-up scene that is the same for the same seed, or a request."""

import base64
import binascii
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from main_pc_code.common.messages import RequestError, field
from main_pc_code.common.voice import FRAME_BYTES, FRAME_FORMAT, FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ

SILENCE, TONE, VOICED = "silence", "tone", "voiced"
SOUNDS = (TONE, VOICED, TONE, VOICED)
# The shortest and the longest part, in frames: so somebody speaks every few seconds, and stops for long enough.
SILENCE_FRAMES, SOUND_FRAMES = (30, 50), (20, 50)
SYLLABLE_HZ = 4

MAX_REQUEST_FRAMES = 100  # 2 s


def device_frames() -> Iterator[bytes]:
    """Frames from the default input device, without end; OSError if there is none or it fails."""
    try:
        import sounddevice
    except ImportError as error:
        raise OSError(f"the package sounddevice is missing: {error}") from error
    try:
        with sounddevice.RawInputStream(SAMPLE_RATE_HZ, FRAME_SAMPLES, channels=1, dtype="int16") as stream:
            while True:
                yield bytes(stream.read(FRAME_SAMPLES)[0])
    except sounddevice.PortAudioError as error:
        raise OSError(f"the sound device failed: {error}") from error


def dummy_frames(seed: int, wait: Callable[[float], bool]) -> Iterator[bytes]:
    """A scene again and again, as fast as a device would deliver it, until `wait`, which gets seconds, says true."""
    scene = [frame for _, frames in make_scene(seed) for frame in frames]
    due_s = time.monotonic()
    while True:
        for frame in scene:
            due_s = max(due_s + FRAME_MS / 1000, time.monotonic() - 1)  # After a long halt it does not hurry.
            if wait(max(0.0, due_s - time.monotonic())):
                return
            yield frame


def request_frames(request: dict[str, Any]) -> list[bytes]:
    """The sound in a request: whole frames, either as base64 (`pcm_base64`) or as a list of numbers (`samples`)."""
    if ("pcm_base64" in request) == ("samples" in request):
        raise RequestError("expected one of `pcm_base64` and `samples`")
    if "samples" in request:
        samples = field(request, "samples", list)
        if not all(type(sample) is int and -32768 <= sample <= 32767 for sample in samples):
            raise RequestError("`samples` must be whole numbers from -32768 to 32767")
        pcm = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    else:
        try:
            pcm = base64.b64decode(field(request, "pcm_base64", str), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError(f"`pcm_base64`: {error}") from error
    if not pcm or len(pcm) % FRAME_BYTES or len(pcm) > MAX_REQUEST_FRAMES * FRAME_BYTES:
        expected = f"1 to {MAX_REQUEST_FRAMES} frames of {FRAME_SAMPLES} samples"
        raise RequestError(f"expected {expected}, got {len(pcm) / 2:g} samples")
    return [pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES)]


def make_scene(seed: int) -> list[tuple[str, list[bytes]]]:
    """Parts of silence and sound by turns, each as its kind and its frames."""
    dice = random.Random(seed)
    scene = []
    for kind in SOUNDS:
        scene.append((SILENCE, [bytes(FRAME_BYTES)] * dice.randint(*SILENCE_FRAMES)))
        count, pitch_hz = dice.randint(*SOUND_FRAMES), dice.uniform(100, 200)
        sound = tone(count, 5 * pitch_hz) if kind == TONE else voiced(count, pitch_hz)
        scene.append((kind, sound))
    return scene


def tone(count: int, pitch_hz: float) -> list[bytes]:
    """Frames with one sine, too quiet for anybody's voice."""
    return _frames(count, _period(pitch_hz, [(1, 1.0)], peak=0.003), lambda _time_s: 1.0)


def voiced(count: int, pitch_hz: float) -> list[bytes]:
    """Frames like a vowel: a pitch with its overtones, louder around 700 Hz, in syllables."""
    overtones = [
        (number, math.exp(-(((pitch_hz * number - 700) / 400) ** 2)) + 0.5 / number)
        for number in range(1, int(3000 / pitch_hz))
    ]
    period = _period(pitch_hz, overtones, peak=0.5)
    return _frames(count, period, lambda time_s: 0.6 + 0.4 * math.sin(2 * math.pi * SYLLABLE_HZ * time_s))


def _period(pitch_hz: float, overtones: list[tuple[int, float]], peak: float) -> list[float]:
    """One period, in whole samples, of sines with these multiples of the pitch and these strengths."""
    length = round(SAMPLE_RATE_HZ / pitch_hz)
    scale = 32767 * peak / sum(strength for _, strength in overtones)
    return [
        scale * sum(strength * math.sin(2 * math.pi * number * at / length) for number, strength in overtones)
        for at in range(length)
    ]


def _frames(count: int, period: list[float], loudness: Callable[[float], float]) -> list[bytes]:
    length = len(period)
    scales = [loudness(frame * FRAME_MS / 1000) for frame in range(count)]
    samples = [round(scales[at // FRAME_SAMPLES] * period[at % length]) for at in range(count * FRAME_SAMPLES)]
    return [FRAME_FORMAT.pack(*samples[at : at + FRAME_SAMPLES]) for at in range(0, len(samples), FRAME_SAMPLES)]
