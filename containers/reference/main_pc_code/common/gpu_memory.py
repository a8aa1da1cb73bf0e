"""How much memory the first GPU has, asked of NVML, the library of NVIDIA's driver.

The library comes with the driver, on the host as in a container that is given a GPU, so no package is needed.
"""

import ctypes
from typing import Any, NamedTuple

LIBRARY = "libnvidia-ml.so.1"
MIB = 1024 * 1024


class GpuMemory(NamedTuple):
    """In MiB; `used_mb` counts every process."""

    total_mb: int
    used_mb: int


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Nvml:
    """The first GPU that the driver shows; OSError if there is no driver or no GPU."""

    def __init__(self, library: Any = None) -> None:
        self._library = library or ctypes.CDLL(LIBRARY)
        self._handle = ctypes.c_void_p()
        self._call("nvmlInit_v2")
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(self._handle))
        self.read()

    def read(self) -> GpuMemory:
        memory = _Memory()
        self._call("nvmlDeviceGetMemoryInfo", self._handle, ctypes.byref(memory))
        return GpuMemory(memory.total // MIB, memory.used // MIB)

    def _call(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code != 0:
            raise OSError(f"{function} failed with NVML's code {code}")
