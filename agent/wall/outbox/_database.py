"""The outbox's SQLite file: checked when opened, moved aside when damaged or tampered with.

WAL with synchronous=FULL, so a committed row survives power loss (sqlite.org/pragma.html);
secure_delete overwrites deleted rows. The other process may write any bytes into the file and its
folder: `_hardening` bounds what SQLite does with them, `_inspection` decides what is an outbox.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.base.errors import StoreError, reason
from agent.wall.outbox._guard import Guard, create
from agent.wall.outbox._hardening import Budget, forbid_all_but_rows, harden
from agent.wall.outbox._inspection import (
    check_content,
    check_files,
    check_opened,
    check_schema,
    most_bytes,
)

log = logging.getLogger(__name__)

_MAX_DAMAGED = 3
"""Damaged files, each with its journal, that are kept for analysis."""
_BUSY_TIMEOUT = 5.0
"""Seconds to wait for the other process's transaction."""
_LOCK_TIMEOUT = 10.0
"""Seconds to wait for the other process to open or move the file."""
_PAUSES = (0.0, 1.0, 3.0)
"""Seconds before what looks damaged is opened again: SQLite's check takes an error of the disk for
one of the file. The first time in any case, then where the disk does not let the file be read."""
_MAX_BYTES = 32_000_000
_CACHE_KIB = 256
"""Of pages that a connection keeps in memory. SQLite's default of 2 MiB fills in each process over
two weeks without a broker, for nothing: what is asked for is a handful of pages of the two ends."""
_MACHINE_CODES = frozenset({
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
})  # fmt: skip
"""Primary result codes (sqlite.org/rescode.html) that say nothing of the file's content."""
_VERSION = 3
# Ids begin at a random number, so that the ids of a replaced file are not reused; `identity` tells
# one file from the next.
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
INSERT INTO counter VALUES ('identity', ABS(RANDOM() >> 2));
CREATE TABLE spoken (
    code TEXT PRIMARY KEY, pending INTEGER NOT NULL, said REAL NOT NULL
);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection to a file that was checked."""

    database: sqlite3.Connection
    guard: Guard
    schema_version: int

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.database.close()
        self.guard.close()


class Database:
    """A connection opened on demand, and again after the other process has replaced the file.

    `transaction` and `reading` raise `StoreError` when the file cannot be written or read; the
    transaction is rolled back and the call may be repeated. Not thread-safe.
    """

    def __init__(
        self,
        path: Path,
        on_damage: Callable[[sqlite3.Connection], None] = lambda _: None,
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        """`on_damage`: runs within the first transaction after a damaged file was moved aside.
        `max_bytes`: bound on the messages; a file far beyond it counts as damaged."""
        self.path = path
        self._max_bytes = max_bytes
        self._budget = Budget()
        self.moved_aside: Path | None = None
        """New path of the last damaged file."""
        self._on_damage = on_damage
        self._reported: Path | None = None
        self._opened: _Opened | None = None
        self.openings = 0
        """How often the file was opened: another one may have the number of one that is gone."""

    @contextlib.contextmanager
    def transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """Commit or roll back; `what` completes the error text "Could not … the outbox"."""
        with self._errors(what):
            database = self._begin("BEGIN IMMEDIATE")
            try:
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
        """One moment of the file; nothing may be written."""
        with self._errors("read"):
            database = self._begin("BEGIN")
            try:
                yield database
            finally:
                with contextlib.suppress(sqlite3.Error):
                    database.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, TypeError, ValueError, OverflowError) as error:
            # The latter three: a value that was never written here. The next call opens the file
            # again, which checks it.
            self.close()
            raise StoreError(
                f"Could not {what} the outbox {self.path}: {reason(error)}. "
                "Free disk space or repair the storage; nothing was lost from the outbox."
            ) from None

    def _open_connection(self) -> _Opened:
        if self._opened is None or self._opened.guard.file != file_id(self.path):
            self.close()
            self._opened = self._open()
            self.openings += 1
        self._budget.begin()
        return self._opened

    def _begin(self, statement: str) -> sqlite3.Connection:
        """The connection in a transaction in which the schema is still the one that was checked;
        else the file is opened and checked again."""
        for _ in range(2):
            opened = self._open_connection()
            opened.database.execute(statement)
            if _schema_version(opened.database) == opened.schema_version:
                return opened.database
            self.close()
        raise sqlite3.DatabaseError("its tables were changed meanwhile")

    def _open(self) -> _Opened:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _file_lock(self.path.with_name(self.path.name + ".lock")):
            pauses = iter(_PAUSES)
            while True:
                try:
                    return _open_checked(self.path, self._budget, self._max_bytes)
                except (sqlite3.DatabaseError, ValueError) as error:  # latter: text is not UTF-8
                    if not _is_damage(error, self.path):
                        raise
                    pause = next(pauses, None)
                    if pause == 0.0 or (
                        pause and not _can_be_read(self.path, most_bytes(self._max_bytes))
                    ):
                        time.sleep(pause)
                        continue
                    return self._begin_anew(error)

    def _begin_anew(self, error: Exception) -> _Opened:
        self.moved_aside = _move_aside(self.path)
        log.error(
            "The outbox %s is damaged (%s); it was moved to %s and a new one begun.",
            self.path, reason(error), self.moved_aside,
        )  # fmt: skip
        opened = _open_checked(self.path, self._budget, self._max_bytes)
        add_to_counter(opened.database, "after_damage", 1)
        return opened


def _open_checked(path: Path, budget: Budget, max_bytes: int) -> _Opened:
    """Open and check the file, made where there is none. Raises `sqlite3.DatabaseError` on
    damage, `OSError`."""
    check_files(path, max_bytes)
    if not path.exists() or not path.stat().st_size:
        create(path, _SCHEMA)
    guard = Guard(path)
    database = None
    try:
        database = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        budget.begin()
        harden(database, budget)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if database.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raise sqlite3.DatabaseError("it has no write-ahead log")
        check_opened(path)
        guard.unlock()
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA temp_store = MEMORY")  # the sandbox allows no other folder
        database.execute("PRAGMA journal_size_limit = 1000000")
        database.execute("PRAGMA wal_autocheckpoint = 32")  # pages; for small disks
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if version != _VERSION:
            raise sqlite3.DatabaseError(f"its layout is {version}, here {_VERSION} is known")
        check_schema(database, _SCHEMA)
        check_content(database)
        forbid_all_but_rows(database)
        return _Opened(database, guard, _schema_version(database))
    except BaseException:
        if database is not None:
            database.close()
        guard.close()
        raise


def _schema_version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA schema_version").fetchone()[0])


def _is_damage(error: Exception, path: Path) -> bool:
    """Whether the file is to blame, and not the disk, its rights or another process."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code == sqlite3.SQLITE_READONLY:
        # A header may also say that its format is too new to be written.
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return code & 0xFF not in _MACHINE_CODES


