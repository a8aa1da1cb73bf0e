"""ModelManagerAgent: which models there are."""

import os
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.host import compute_device, model_names, model_size_bytes


class ModelManagerAgent(Agent):
    """Looks into the models folder anew at every question, so that added models are seen without a restart."""

    default_name = "ModelManagerAgent"
    default_port = 5570
    description = "Lists the models in the models folder with their sizes; loads none of them yet."
    capabilities = ("model_listing",)

    def setup(self) -> None:
        self.device = compute_device(self.settings.environment)

    def actions(self) -> dict[str, Any]:
        return super().actions() | {"list_models": self.list_models}

    def health_details(self) -> Reply:
        return {"device": self.device, "loaded_models": 0}

    def list_models(self, _request: Request) -> Reply:
        models = [{"name": name, "size_bytes": model_size_bytes(name)} for name in model_names()]
        return {"device": self.device, "models": models}


if __name__ == "__main__":
    main(ModelManagerAgent)
