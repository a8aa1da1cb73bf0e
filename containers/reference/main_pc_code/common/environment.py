"""Settings that only one agent has: numbers from its environment variables."""

from collections.abc import Mapping

from main_pc_code.common.settings import StartError


def read_number(environment: Mapping[str, str], variable: str, default: float, low: float, high: float) -> float:
    """The default where the variable is absent or empty; StartError unless it is a number from `low` to `high`."""
    text = environment.get(variable) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise StartError(f"{variable}: `{text}` is not a number from {low} to {high}")
    return value
