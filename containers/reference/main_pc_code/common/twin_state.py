"""What SystemDigitalTwin remembers: agents, reservations and a bounded history, in memory and in its store.

Memory is what counts while it runs. A change that cannot be written is logged and shown, and not refused for that.
"""

import json
import sqlite3
import time
from typing import Any

from main_pc_code.common.capacity import RESOURCES, Reservation
from main_pc_code.common.log import JsonLog
from main_pc_code.common.messages import encode
from main_pc_code.common.metrics import Metrics
from main_pc_code.common.store import Store

FILE = "system_digital_twin.sqlite3"
VERSION = 1
TABLES = """
CREATE TABLE IF NOT EXISTS agents (name TEXT PRIMARY KEY, entry TEXT NOT NULL, seen_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS reservations
    (id TEXT PRIMARY KEY, owner TEXT NOT NULL, amounts TEXT NOT NULL, expires_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS samples
    (id INTEGER PRIMARY KEY, time_s REAL NOT NULL, agent TEXT NOT NULL, metrics TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS samples_by_agent ON samples (agent, id)
"""
MAX_SAMPLES = 20_000
HOST = ""  # In place of an agent's name.

Entry = dict[str, Any]


class TwinState:
    """`seen_s` is a time of the monotonic clock, and so not misled when somebody sets the host's clock."""

    def __init__(self, folder: str, log: JsonLog) -> None:
        self.agents: dict[str, Entry] = {}
        self.seen_s: dict[str, float] = {}
        self.reservations: dict[str, Reservation] = {}
        self._log = log
        self._store = Store(folder, FILE, VERSION, TABLES, self._load, log)
        self.problem = self._store.problem

    def put_agent(self, entry: Entry) -> None:
        name = entry["name"]
        self.agents[name], self.seen_s[name] = entry, time.monotonic()
        self._write("REPLACE INTO agents VALUES (?, ?, ?)", name, encode(entry).decode(), time.time())
        self.add_sample(name, entry["metrics"])

    def drop_agent(self, name: str) -> bool:
        known = self.agents.pop(name, None) is not None
        self.seen_s.pop(name, None)
        self._write("DELETE FROM agents WHERE name = ?", name)
        return known

    def put_reservation(self, item: Reservation) -> None:
        self.reservations[item.id] = item
        values = (item.id, item.owner, encode(item.amounts).decode(), item.expires_s)
        self._write("REPLACE INTO reservations VALUES (?, ?, ?, ?)", *values)

    def drop_reservation(self, id: str) -> bool:
        known = self.reservations.pop(id, None) is not None
        self._write("DELETE FROM reservations WHERE id = ?", id)
        return known

    def add_sample(self, agent: str, metrics: Metrics) -> None:
        """`HOST` stands for the whole host."""
        row = (time.time(), agent, encode(metrics).decode())
        self._write("INSERT INTO samples (time_s, agent, metrics) VALUES (?, ?, ?)", *row)
        self._write("DELETE FROM samples WHERE id <= (SELECT max(id) FROM samples) - ?", MAX_SAMPLES)

    def samples(self, agent: str, limit: int) -> list[dict[str, Any]]:
        """The latest ones, oldest first."""
        query = "SELECT time_s, metrics FROM samples WHERE agent = ? ORDER BY id DESC LIMIT ?"
        with self._store.transaction() as database:
            rows = database.execute(query, (agent, limit)).fetchall()
        return [{"time_s": row["time_s"], **json.loads(row["metrics"])} for row in reversed(rows)]

    def _write(self, statement: str, *values: Any) -> None:
        try:
            with self._store.transaction() as database:
                database.execute(statement, values)
        except sqlite3.Error as error:
            if self.problem is None:
                self._log.error("cannot write", reason=str(error))
            self.problem = f"last write failed: {error}"

    def _load(self, database: sqlite3.Connection) -> None:
        self.agents.clear()
        self.reservations.clear()
        clock_s = time.monotonic() - time.time()
        for row in database.execute("SELECT * FROM agents"):
            self.agents[row["name"]] = dict(json.loads(row["entry"]))
            self.seen_s[row["name"]] = min(row["seen_s"] + clock_s, time.monotonic())
        for row in database.execute("SELECT * FROM reservations"):
            amounts = {name: float(json.loads(row["amounts"])[name]) for name in RESOURCES}
            self.reservations[row["id"]] = Reservation(row["id"], row["owner"], amounts, row["expires_s"])
