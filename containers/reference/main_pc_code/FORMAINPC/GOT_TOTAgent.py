"""GoTToTAgent: reasoning with a language model; so far, what it would run on."""

import os
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.host import compute_device, model_names


class GoTToTAgent(Agent):
    """Starts with or without a GPU and models, and says which of them it found."""

    default_name = "GoTToTAgent"
    default_port = 7000
    description = "Reports the compute device and the models it could use; loads none and answers no questions yet."
    capabilities = ("device_report",)

    def setup(self) -> None:
        self.device = compute_device(self.settings.environment)
        self.models = model_names()

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"report_device": self.report_device}

    def health_details(self) -> Reply:
        return {"device": self.device, "models_found": len(self.models), "model_loaded": None}

    def report_device(self, _request: Request) -> Reply:
        return {"device": self.device, "models": self.models, "model_loaded": None}


if __name__ == "__main__":
    main(GoTToTAgent)
