"""SystemDigitalTwin's answers about resources: what could be taken, and reservations of it.

A reservation has a lease. Whoever holds it renews it; if its holder dies, it ends by itself.
"""

import time
import uuid
from collections.abc import Callable, Mapping

from main_pc_code.common import capacity
from main_pc_code.common.agent import Reply, Request
from main_pc_code.common.capacity import BYTES_PER_MB, RESOURCES, Amounts, Reservation
from main_pc_code.common.environment import read_number
from main_pc_code.common.messages import RequestError, number, text
from main_pc_code.common.metrics import Metrics
from main_pc_code.common.twin_state import HOST, TwinState

MAX_RESERVATIONS = 1000
MAX_LEASE_S = 24 * 3600
RETRY_S = 2.0


class ResourceDesk:
    """Judges by the host, and by the limits of the container of the agent that is to take it, where these are known."""

    def __init__(self, state: TwinState, total: Amounts, host: Metrics) -> None:
        self.state = state
        self.total = total
        self.host = host

    def actions(self) -> dict[str, Callable[[Request], Reply]]:
        own = (self.simulate_load, self.reserve, self.renew, self.release, self.list_reservations)
        return {action.__name__: action for action in own}

    def simulate_load(self, request: Request) -> Reply:
        """Whether this much more could be taken; `slows_others` if processors would then have to be shared."""
        wanted, owner = capacity.amounts_field(request), text(request, "owner", 200, default=HOST)
        free = self._free(owner)
        lacking = capacity.lacking(wanted, free)
        slows_others = self.host.get("busy_cpus", 0.0) + wanted["cpus"] > self.host["cpus"]
        amounts = {"free": free, "reserved": capacity.reserved(self._reservations()), "capacity": self.total}
        return {"fits": not lacking, "lacking": lacking, "slows_others": slows_others, **amounts}

    def reserve(self, request: Request) -> Reply:
        """Refused as `busy` if it may fit later, as `unavailable` if it never will."""
        wanted, owner = capacity.amounts_field(request), text(request, "owner", 200)
        lease_s = number(request, "lease_s", 0.1, MAX_LEASE_S)
        free = self._free(owner)
        if capacity.lacking(wanted, self.total):
            raise RequestError(f"more than there is: wanted {wanted}, capacity {self.total}", code="unavailable")
        if lacking := capacity.lacking(wanted, free):
            problem = f"not enough {', '.join(lacking)} now: wanted {wanted}, free {free}"
            raise RequestError(problem, code="busy", lacking=lacking, retry_after_s=RETRY_S)
        if len(self.state.reservations) >= MAX_RESERVATIONS:
            raise RequestError(f"{MAX_RESERVATIONS} reservations already", code="busy", retry_after_s=RETRY_S)
        return self._promise(Reservation(uuid.uuid4().hex, owner, wanted, 0.0), lease_s)

    def renew(self, request: Request) -> Reply:
        id, lease_s = text(request, "reservation", 100), number(request, "lease_s", 0.1, MAX_LEASE_S)
        self._reservations()
        if id not in self.state.reservations:
            raise RequestError("no such reservation; its lease may be over")
        return self._promise(self.state.reservations[id], lease_s)

    def release(self, request: Request) -> Reply:
        return {"released": self.state.drop_reservation(text(request, "reservation", 100))}

    def list_reservations(self, _request: Request) -> Reply:
        now_s = time.time()
        shown = [
            {"reservation": item.id, "owner": item.owner, **item.amounts, "expires_in_s": item.expires_s - now_s}
            for item in self._reservations()
        ]
        return {"reservations": shown, "reserved": capacity.reserved(self._reservations())}

    def _promise(self, item: Reservation, lease_s: float) -> Reply:
        self.state.put_reservation(item._replace(expires_s=time.time() + lease_s))
        return {"reservation": item.id, "lease_s": lease_s}

    def _reservations(self) -> list[Reservation]:
        """Those whose lease is not over; the others are removed."""
        now_s = time.time()
        for item in [item for item in self.state.reservations.values() if item.expires_s <= now_s]:
            self.state.drop_reservation(item.id)
        return list(self.state.reservations.values())

    def _free(self, owner: str) -> Amounts:
        free = capacity.free_of_host(self.total, self.host, capacity.reserved(self._reservations()))
        if owner in self.state.agents:
            taken = capacity.reserved(self._reservations(), owner)
            inside = capacity.free_of_container(self.state.agents[owner]["metrics"], taken)
            free |= {name: min(free[name], amount) for name, amount in inside.items()}
        return free


def read_capacity(environment: Mapping[str, str], host: Metrics) -> Amounts:
    """What the whole system may take: `CAPACITY_MEMORY_MB` and so on; by default the host's, and no GPU memory."""
    found = {"memory_mb": host.get("memory_bytes", 0.0) / BYTES_PER_MB, "cpus": host["cpus"], "vram_mb": 0.0}
    return {
        name: read_number(environment, f"CAPACITY_{name.upper()}", found[name], 0, limit)
        for name, limit in RESOURCES.items()
    }
