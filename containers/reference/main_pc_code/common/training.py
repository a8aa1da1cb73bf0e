"""What a training cycle does: fits y = w1 x1 + ... + wn xn + bias to rows of data by gradient descent.

Small and exact: the same specification and the same number of steps give the same weights to the last bit, whether or
not the training was interrupted and went on from a checkpoint.
"""

import math
import random
from typing import Any, NamedTuple

from main_pc_code.common.messages import RequestError, field, number

MAX_ROWS = 2000
MAX_FEATURES = 20
MAX_STEPS = 1_000_000
MAX_VALUE = 1e6
NOISE = 0.05

Row = list[float]


class Checkpoint(NamedTuple):
    """Where a training is: steps done, weights with the bias last, and their mean squared error."""

    step: int
    weights: Row
    loss: float


class DivergedError(Exception):
    """The weights grew without limit; the learning rate is too large for the data."""


def specification(request: dict[str, Any]) -> dict[str, Any]:
    """What is to be trained, checked: rows of numbers whose last one is y, or a seed to make such rows from."""
    spec = {
        "steps": number(request, "steps", 1, MAX_STEPS, default=200, whole=True),
        "learning_rate": number(request, "learning_rate", 1e-9, 1e3, default=0.1),
    }
    if "data" not in request:
        return spec | {
            "seed": number(request, "seed", 0, 2**31, default=0, whole=True),
            "rows": number(request, "rows", 2, MAX_ROWS, default=100, whole=True),
            "features": number(request, "features", 1, MAX_FEATURES, default=3, whole=True),
        }
    rows = field(request, "data", list)
    if not 2 <= len(rows) <= MAX_ROWS:
        raise RequestError(f"`data` must have 2 to {MAX_ROWS} rows")
    width = len(rows[0]) if isinstance(rows[0], list) else 0
    if not 2 <= width <= MAX_FEATURES + 1 or any(not isinstance(row, list) or len(row) != width for row in rows):
        raise RequestError(f"rows of `data` must be lists of one length, from 2 to {MAX_FEATURES + 1}")
    checked = [[number({"data": value}, "data", -MAX_VALUE, MAX_VALUE) for value in row] for row in rows]
    return spec | {"data": checked}


class Training:
    """A training that can be taken up from any checkpoint."""

    def __init__(self, spec: dict[str, Any], checkpoint: Checkpoint | None = None) -> None:
        self._rate = spec["learning_rate"]
        self._last_step = spec["steps"]
        rows = spec.get("data") or made_up_rows(spec["seed"], spec["rows"], spec["features"])
        self._inputs = [[*row[:-1], 1.0] for row in rows]  # The bias is the weight of a constant.
        self._targets = [row[-1] for row in rows]
        weights = [0.0] * len(self._inputs[0])
        self.checkpoint = checkpoint or Checkpoint(0, weights, self._loss(weights))

    def done(self) -> bool:
        return bool(self.checkpoint.step >= self._last_step)

    def advance(self, steps: int) -> None:
        """Does some more steps, at most up to the last one."""
        step, weights = self.checkpoint.step, self.checkpoint.weights
        end = min(step + steps, self._last_step)
        while step < end:
            gradient = self._gradient(weights)
            weights = [weight - self._rate * slope for weight, slope in zip(weights, gradient, strict=True)]
            step += 1
        self.checkpoint = Checkpoint(step, weights, self._loss(weights))
        if not math.isfinite(self.checkpoint.loss):
            raise DivergedError(f"diverged by step {step}: the learning rate {self._rate} is too large for this data")

    def _gradient(self, weights: Row) -> Row:
        """Of the mean squared error."""
        errors = self._errors(weights)
        columns = zip(*self._inputs, strict=True)
        scale = 2 / len(errors)
        return [scale * sum(error * value for error, value in zip(errors, column, strict=True)) for column in columns]

    def _loss(self, weights: Row) -> float:
        return sum(error * error for error in self._errors(weights)) / len(self._inputs)

    def _errors(self, weights: Row) -> Row:
        return [
            sum(weight * value for weight, value in zip(weights, row, strict=True)) - target
            for row, target in zip(self._inputs, self._targets, strict=True)
        ]


def made_up_rows(seed: int, count: int, features: int) -> list[Row]:
    """Rows of a hidden linear function with a little noise, which training should find again."""
    source = random.Random(seed)
    hidden = hidden_weights(seed, features)
    rows = []
    for _ in range(count):
        inputs = [source.uniform(-1, 1) for _ in range(features)]
        exact = sum(weight * value for weight, value in zip(hidden, [*inputs, 1.0], strict=True))
        rows.append([*inputs, exact + source.gauss(0, NOISE)])
    return rows


def hidden_weights(seed: int, features: int) -> Row:
    source = random.Random(f"weights {seed}")
    return [source.uniform(-2, 2) for _ in range(features + 1)]
