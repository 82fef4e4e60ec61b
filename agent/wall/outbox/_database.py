"""The outbox's SQLite file: integrity check when opened, moved aside when damaged.

WAL with synchronous=FULL, so a committed row survives power loss (sqlite.org/pragma.html);
secure_delete overwrites deleted rows.
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

_MAX_DAMAGED = 3
"""Damaged files, each with its journal, that are kept for analysis."""
_BUSY_TIMEOUT = 5.0
"""Seconds to wait for the other process's transaction."""
_VERSION = 2
# Ids begin at a random number, so that the ids of a replaced file are not reused.
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
    """A connection opened on demand, and again after the other process has replaced the file.

    `transaction` and `reading` raise `StoreError` when the file cannot be written or read; the
    transaction is rolled back and the call may be repeated. Not thread-safe.
    """

    def __init__(
        self, path: Path, on_damage: Callable[[sqlite3.Connection], None] = lambda _: None
    ) -> None:
        """`on_damage`: runs within the first transaction after a damaged file was moved aside."""
        self.path = path
        self.moved_aside: Path | None = None
        """New path of the last damaged file."""
        self._on_damage = on_damage
        self._reported: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._file_id: tuple[int, int] | None = None

    @contextlib.contextmanager
    def transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """Commit or roll back; `what` completes the error text "Could not … the outbox"."""
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
            self.close()  # the next call reopens and checks the file
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
        with _file_lock(self.path.with_name(self.path.name + ".lock")):
            try:
                return _open_checked(self.path)
            except sqlite3.OperationalError:
                raise  # full, read-only or locked, not damaged
            except sqlite3.DatabaseError as error:
                self.moved_aside = _move_aside(self.path)
                log.error(
                    "The outbox %s is damaged (%s); it was moved to %s and a new one begun.",
                    self.path, error, self.moved_aside,
                )  # fmt: skip
                return _open_checked(self.path)


def _open_checked(path: Path) -> sqlite3.Connection:
    """Open, check and initialise the file. Raises `sqlite3.DatabaseError` on damage."""
    # SQLite creates files with mode 0644, but both users of the group must be able to write
    path.touch(mode=0o666)
    database = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA temp_store = MEMORY")  # the sandbox allows no other folder
        database.execute("PRAGMA journal_size_limit = 1000000")
        database.execute("PRAGMA wal_autocheckpoint = 32")  # pages; for small disks
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
    """Rename a damaged file and its journal; keep the newest `_MAX_DAMAGED`."""
    stem = f"{path.name}.damaged-{time.time_ns():x}"
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", path.with_name(stem + suffix))
    kept = sorted(path.parent.glob(f"{path.name}.damaged-*"), key=lambda each: each.stat().st_ctime)
    for old in kept[: -3 * _MAX_DAMAGED]:
        old.unlink(missing_ok=True)
    return path.with_name(stem)


def file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Serialises opening and moving the file between processes."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def insert_message(
    database: sqlite3.Connection, kind: str, boot: str, seq: int, utc: float | None, body: bytes
) -> None:
    """Append a message to the outbox. `utc`: None while the clock is not trusted; stored in whole
    seconds, since finer digits could carry data."""
    database.execute(
        "INSERT INTO outbox (kind, boot, seq, created, body) VALUES (?, ?, ?, ?, ?)",
        (kind, boot, seq, None if utc is None else int(utc), body),
    )


def put_latest(database: sqlite3.Connection, kind: str, body: bytes) -> None:
    """Replace the current value of one kind; its time in whole seconds, as of all rows."""
    database.execute("REPLACE INTO latest VALUES (?, ?, ?)", (kind, body, int(time.monotonic())))


def add_to_counter(database: sqlite3.Connection, name: str, more: int) -> None:
    database.execute(
        "INSERT INTO counter VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (name, more),
    )


def counter(database: sqlite3.Connection, name: str) -> int:
    row = database.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0
