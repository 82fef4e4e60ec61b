"""The outbox's SQLite file: opened once, examined, moved aside when it is damaged.

Journal: WAL with synchronous=FULL, so a committed row survives power loss (sqlite.org/pragma.html).
What is deleted is overwritten: nothing stays readable in free pages.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.base.errors import StoreError

log = logging.getLogger(__name__)

_DAMAGED_KEPT = 3
"""Damaged files, each with its journal, that stay beside the outbox for whoever looks into it."""
_WAIT = 5.0
"""Seconds to wait for the other process's transaction."""
_VERSION = 2
# Ids begin anywhere: what was sent from a file that is gone must not be taken for a row of this.
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq INTEGER NOT NULL,
    created REAL,
    body BLOB NOT NULL,
    UNIQUE (kind, boot, seq)
);
INSERT INTO sqlite_sequence VALUES ('outbox', ABS(RANDOM() % 1000000000000));
CREATE INDEX outbox_created ON outbox (created);
CREATE TABLE ledger (
    boot TEXT NOT NULL,
    seq INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    epsilon_milli INTEGER NOT NULL,
    policy_hash TEXT NOT NULL,
    withheld INTEGER NOT NULL,
    visits INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (boot, seq)
);
CREATE TABLE latest (
    kind TEXT PRIMARY KEY, body BLOB NOT NULL, written REAL NOT NULL
);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE spoken (
    code TEXT PRIMARY KEY, pending INTEGER NOT NULL, said REAL NOT NULL
);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


class Database:
    """A connection that is opened when needed and again when the other process moved the file.

    `transaction` and `reading` raise `StoreError` when the file cannot be written or read; then
    nothing is half-written and the call may be repeated. Not for use by two threads.
    """

    def __init__(
        self, path: Path, on_damage: Callable[[sqlite3.Connection], None] = lambda _: None
    ) -> None:
        """`on_damage`: part of the first transaction after a damaged file was moved aside."""
        self.path = path
        self.moved_aside: Path | None = None
        """Where the last damaged file went."""
        self._on_damage = on_damage
        self._reported: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._file_id: tuple[int, int] | None = None

    @contextlib.contextmanager
    def transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """All or nothing; `what` completes the sentence "could not … the outbox"."""
        with self._errors(what):
            database = self._open_connection()
            try:
                database.execute("BEGIN IMMEDIATE")
                if self.moved_aside != self._reported:
                    self._on_damage(database)
                yield database
                database.execute("COMMIT")
                self._reported = self.moved_aside
            except BaseException:
                if database.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._errors("read"):
            yield self._open_connection()

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        database, self._connection = self._connection, None
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()  # the next call opens, and so examines, the file anew
            raise StoreError(
                f"Could not {what} the outbox {self.path}: {error}. "
                "Free disk space or repair the storage; nothing was lost from the outbox."
            ) from None

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None or self._file_id != file_id(self.path):
            self.close()
            self._connection = self._open()
            self._file_id = file_id(self.path)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.path.with_name(self.path.name + ".lock")):
            try:
                return _checked(self.path)
            except sqlite3.OperationalError:
                raise  # full, read-only, locked: the content is not to blame
            except sqlite3.DatabaseError as error:
                self.moved_aside = _move_aside(self.path)
                log.error(
                    "The outbox %s is damaged (%s); it was moved to %s and a new one begun.",
                    self.path, error, self.moved_aside,
                )  # fmt: skip
                return _checked(self.path)


def _checked(path: Path) -> sqlite3.Connection:
    """Open, examine and prepare the file. Raises `sqlite3.DatabaseError` on damage."""
    # SQLite makes files 0644 less the umask, but both users of the group must be able to write
    path.touch(mode=0o666)
    database = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA temp_store = MEMORY")  # nothing may be written elsewhere
        database.execute("PRAGMA journal_size_limit = 1000000")
        database.execute("PRAGMA wal_autocheckpoint = 32")  # pages: a small disk stays usable
        verdict = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        empty = not database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if version != _VERSION and not empty:
            raise sqlite3.DatabaseError(f"its layout is {version}, here {_VERSION} is known")
        if empty:
            database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database


def _move_aside(path: Path) -> Path:
    """Rename a damaged file with its journal to a free name beside it; keep the newest few."""
    stem = f"{path.name}.damaged-{time.time_ns():x}"
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", path.with_name(stem + suffix))
    kept = sorted(path.parent.glob(f"{path.name}.damaged-*"), key=lambda each: each.stat().st_ctime)
    for old in kept[: -3 * _DAMAGED_KEPT]:
        old.unlink(missing_ok=True)
    return path.with_name(stem)


def file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time opens or moves the file."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def insert_message(
    database: sqlite3.Connection, kind: str, boot: str, seq: int, utc: float | None, body: bytes
) -> None:
    """Append a message to those on their way out. `utc`: None while the clock is not trusted."""
    database.execute(
        "INSERT INTO outbox (kind, boot, seq, created, body) VALUES (?, ?, ?, ?, ?)",
        (kind, boot, seq, utc, body),
    )


def put_latest(database: sqlite3.Connection, kind: str, body: bytes) -> None:
    """Replace the current value of one kind."""
    database.execute("REPLACE INTO latest VALUES (?, ?, ?)", (kind, body, time.monotonic()))


def add_to_counter(database: sqlite3.Connection, name: str, more: int) -> None:
    database.execute(
        "INSERT INTO counter VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (name, more),
    )


def counter(database: sqlite3.Connection, name: str) -> int:
    row = database.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0
