"""Which models there are, read from their files alone: neither torch nor transformers is needed to know that."""

import glob
import json
import os
from collections.abc import Mapping
from typing import NamedTuple

from main_pc_code.common.settings import MODEL_FOLDER

MAX_MODELS = 256
MAX_CONFIG_BYTES = 1_000_000
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
MIB = 1024 * 1024
# On top of the weights: activations and the attention cache.
WORKING_MEMORY = 1.2

CAUSAL, SEQ2SEQ, OTHER = "causal", "seq2seq", "other"


class Model(NamedTuple):
    """One folder as transformers' `save_pretrained` writes it; `problem` says why it cannot be loaded."""

    name: str
    path: str
    kind: str
    size_bytes: int
    weight_bytes: int
    problem: str | None

    @property
    def vram_need_mb(self) -> int:
        """What it is likely to take on a GPU, in MiB, at least 1."""
        return max(1, -(-int(self.weight_bytes * WORKING_MEMORY) // MIB))


class NoModel(Exception):
    """Why there is no model to work with; the text is for whoever runs the agent."""


def scan_models(environment: Mapping[str, str]) -> list[Model]:
    """The sub-folders of MODEL_FOLDER or `models/` that have a `config.json`, by name, at most MAX_MODELS.

    Links count as what they point to.
    """
    folder = environment.get("MODEL_FOLDER") or MODEL_FOLDER
    configs = sorted(glob.glob(os.path.join(glob.escape(folder), "*", "config.json")))
    return [_read_model(os.path.dirname(path)) for path in configs[:MAX_MODELS]]


def choose_model(models: list[Model], kind: str, wanted: str = "", hint: str = "") -> Model:
    """The model called `wanted`; without that the first one of the kind, of those first whose name contains `hint`."""
    fitting = [model for model in models if model.kind == kind and model.problem is None]
    if wanted:
        for model in models:
            if model.name == wanted and model not in fitting:
                raise NoModel(f"model `{wanted}`: {model.problem or f'is of kind {model.kind}, not {kind}'}")
        fitting = [model for model in fitting if model.name == wanted]
    if not fitting:
        name = f" called `{wanted}`" if wanted else ""
        raise NoModel(f"no {kind} language model{name} below models/ (a folder with config.json and weights)")
    return min(fitting, key=lambda model: (hint not in model.name.lower(), model.name))


def _read_model(path: str) -> Model:
    weights = [name for pattern in WEIGHTS for name in glob.glob(os.path.join(glob.escape(path), pattern))]
    kind, problem = OTHER, None
    try:
        kind = _read_kind(os.path.join(path, "config.json"))
    except (OSError, ValueError, RecursionError) as error:
        problem = f"config.json cannot be read: {error}"
    if not weights:
        problem = problem or f"no weights ({' or '.join(WEIGHTS)})"
    elif unreadable := [name for name in weights if not os.access(name, os.R_OK)]:
        problem = problem or f"{os.path.basename(unreadable[0])} may not be read by this user"
    with os.scandir(path) as entries:
        size_bytes = sum(_size_bytes(entry.path) for entry in entries)
    return Model(os.path.basename(path), path, kind, size_bytes, sum(map(_size_bytes, weights)), problem)


def _read_kind(path: str) -> str:
    """What the model can do, from the class that its configuration names."""
    with open(path, "rb") as file:
        config = json.loads(file.read(MAX_CONFIG_BYTES))
    if not isinstance(config, dict):
        raise ValueError("expected a JSON object")
    architectures = config.get("architectures")
    architecture = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return CAUSAL
    if config.get("is_encoder_decoder") is True and architecture.endswith(("ForConditionalGeneration", "MTModel")):
        return SEQ2SEQ
    return OTHER


def _size_bytes(path: str) -> int:
    """The size of a file; 0 of a folder, and of a link that leads nowhere."""
    return os.path.getsize(path) if os.path.isfile(path) else 0