def _can_be_read(path: Path, most: int) -> bool:
    """Whether the disk gives every byte; true of what is no ordinary file or larger than `most`
    bytes, which no disk is to blame for. Never waits, nor reads for long: the other process may
    have put a pipe there, or a file without end."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return True
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags), "rb", buffering=0) as file:
            left = most
            while left > 0 and (part := file.read(1 << 20)):
                left -= len(part)
    except OSError:
        return False
    return True


def _move_aside(path: Path) -> Path:
    """Rename a damaged file and its journal; keep the newest `_MAX_DAMAGED`."""
    stem = f"{path.name}.damaged-{time.time_ns():x}"
    for suffix in ("-wal", "-shm", "-journal", ""):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", path.with_name(stem + suffix))
    kept = path.parent.glob(f"{path.name}.damaged-*")
    for old in sorted(kept, key=lambda each: each.lstat().st_ctime)[: -3 * _MAX_DAMAGED]:
        with contextlib.suppress(OSError):  # a folder, or removed by the other process
            old.unlink()
    return path.with_name(stem)


def file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Serialises opening and moving the file between processes. Raises `OSError`."""
    # The other process may have put a link or a pipe there, or may never let go.
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(path, flags, 0o666), "wb") as file:
        end = time.monotonic() + _LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        yield


def insert_message(
    database: sqlite3.Connection, kind: str, boot: str, seq: int, utc: float | None, body: bytes
) -> None:
    """Append a message to the outbox; one of the same name, which only tampering leaves there,
    gives way. `utc`: None while the clock is not trusted; stored in whole seconds, since finer
    digits could carry data."""
    database.execute(
        "REPLACE INTO outbox (kind, boot, seq, created, body) VALUES (?, ?, ?, ?, ?)",
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


def blob(value: object) -> bytes:
    """A value of a BLOB column, whatever the file holds there. Raises `TypeError`."""
    if not isinstance(value, bytes):
        raise TypeError("it holds a value that the agent never writes")
    return value
