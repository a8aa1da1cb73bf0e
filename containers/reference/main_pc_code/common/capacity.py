"""Who may take how much: reservations and what they leave. Pure arithmetic, without a clock and without IO.

Memory counts twice if its holder already uses what it has reserved. That errs on the safe side: what is free really is.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from main_pc_code.common.messages import RequestError, number
from main_pc_code.common.metrics import Metrics

Amounts = dict[str, float]

# The largest amount that can be asked for, per resource.
RESOURCES = {"memory_mb": 1e9, "cpus": 1e6, "vram_mb": 1e9}
BYTES_PER_MB = 1024 * 1024


class Reservation(NamedTuple):
    """A promise to an owner. It ends at `expires_s`, in seconds since 1970, unless it is renewed."""

    id: str
    owner: str
    amounts: Amounts
    expires_s: float


def amounts_field(request: dict[str, Any]) -> Amounts:
    amounts = {name: number(request, name, 0, limit, default=0.0) for name, limit in RESOURCES.items()}
    if not any(amounts.values()):
        raise RequestError(f"nothing is asked for; expected at least one of {', '.join(RESOURCES)}")
    return amounts


def reserved(reservations: Iterable[Reservation], owner: str | None = None) -> Amounts:
    """The sum over one owner's reservations, or over all."""
    chosen = [item.amounts for item in reservations if owner in (None, item.owner)]
    return {name: sum(amounts[name] for amounts in chosen) for name in RESOURCES}


def free_of_host(capacity: Amounts, host: Metrics, taken: Amounts) -> Amounts:
    """Memory must be there now. Processor time is shared: whoever is busy without a reservation gives way."""
    available_mb = host.get("memory_available_bytes", float("inf")) / BYTES_PER_MB
    there = capacity | {"memory_mb": min(capacity["memory_mb"], available_mb)}
    return {name: round(max(0.0, there[name] - taken[name]), 3) for name in RESOURCES}


def free_of_container(metrics: Metrics, taken: Amounts) -> Amounts:
    """Within the limits of an agent's container; resources without a limit are left out."""
    free: Amounts = {}
    if "cgroup_memory_limit_bytes" in metrics:
        unused_bytes = metrics["cgroup_memory_limit_bytes"] - metrics.get("cgroup_memory_bytes", 0.0)
        free["memory_mb"] = round(max(0.0, unused_bytes / BYTES_PER_MB - taken["memory_mb"]), 3)
    if "cgroup_cpus_limit" in metrics:
        free["cpus"] = round(max(0.0, metrics["cgroup_cpus_limit"] - taken["cpus"]), 3)
    return free


def lacking(wanted: Amounts, available: Amounts) -> list[str]:
    """The resources of which there is not enough."""
    return [name for name in RESOURCES if wanted[name] > available.get(name, float("inf"))]
