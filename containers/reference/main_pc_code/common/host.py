"""What this host has, found from names in the file system alone: no driver, no library, no waiting."""

import glob
import os
from collections.abc import Mapping

from main_pc_code.common.settings import MODEL_FOLDER


def compute_device(environment: Mapping[str, str]) -> str:
    """`cuda` if there is an NVIDIA device node and CUDA_VISIBLE_DEVICES does not hide it, else `cpu`."""
    hidden = environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return "cuda" if glob.glob("/dev/nvidia[0-9]*") and not hidden else "cpu"


def capture_devices() -> list[str]:
    """ALSA's device nodes for recording, such as `/dev/snd/pcmC0D0c`."""
    return sorted(glob.glob("/dev/snd/pcmC*D*c"))


def model_names(folder: str = MODEL_FOLDER) -> list[str]:
    """The models in a folder: its sub-folders that have a `config.json`, as transformers saves them."""
    return sorted(path.split(os.sep)[-2] for path in glob.glob(os.path.join(glob.escape(folder), "*", "config.json")))


def model_size_bytes(name: str, folder: str = MODEL_FOLDER) -> int:
    """The size of a model's files; links count as what they point to."""
    with os.scandir(os.path.join(folder, name)) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file())
