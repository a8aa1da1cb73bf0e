"""Which task is let in and which agent gets it: the coordinator's decisions, without IO."""

import threading
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

SHARE = 0.75
SUSPECT_S = 10.0


class Candidate(NamedTuple):
    """A registered agent."""

    name: str
    address: str
    capabilities: tuple[str, ...]


class Router:
    """Counts the tasks in hand, by capability and by agent; safe to use from several threads."""

    def __init__(self, limit: int) -> None:
        """`limit`: tasks in hand at once, of all capabilities together."""
        self._limit = limit
        self._lock = threading.Lock()
        self._candidates: tuple[Candidate, ...] = ()
        self._tasks: Counter[str] = Counter()
        self._loads: Counter[str] = Counter()
        self._suspect_until_s: dict[str, float] = {}

    def set_candidates(self, candidates: Iterable[Candidate]) -> None:
        with self._lock:
            self._candidates = tuple(candidates)
            names = {candidate.name for candidate in self._candidates}
            self._suspect_until_s = {name: end_s for name, end_s in self._suspect_until_s.items() if name in names}

    def having(self, capability: str) -> list[Candidate]:
        return [candidate for candidate in self._candidates if capability in candidate.capabilities]

    def admit(self, capability: str) -> bool:
        """A capability gets at most three quarters of what the others leave.

        So there is always room for the tasks that an agent submits while it works on one itself.
        """
        with self._lock:
            left = self._limit - (self._tasks.total() - self._tasks[capability])
            if self._tasks[capability] >= max(1, int(SHARE * left)):
                return False
            self._tasks[capability] += 1
            return True

    def leave(self, capability: str) -> None:
        with self._lock:
            self._tasks[capability] -= 1
            if not self._tasks[capability]:
                del self._tasks[capability]  # Senders make up capabilities; they must not fill the memory.

    def choose(self, capability: str, tried: set[str], now_s: float) -> tuple[Candidate, int] | None:
        """The untried agent with the least in hand, those that failed lately last; and the number of untried ones.

        The task is in its hand until `finish`.
        """
        with self._lock:
            untried = [candidate for candidate in self.having(capability) if candidate.name not in tried]
            if not untried:
                return None
            chosen = min(untried, key=lambda candidate: self._rank(candidate.name, now_s))
            self._loads[chosen.name] += 1
            return chosen, len(untried)

    def finish(self, name: str, failed: bool, now_s: float) -> None:
        with self._lock:
            self._loads[name] -= 1
            if not self._loads[name]:
                del self._loads[name]
            self._suspect_until_s.pop(name, None)
            if failed:
                self._suspect_until_s[name] = now_s + SUSPECT_S

    def in_hand(self) -> int:
        return self._tasks.total()

    def _rank(self, name: str, now_s: float) -> tuple[bool, int]:
        return self._suspect_until_s.get(name, 0.0) > now_s, self._loads[name]
