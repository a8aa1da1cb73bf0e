"""Which agent holds which model in GPU memory, and which of them have to go when another one needs the room.

This is bookkeeping in MiB; it neither loads nor measures anything.
"""

from typing import NamedTuple

MAX_RESIDENTS = 256


class NoRoom(Exception):
    """Why a model cannot be taken in; the text is for whoever asked."""


class Resident(NamedTuple):
    """One agent's copy of a model: two agents that use the same model hold two copies."""

    agent: str
    model: str
    need_mb: int
    pinned: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.agent, self.model


class Residency:
    """The residents in the order of their last use, the longest unused first."""

    def __init__(self) -> None:
        self._residents: dict[tuple[str, str], Resident] = {}

    def residents(self) -> list[Resident]:
        return list(self._residents.values())

    def reserved_mb(self) -> int:
        return sum(resident.need_mb for resident in self.residents())

    def load(self, resident: Resident, budget_mb: int) -> list[Resident]:
        """Takes a resident in, or anew if it is there already; returns who had to go for it, or raises NoRoom."""
        others = [other for other in self.residents() if other.key != resident.key]
        if len(others) >= MAX_RESIDENTS:
            raise NoRoom(f"{MAX_RESIDENTS} models are resident; unload one first")
        evicted = _choose_victims(others, resident.need_mb, budget_mb)
        for victim in [*evicted, resident]:
            self._residents.pop(victim.key, None)
        self._residents[resident.key] = resident
        return evicted

    def use(self, agent: str, model: str) -> bool:
        """Marks a model as just used; false if it is not resident, because it never was or had to go."""
        resident = self._residents.pop((agent, model), None)
        if resident is not None:
            self._residents[agent, model] = resident
        return resident is not None

    def unload(self, agent: str, model: str) -> Resident | None:
        return self._residents.pop((agent, model), None)


def _choose_victims(residents: list[Resident], need_mb: int, budget_mb: int) -> list[Resident]:
    """The longest unused ones that are not pinned, as many as it takes; NoRoom if even all of them do not suffice."""
    free_mb = budget_mb - sum(resident.need_mb for resident in residents)
    victims: list[Resident] = []
    for resident in residents:
        if free_mb >= need_mb:
            break
        if not resident.pinned:
            victims.append(resident)
            free_mb += resident.need_mb
    if free_mb < need_mb:
        raise NoRoom(f"needs {need_mb} MiB; {max(0, free_mb)} MiB of {budget_mb} can be had without the pinned models")
    return victims
