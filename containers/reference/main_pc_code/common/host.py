"""What this host has, found from names in the file system alone: no driver, no library, no waiting."""

import glob
from collections.abc import Mapping


def compute_device(environment: Mapping[str, str]) -> str:
    """`cuda` if there is an NVIDIA device node and CUDA_VISIBLE_DEVICES does not hide it, else `cpu`."""
    hidden = environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return "cuda" if glob.glob("/dev/nvidia[0-9]*") and not hidden else "cpu"


def capture_devices() -> list[str]:
    """ALSA's device nodes for recording, such as `/dev/snd/pcmC0D0c`."""
    return sorted(glob.glob("/dev/snd/pcmC*D*c"))
