"""Messages between agents: one frame with one JSON object."""

import json
from typing import Any, NoReturn

# A larger frame ends its sender's connection. Between an agent's own limit and this one the sender gets an error reply.
MAX_FRAME_BYTES = 16 * 1024 * 1024


class RequestError(Exception):
    """Why a request is refused; text, code and details become the error reply.

    Codes: `bad_request`, the sender's mistake, which nobody else would answer either; `busy`, with `retry_after_s`;
    `unavailable`, something is missing here, such as a model; `timeout`; `internal`, the agent's own fault.
    """

    def __init__(self, text: str, code: str = "bad_request", **details: Any) -> None:
        super().__init__(text)
        self.details = {"code": code} | details


class PeerError(Exception):
    """A peer that did not answer in time, or answered with an error or nonsense; `reply` is that answer, if any."""

    def __init__(self, text: str, reply: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.reply = reply or {}


def parse(frames: list[bytes], max_bytes: int = MAX_FRAME_BYTES) -> dict[str, Any]:
    """The JSON object in a received message."""
    if len(frames) != 1:
        raise RequestError(f"expected one frame, got {len(frames)}")
    if len(frames[0]) > max_bytes:
        raise RequestError(f"message of {len(frames[0])} bytes; the limit is {max_bytes}")
    try:
        message = json.loads(frames[0].decode(), parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"not valid JSON: {error}") from error
    if not isinstance(message, dict):
        raise RequestError("expected a JSON object")
    return message


def encode(message: dict[str, Any]) -> bytes:
    """One frame of JSON; ValueError for numbers that JSON does not have."""
    return json.dumps(message, allow_nan=False).encode()


def field(request: dict[str, Any], key: str, *kinds: type) -> Any:
    """A field that must be there and be of one of these types (a bool is no number)."""
    value = request.get(key)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise RequestError(f"`{key}` must be of type {expected}")
    return value


def text(request: dict[str, Any], key: str, max_chars: int, default: str | None = None) -> str:
    """A field with text: not blank, not too long, and such that it can be written as UTF-8."""
    if key not in request and default is not None:
        return default
    value: str = field(request, key, str)
    if not value.strip() or len(value) > max_chars:
        raise RequestError(f"`{key}` must have 1 to {max_chars} characters")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise RequestError(f"`{key}` has half a surrogate pair")
    return value


def number(
    request: dict[str, Any], key: str, low: float, high: float, default: float | None = None, whole: bool = False
) -> Any:
    """A field with a number from `low` to `high`; an int if it is to be whole, else a float."""
    if key not in request and default is not None:
        return default
    value = field(request, key, int) if whole else field(request, key, int, float)
    if not low <= value <= high:
        raise RequestError(f"`{key}` must be from {low} to {high}")
    return value if whole else float(value)


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
