"""Training cycles as a state machine in SQLite: every change of state is one transaction, so that a kill loses none.

    queued -> reserving -> running -> completed
       ^----------+-----------+-----> failed, cancelled

A cycle that was interrupted, or is to wait for resources, goes back to `queued` and keeps its checkpoint.
"""

import json
import sqlite3
from collections import Counter
from typing import Any

from main_pc_code.common.log import JsonLog
from main_pc_code.common.messages import encode
from main_pc_code.common.store import Store
from main_pc_code.common.training import Checkpoint

FILE = "self_training.sqlite3"
VERSION = 1
STATES = ("queued", "reserving", "running", "completed", "failed", "cancelled")
FINAL = ("completed", "failed", "cancelled")
MAX_FINISHED = 1000  # Older ones are forgotten.
TABLES = """
CREATE TABLE IF NOT EXISTS cycles (
    id INTEGER PRIMARY KEY AUTOINCREMENT, target_agent TEXT NOT NULL, priority INTEGER NOT NULL, state TEXT NOT NULL,
    resources TEXT NOT NULL, spec TEXT NOT NULL, checkpoint TEXT, reservation TEXT, problem TEXT
);
CREATE INDEX IF NOT EXISTS cycles_by_state ON cycles (state, priority)
"""
FORGET = """
DELETE FROM cycles WHERE id IN
    (SELECT id FROM cycles WHERE state IN ('completed', 'failed', 'cancelled') ORDER BY id DESC LIMIT -1 OFFSET ?)
"""
# Without the data to be trained on, which may be large.
SHOWN = "id, target_agent, priority, state, resources, checkpoint, reservation, problem"

Cycle = dict[str, Any]


class Cycles:
    """All cycles; safe to use from several threads."""

    def __init__(self, folder: str, log: JsonLog) -> None:
        self._store = Store(folder, FILE, VERSION, TABLES, self._check, log)
        self.problem = self._store.problem
        self.counts: Counter[str] = Counter()
        self._count()

    def add(self, target_agent: str, priority: int, resources: dict[str, float], spec: dict[str, Any]) -> int:
        statement = "INSERT INTO cycles (target_agent, priority, state, resources, spec) VALUES (?, ?, 'queued', ?, ?)"
        with self._store.transaction() as database:
            values = (target_agent, priority, encode(resources).decode(), encode(spec).decode())
            id = database.execute(statement, values).lastrowid
        self._count()
        assert id is not None
        return id

    def get(self, id: int) -> Cycle | None:
        return next(iter(self._select("WHERE id = ?", id)), None)

    def specification(self, id: int) -> dict[str, Any]:
        with self._store.transaction() as database:
            row = database.execute("SELECT spec FROM cycles WHERE id = ?", (id,)).fetchone()
        return dict(json.loads(row["spec"]))

    def latest(self, limit: int) -> list[Cycle]:
        return self._select("ORDER BY id DESC LIMIT ?", limit)

    def first_queued(self, limit: int) -> list[Cycle]:
        """In the order in which they are to run: the highest priority first, then the oldest."""
        return self._select("WHERE state = 'queued' ORDER BY priority DESC, id LIMIT ?", limit)

    def interrupted(self) -> list[Cycle]:
        """Those that nobody works on any more, as they were; they are queued again."""
        found = self._select("WHERE state IN ('reserving', 'running')")
        for cycle in found:
            self.move(cycle["id"], ("reserving", "running"), "queued", reservation=None)
        return found

    def move(self, id: int, before: tuple[str, ...], after: str, **changes: str | None) -> bool:
        """Changes the state, if it is one of `before`; false if it is not, for example cancelled in the meantime."""
        assignments = ", ".join(f"{column} = :{column}" for column in ("state", *changes))
        allowed = ", ".join(f"'{state}'" for state in before)
        update = f"UPDATE cycles SET {assignments} WHERE id = :id AND state IN ({allowed})"
        with self._store.transaction() as database:
            moved = database.execute(update, {"id": id, "state": after, **changes}).rowcount == 1
            if after in FINAL:
                database.execute(FORGET, (MAX_FINISHED,))
        if before != (after,):
            self._count()
        return moved

    def _select(self, condition: str, *values: int) -> list[Cycle]:
        with self._store.transaction() as database:
            return [_cycle(row) for row in database.execute(f"SELECT {SHOWN} FROM cycles {condition}", values)]

    def _count(self) -> None:
        with self._store.transaction() as database:
            found = database.execute("SELECT state, count(*) FROM cycles GROUP BY state").fetchall()
        self.counts = Counter({row[0]: row[1] for row in found})

    @staticmethod
    def _check(database: sqlite3.Connection) -> None:
        for row in database.execute("SELECT * FROM cycles"):
            if _cycle(row)["state"] not in STATES:
                raise ValueError(f"cycle {row['id']} is in no known state")


def _cycle(row: sqlite3.Row) -> Cycle:
    cycle = dict(row)
    for key in ("resources", "spec", "checkpoint"):
        if cycle.get(key) is not None:
            cycle[key] = json.loads(cycle[key])
    if cycle["checkpoint"] is not None:
        cycle["checkpoint"] = Checkpoint(**cycle["checkpoint"])._asdict()
    return cycle
