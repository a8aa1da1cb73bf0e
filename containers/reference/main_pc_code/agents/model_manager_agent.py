"""ModelManagerAgent: which models there are, and who may hold which of them in GPU memory."""

import os
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import Agent, Reply, Request, main
from main_pc_code.common.environment import read_number
from main_pc_code.common.gpu_memory import Nvml
from main_pc_code.common.host import compute_device
from main_pc_code.common.log import JsonLog
from main_pc_code.common.messages import RequestError, field, text
from main_pc_code.common.model_folder import scan_models
from main_pc_code.common.residency import NoRoom, Residency, Resident
from main_pc_code.common.settings import Settings

DEFAULT_BUDGET_MB = 4096
MAX_BUDGET_MB = 1024 * 1024
MAX_NAME_CHARS = 200


class ModelManagerAgent(Agent):
    """Agents ask before they load a model, say when they use it, and give it up when they are told it had to go.

    The models folder is looked into anew at every question, so that added models are seen without a restart.
    """

    default_name = "ModelManagerAgent"
    default_port = 5570
    description = "Knows the models, grants them GPU memory by what they need, and evicts what is longest unused."
    capabilities = ("model_listing", "model_residency")

    def __init__(self, settings: Settings, log: JsonLog) -> None:
        super().__init__(settings, log)
        budget_mb = read_number(settings.environment, "VRAM_BUDGET_MB", DEFAULT_BUDGET_MB, 1, MAX_BUDGET_MB)
        self.declared_mb = int(budget_mb)
        self.is_declared = bool(settings.environment.get("VRAM_BUDGET_MB"))

    def setup(self) -> None:
        self.residency = Residency()
        self.device = compute_device(self.settings.environment)
        self.nvml: Nvml | None = None
        if self.device == "cuda":
            try:
                self.nvml = Nvml()
            except (OSError, AttributeError) as error:
                self.log.warning("the GPU's memory cannot be measured", error=str(error))

    def actions(self) -> dict[str, Any]:
        listing = {"list_models": self.list_models, "list_residents": self.list_residents}
        residing = {"load_model": self.load_model, "use_model": self.use_model, "unload_model": self.unload_model}
        return super().actions() | listing | residing

    def health_details(self) -> Reply:
        return {"device": self.device, "loaded_models": len(self.residency.residents())} | self._memory()

    def list_models(self, _request: Request) -> Reply:
        keys = ("name", "kind", "size_bytes", "vram_need_mb", "problem")
        models = scan_models(self.settings.environment)
        return {"device": self.device, "models": [{key: getattr(model, key) for key in keys} for model in models]}

    def list_residents(self, _request: Request) -> Reply:
        return {"residents": [resident._asdict() for resident in self.residency.residents()]} | self._memory()

    def load_model(self, request: Request) -> Reply:
        agent, name = read_names(request)
        pinned = field({"pinned": False} | request, "pinned", bool)
        models = scan_models(self.settings.environment)
        model = next((model for model in models if model.name == name), None)
        if model is None or model.problem is not None:
            raise RequestError(f"model `{name}`: {model.problem if model else 'there is no such folder below models/'}")
        try:
            resident = Resident(agent, name, model.vram_need_mb, pinned)
            evicted = self.residency.load(resident, self._memory()["budget_mb"])
        except NoRoom as error:
            raise RequestError(f"model `{name}`: {error}", code="unavailable") from error
        self.log.info("model loaded", holder=agent, model=name, evicted=len(evicted))
        return {"need_mb": resident.need_mb, "evicted": [victim._asdict() for victim in evicted]} | self._memory()

    def use_model(self, request: Request) -> Reply:
        return {"resident": self.residency.use(*read_names(request))}

    def unload_model(self, request: Request) -> Reply:
        resident = self.residency.unload(*read_names(request))
        return {"freed_mb": resident.need_mb if resident else 0} | self._memory()

    def _memory(self) -> Reply:
        """In MiB: what models may take in all, what residents are granted, what other processes hold of the GPU."""
        reserved_mb = self.residency.reserved_mb()
        budget_mb, foreign_mb, source = self.declared_mb, 0, "declared" if self.is_declared else "default"
        if self.nvml is not None:
            total_mb, used_mb = self.nvml.read()
            foreign_mb, source = max(0, used_mb - reserved_mb), "nvml"
            budget_mb = min(total_mb - foreign_mb, self.declared_mb if self.is_declared else total_mb)
        return {
            "budget_mb": budget_mb,
            "budget_source": source,
            "reserved_mb": reserved_mb,
            "foreign_mb": foreign_mb,
            "free_mb": max(0, budget_mb - reserved_mb),
        }


def read_names(request: Request) -> tuple[str, str]:
    return text(request, "agent", MAX_NAME_CHARS), text(request, "model", MAX_NAME_CHARS)


if __name__ == "__main__":
    main(ModelManagerAgent)
