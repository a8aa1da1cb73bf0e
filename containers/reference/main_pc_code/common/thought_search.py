"""Search in a graph of thoughts: expand, score, prune, merge. It knows nothing about language models.

A thought is one step; a chain is a tuple of steps from the question on, and `()` is the question itself. Level by
level, the best chains are expanded by one step each. Chains with the same key have reached the same point by different
ways: they are merged, so that the point counts with its best chain and is expanded only once. Then all but the best
chains of the level are pruned. Every number is bounded by `Limits`.
"""

import time
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

Chain = tuple[str, ...]
Scored = tuple[float, Chain]


class Limits(NamedTuple):
    width: int  # Chains that are kept of each level.
    depth: int  # Steps of a chain.
    max_expansions: int
    time_s: float  # No expansion begins after this time.


class Result(NamedTuple):
    """`stopped` says what ended the search: `depth`, `expansions`, `time`, or `exhausted` if nothing was left."""

    chain: Chain
    score: float
    expansions: int
    thoughts: int
    merged: int
    pruned: int
    stopped: str


def search(
    expand: Callable[[Chain], Iterable[str]],
    score: Callable[[Chain], float],
    limits: Limits,
    key: Callable[[Chain], Hashable] = lambda chain: chain,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """The best chain among those that could not be or were not to be expanded further; of equals the first one."""
    deadline_s = clock() + limits.time_s
    root: Scored = (score(()), ())
    level, seen, ends = {key(()): root}, {key(())}, list[Scored]()
    expansions = thoughts = merged = pruned = 0
    stopped = "depth"
    for _ in range(limits.depth):
        following: dict[Hashable, Scored] = {}
        for scored in level.values():
            if expansions >= limits.max_expansions or clock() >= deadline_s:
                stopped = "expansions" if expansions >= limits.max_expansions else "time"
                ends.append(scored)
                continue
            expansions += 1
            is_end = True
            for step in expand(scored[1]):
                chain = (*scored[1], step)
                point = key(chain)
                thoughts += 1
                merged += point in seen
                if point in seen and point not in following:
                    continue  # A point of an earlier level: the way there was shorter.
                seen.add(point)
                is_end = False
                candidate = (score(chain), chain)
                following[point] = max(following.get(point, candidate), candidate, key=_by_score)
            if is_end:
                ends.append(scored)
        kept = sorted(following.items(), key=lambda item: item[1][0], reverse=True)[: limits.width]
        pruned += len(following) - len(kept)
        level = dict(kept)
        if stopped != "depth":
            break
        if not level:
            stopped = "exhausted"
            break
    best_score, best_chain = max([*ends, *level.values()], key=_by_score)
    return Result(best_chain, best_score, expansions, thoughts, merged, pruned, stopped)


def _by_score(scored: Scored) -> float:
    return scored[0]
