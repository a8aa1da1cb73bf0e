"""AudioCapture: sound into the system, and whether anybody speaks."""

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.environment import read_number
from main_pc_code.common.host import capture_devices
from main_pc_code.common.log import JsonLog
from main_pc_code.common.messages import PeerError, encode
from main_pc_code.common.publisher import Publisher
from main_pc_code.common.settings import Settings
from main_pc_code.common.sound_source import device_frames, dummy_frames, request_frames
from main_pc_code.common.voice import SAMPLE_RATE_HZ, Heard, Listener

EMOTION_ENGINE = "EMOTION_ENGINE"
CAPTURED, INJECTED = "captured", "injected"
MAX_WAITING_EVENTS = 32
RETRY_S = 5.0
STOP_CHECK_S = 0.1


class AudioCapture(Agent):
    """Publishes frames, finds speech in them and tells EmotionEngine; `USE_DUMMY_AUDIO=true` stands in for a device."""

    default_name = "AudioCapture"
    default_port = 6575
    default_publish_port = 6577
    description = "Publishes sound, finds speech in it, and tells EmotionEngine when somebody begins and stops."
    capabilities = ("audio_capture",)

    def __init__(self, settings: Settings, log: JsonLog) -> None:
        super().__init__(settings, log)
        self.seed = int(read_number(settings.environment, "DUMMY_AUDIO_SEED", 0, 0, 2**31))

    def setup(self) -> None:
        if self.settings.environment.get("USE_DUMMY_AUDIO", "").lower() in ("true", "1", "yes"):
            self.source = "dummy"
        else:
            self.source = "device" if capture_devices() else "none"
        self.problem = "no recording device below /dev/snd" if self.source == "none" else None
        self.capturing = False
        self.lock = threading.Lock()
        self.listeners = {CAPTURED: Listener(), INJECTED: Listener()}
        self.events: queue.Queue[Request] = queue.Queue(MAX_WAITING_EVENTS)
        self.voice_events = self.events_sent = self.events_lost = 0
        self.publisher = Publisher(self.context, self.settings)

    def loops(self) -> tuple[Callable[[], None], ...]:
        return (self._send_events,) if self.source == "none" else (self._send_events, self._capture)

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"inject_frames": self.inject_frames}

    def health_details(self) -> Reply:
        return {
            "audio_source": self.source,
            "capturing": self.capturing,
            "problem": self.problem,
            "detector": self.listeners[CAPTURED].detector,
            "voice_active": self.listeners[CAPTURED].active,
            "frames": self.listeners[CAPTURED].frames,
            "frames_injected": self.listeners[INJECTED].frames,
            "frames_published": self.publisher.published,
            "voice_events": self.voice_events,
            "events_sent": self.events_sent,
            "events_lost": self.events_lost,
        }

    def inject_frames(self, request: Request) -> Reply:
        """Has sound from a request published and judged as if it had been captured, beside what is captured."""
        frames = request_frames(request)
        with self.lock:
            heard = [self._take(frame, INJECTED) for frame in frames]
            return {
                "frames": len(frames),
                "voice_frames": sum(each.is_voice for each in heard),
                "events": [each.event for each in heard if each.event],
                "voice_active": self.listeners[INJECTED].active,
            }

    def _capture(self) -> None:
        """Runs until the agent ends; a device that fails is tried again."""
        while not self.wait_for_stop(0):
            try:
                for frame in self._source_frames():
                    self.capturing, self.problem = True, None
                    with self.lock:
                        self._take(frame, CAPTURED)
            except OSError as error:
                if self.problem is None:
                    self.log.warning("no sound, will try again", error=str(error))
                self.capturing, self.problem = False, str(error)
            self.wait_for_stop(RETRY_S)

    def _source_frames(self) -> Iterator[bytes]:
        return dummy_frames(self.seed, self.wait_for_stop) if self.source == "dummy" else device_frames()

    def _take(self, frame: bytes, origin: str) -> Heard:
        """Publishes a frame; if speech began or ended with it, EmotionEngine is to hear of it."""
        listener = self.listeners[origin]
        heard = listener.hear(frame)
        header = {
            "topic": "audio",
            "origin": origin,
            "sequence": listener.frames,
            "time_s": round(time.time(), 3),
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "format": "s16le",
            "level_db": round(heard.level_db, 1),
            "voice_active": listener.active,
        }
        self.publisher.send(encode(header), frame)
        if heard.event:
            self.voice_events += 1
            event = {"kind": "voice", "speaks": listener.active, "level_db": heard.level_db}
            try:
                self.events.put_nowait({"action": "apply_event"} | event)
            except queue.Full:
                self.events_lost += 1
        return heard

    def _send_events(self) -> None:
        """Its own thread, since EmotionEngine may be slow or away and the next frame comes in 20 ms."""
        while not self.wait_for_stop(0):
            try:
                event = self.events.get(timeout=STOP_CHECK_S)
            except queue.Empty:
                continue
            try:
                self.ask(EMOTION_ENGINE, event)
                self.events_sent += 1
            except PeerError as error:
                self.events_lost += 1
                self.log.debug("event lost", error=str(error))


if __name__ == "__main__":
    main(AudioCapture)
