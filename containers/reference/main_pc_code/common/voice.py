"""Is anybody speaking? Sound here is 16-bit, little-endian, one channel, 16 kHz, in frames of 20 ms."""

import math
import struct
import warnings
from collections.abc import Callable
from typing import NamedTuple

SAMPLE_RATE_HZ = 16_000
FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = 2 * FRAME_SAMPLES
FRAME_FORMAT = struct.Struct(f"<{FRAME_SAMPLES}h")

SILENCE_DB = -120.0  # What a frame of zeros counts as, whose level is minus infinity.
VOICE_DB = -45.0  # What is quieter is nobody who speaks to this microphone.
WEBRTC_MODE = 2  # From 0, which takes much for a voice, to 3.

START_FRAMES = 3  # 60 ms: shorter sounds are no speech.
HANGOVER_FRAMES = 20  # 400 ms: pauses between words are longer than those in them.


def level_db(frame: bytes) -> float:
    """The loudness of a frame in decibels below full scale."""
    energy = sum(sample * sample for sample in FRAME_FORMAT.unpack(frame)) / FRAME_SAMPLES
    return max(SILENCE_DB, min(0.0, 10 * math.log10(energy / 32768**2))) if energy else SILENCE_DB


def open_detector() -> tuple[str, Callable[[bytes, float], bool]]:
    """The name of a detector, and what judges a frame and its level: WebRTC's where it is installed, else the level."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It imports pkg_resources, which is announced to go.
            import webrtcvad
    except ImportError:
        return "level", lambda _frame, level: level > VOICE_DB
    detector = webrtcvad.Vad(WEBRTC_MODE)
    # It must hear every frame, since it learns from them what the background sounds like.
    return "webrtc", lambda frame, level: detector.is_speech(frame, SAMPLE_RATE_HZ) and level > VOICE_DB


class VoiceActivity:
    """From frames to segments of speech, which begin after some frames with a voice and end after some without."""

    def __init__(self, start_frames: int = START_FRAMES, hangover_frames: int = HANGOVER_FRAMES) -> None:
        self.active = False
        self._start_frames, self._hangover_frames = start_frames, hangover_frames
        self._streak = 0  # Frames in a row that speak against the present state.

    def feed(self, is_voice: bool) -> bool:
        """Takes the next frame's verdict; true if a segment began or ended with it."""
        self._streak = self._streak + 1 if is_voice != self.active else 0
        if self._streak < (self._hangover_frames if self.active else self._start_frames):
            return False
        self._streak = 0
        self.active = not self.active
        return True


class Heard(NamedTuple):
    """What there is to say about one frame; `event` is `voice_started`, `voice_ended` or none."""

    level_db: float
    is_voice: bool
    event: str | None


class Listener:
    """Follows one stream of frames."""

    def __init__(self) -> None:
        self.frames = 0
        self.detector, self._judge = open_detector()
        self._activity = VoiceActivity()

    @property
    def active(self) -> bool:
        return self._activity.active

    def hear(self, frame: bytes) -> Heard:
        self.frames += 1
        level = level_db(frame)
        is_voice = self._judge(frame, level)
        turned = self._activity.feed(is_voice)
        return Heard(level, is_voice, ("voice_started" if self.active else "voice_ended") if turned else None)
