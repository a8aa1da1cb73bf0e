"""What an agent remembers across restarts: one SQLite file in its data folder.

Nothing about that file keeps an agent from starting. One that is damaged or of another version is set aside; where no
file can be written, the data is kept in memory, and `problem` says so.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from main_pc_code.common.log import JsonLog

LOCK_TIMEOUT_S = 2.0
# A write is then a matter of microseconds. A power cut may cost the last moments, a kill costs nothing.
SETTINGS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL")

Load = Callable[[sqlite3.Connection], None]


class DamagedError(Exception):
    """A file that is there and cannot be understood."""


class Store:
    """Tables in a file; safe to use from several threads."""

    def __init__(self, folder: str, name: str, version: int, tables: str, load: Load, log: JsonLog) -> None:
        """`load` reads the rows; should it fail, the file counts as damaged, and it is called once more without rows.

        `version` is that of `tables`; raise it whenever they change.
        """
        self.problem: str | None = None
        self._lock = threading.Lock()
        self._version, self._tables = version, tables
        path = os.path.join(folder, name)
        try:
            os.makedirs(folder, exist_ok=True)
            try:
                self._database = self._open(path, load)
            except DamagedError as error:
                log.error("data set aside, starting without", path=path + ".damaged", reason=str(error))
                set_aside(path)
                self._database = self._open(path, load)
        except (OSError, sqlite3.Error, DamagedError) as error:
            self.problem = f"{path}: {error}"
            log.warning("data is kept in memory only", reason=self.problem)
            self._database = self._open(":memory:", load)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits at the end; an exception undoes everything."""
        with self._lock, self._database:
            yield self._database

    def _open(self, path: str, load: Load) -> sqlite3.Connection:
        """An `sqlite3.Error` means that the file cannot be used as things are, `DamagedError` that it never can."""
        database = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, check_same_thread=False)
        database.row_factory = sqlite3.Row
        try:
            self._prepare(database, load)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection, load: Load) -> None:
        try:
            for setting in SETTINGS:
                database.execute(setting)
            database.execute("BEGIN IMMEDIATE")  # Fails if another process writes or nobody may.
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise DamagedError(str(error)) from error
        try:
            found = database.execute("PRAGMA quick_check").fetchone()[0]
            is_new = not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if found != "ok" or (version != self._version and not is_new):
                raise DamagedError(f"quick_check: {found}; version: {version}, expected {self._version}")
            database.executescript(f"{self._tables}; PRAGMA user_version = {self._version};")
            load(database)
        except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedError(f"{type(error).__name__}: {error}") from error


def set_aside(path: str) -> None:
    """Only the latest damaged file is kept, since a fault that comes back must not fill the disk."""
    os.replace(path, path + ".damaged")
    for ending in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(path + ending, path + ".damaged" + ending)
