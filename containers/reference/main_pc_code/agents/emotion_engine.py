"""EmotionEngine: the system's mood as two numbers."""

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common import messages
from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.environment import read_number
from main_pc_code.common.log import JsonLog
from main_pc_code.common.messages import RequestError, encode
from main_pc_code.common.mood import BASELINE, Mood, decayed, label, moved, sentiment, voice_change
from main_pc_code.common.publisher import Publisher
from main_pc_code.common.settings import Settings

HALF_LIFE_S = 60.0
MAX_TEXT_CHARS = 10_000
TEXT_WEIGHT = 0.5  # What a text's sentiment counts for, compared with an explicit change.
PUBLISH_INTERVAL_S = 0.2
VISIBLE_CHANGE = 0.01  # Decay is published in steps of this size.


class EmotionEngine(Agent):
    """Valence (bad to good) and arousal (calm to excited), moved by events, on their way back to a baseline."""

    default_name = "EmotionEngine"
    default_port = 5590
    default_publish_port = 5592
    description = "Keeps valence and arousal: events change them, time calms them down, subscribers are told."
    capabilities = ("emotion_state",)

    def __init__(self, settings: Settings, log: JsonLog) -> None:
        super().__init__(settings, log)
        self.half_life_s = read_number(settings.environment, "EMOTION_HALF_LIFE_S", HALF_LIFE_S, 0.05, 86400)

    def setup(self) -> None:
        self.lock = threading.Lock()
        self.mood = Mood(*BASELINE, time.monotonic())
        self.shown = self.mood
        self.events = 0
        self.publisher = Publisher(self.context, self.settings)

    def loops(self) -> tuple[Callable[[], None], ...]:
        return (self._publish_decay,)

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"apply_event": self.apply_event, "get_emotion": self.get_emotion}

    def health_details(self) -> Reply:
        return self._state(self._now()) | {"published": self.publisher.published}

    def get_emotion(self, _request: Request) -> Reply:
        return self._state(self._now())

    def apply_event(self, request: Request) -> Reply:
        kind = messages.field(request, "kind", str)
        if kind not in CHANGES:
            raise RequestError(f"`kind` must be one of {', '.join(CHANGES)}")
        change = CHANGES[kind](request)
        with self.lock:
            self.mood = moved(self._now(), change)
            self.events += 1
            self._publish(self.mood, kind)
            return self._state(self.mood)

    def _now(self) -> Mood:
        return decayed(self.mood, time.monotonic(), self.half_life_s)

    def _state(self, mood: Mood) -> Reply:
        rounded = {"valence": round(mood.valence, 4), "arousal": round(mood.arousal, 4)}
        return rounded | {"label": label(mood), "events": self.events}

    def _publish_decay(self) -> None:
        while not self.wait_for_stop(PUBLISH_INTERVAL_S):
            with self.lock:
                mood = self._now()
                changes = abs(mood.valence - self.shown.valence), abs(mood.arousal - self.shown.arousal)
                if max(changes) >= VISIBLE_CHANGE:
                    self._publish(mood, "decay")

    def _publish(self, mood: Mood, cause: str) -> None:
        self.shown = mood
        state = self._state(mood) | {"cause": cause, "time_s": round(time.time(), 3)}
        self.publisher.send(encode({"topic": "emotion"} | state))


def explicit_event(request: Request) -> tuple[float, float]:
    valence, arousal = (messages.number(request, f"{key}_change", -2, 2, 0.0) for key in ("valence", "arousal"))
    return valence, arousal


def text_event(request: Request) -> tuple[float, float]:
    valence, arousal = sentiment(messages.text(request, "text", MAX_TEXT_CHARS))
    return TEXT_WEIGHT * valence, TEXT_WEIGHT * arousal


def voice_event(request: Request) -> tuple[float, float]:
    return voice_change(messages.field(request, "speaks", bool), messages.number(request, "level_db", -120, 0))


CHANGES = {"explicit": explicit_event, "text": text_event, "voice": voice_event}


if __name__ == "__main__":
    main(EmotionEngine)
