"""EmotionEngine: the system's mood as two numbers."""

import os
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.messages import RequestError, field


class EmotionEngine(Agent):
    """Valence (bad to good) and arousal (calm to excited), both from -1 to 1, moved by events."""

    default_name = "EmotionEngine"
    default_port = 5590
    description = "Keeps valence and arousal, changed by events; without decay and without publishing them yet."
    capabilities = ("emotion_state",)

    def setup(self) -> None:
        self.valence = 0.0
        self.arousal = 0.0

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"apply_event": self.apply_event, "get_emotion": self.get_emotion}

    def apply_event(self, request: Request) -> Reply:
        changes = [float_field(request, key) for key in ("valence_change", "arousal_change")]
        self.valence = clamp(self.valence + changes[0])
        self.arousal = clamp(self.arousal + changes[1])
        return self.get_emotion(request)

    def get_emotion(self, _request: Request) -> Reply:
        return {"valence": self.valence, "arousal": self.arousal}


def float_field(request: Request, key: str) -> float:
    value = field(request, key, int, float)
    if not abs(value) <= 2:
        raise RequestError(f"`{key}` must be from -2 to 2")
    return float(value)


def clamp(value: float) -> float:
    return max(-1.0, min(1.0, value))


if __name__ == "__main__":
    main(EmotionEngine)
