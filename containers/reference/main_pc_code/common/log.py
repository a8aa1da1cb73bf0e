"""JSON log lines on stdout and in a bounded file.

The standard `logging` package is not used: importing it and its handlers takes about 20 ms, a fifth of an agent's
start.
"""

import json
import os
import sys
import threading
import time
from typing import Any, BinaryIO

LEVELS = ("debug", "info", "warning", "error")
MAX_FILE_BYTES = 1_000_000


class JsonLog:
    """Writes one JSON object a line; safe to call from any thread, and never a reason for an agent to fail."""

    def __init__(self, agent: str, folder: str) -> None:
        self.agent = agent
        self.threshold = LEVELS.index("info")
        self.path: str | None = os.path.join(folder, agent.replace("/", "_") + ".log")
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        try:
            self._open()
        except OSError:
            # No such folder, or not ours to write to: stdout has every line anyway.
            self.path = None

    def debug(self, message: str, **fields: Any) -> None:
        self._write("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._write("error", message, fields)

    def exception(self, message: str) -> None:
        """An error with the traceback of the exception that is being handled."""
        import traceback  # Takes 5 ms, which only a failure is worth.

        self._write("error", message, {"traceback": traceback.format_exc()})

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        if LEVELS.index(level) < self.threshold:
            return
        head = {"time": _now(), "level": level, "agent": self.agent, "message": message}
        line = json.dumps(head | fields, default=str) + "\n"
        with self._lock:
            try:
                sys.stdout.write(line)
                sys.stdout.flush()
            except OSError:
                pass  # Nobody reads stdout any more; the file may still be read.
            try:
                self._append(line.encode())
            except OSError:
                self._file = self.path = None

    def _append(self, line: bytes) -> None:
        if self._file is None or self.path is None:
            return
        if self._file.tell() + len(line) > MAX_FILE_BYTES:
            self._file.close()
            os.replace(self.path, self.path + ".1")
            self._open()
        self._file.write(line)

    def _open(self) -> None:
        assert self.path is not None
        self._file = open(self.path, "ab", buffering=0)


def _now() -> str:
    """The time in RFC 3339, UTC, with milliseconds."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{milliseconds:03}Z"
