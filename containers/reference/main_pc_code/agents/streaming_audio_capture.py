"""AudioCapture: sound into the system; so far, where it would come from."""

import os
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.host import capture_devices


class AudioCapture(Agent):
    """Starts with or without a sound device; `USE_DUMMY_AUDIO=true` chooses synthetic sound over any device."""

    default_name = "AudioCapture"
    default_port = 6575
    description = "Reports the audio source it would use: a device, dummy, or none; captures nothing yet."
    capabilities = ("audio_source_report",)

    def setup(self) -> None:
        self.devices = capture_devices()
        if self.settings.environment.get("USE_DUMMY_AUDIO", "").lower() in ("true", "1", "yes"):
            self.source = "dummy"
        else:
            self.source = "device" if self.devices else "none"

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"report_source": self.report_source}

    def health_details(self) -> Reply:
        return {"audio_source": self.source, "capturing": False}

    def report_source(self, _request: Request) -> Reply:
        return {"audio_source": self.source, "devices": self.devices}


if __name__ == "__main__":
    main(AudioCapture)
