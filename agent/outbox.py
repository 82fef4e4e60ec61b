"""The wall between the process that sees and the process that talks: one SQLite file.

Only messages of `agent.report` pass. A summary and its line in the ledger are written in one
transaction before anything is sent, and are re-sent byte for byte: a power cut cannot make noise be
drawn twice for the same visits. A summary leaves on PUBACK, never on send.

Journal: WAL with synchronous=FULL, so a committed row survives power loss (sqlite.org/pragma.html).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.clock import WallClock
from agent.config import StoreConfig
from agent.errors import StoreError
from agent.report import Meta, Summary, to_json

log = logging.getLogger(__name__)

_ROW_OVERHEAD = 64
"""Bytes that a row costs beside its body, about."""
_LEDGER_ROWS = 100_000
"""Oldest lines beyond these are forgotten: more than two years of quarter hours, about 10 MB."""
_DAMAGED_KEPT = 3
"""Damaged files, each with its journal, that stay beside the outbox for whoever looks into it."""
_WAIT = 5.0
"""Seconds to wait for the other process's transaction."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq INTEGER NOT NULL,
    created REAL,
    body BLOB NOT NULL,
    UNIQUE (boot, seq)
);
CREATE TABLE IF NOT EXISTS ledger (
    boot TEXT NOT NULL,
    seq INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    window_offset INTEGER NOT NULL,
    window_length INTEGER NOT NULL,
    epsilon_milli INTEGER NOT NULL,
    policy_hash TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (boot, seq)
);
CREATE TABLE IF NOT EXISTS latest (kind TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One message on its way out."""

    id: int
    """Grows; never given twice."""
    kind: str
    """`summary`."""
    body: bytes


class Outbox:
    """Messages that the broker has not acknowledged yet; survives kill -9 and power loss.

    Both processes open the same file: one adds, the other peeks and acknowledges. A damaged file is
    moved aside (`moved_aside`) and a new one begun. Not for use by two threads.

    Raises
    ------
    StoreError
        From every method, when the file cannot be read or written; nothing is half-written and the
        call may be repeated.
    """

    def __init__(self, params: StoreConfig, utc: Callable[[], float | None] | None = None) -> None:
        """`utc`: wall seconds, or None while the clock is not trusted."""
        self._params = params
        self._path = params.outbox
        self._utc = utc or WallClock().utc
        self._database: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self.moved_aside: Path | None = None
        """Where the last damaged file went."""
        self.boot = secrets.token_hex(4)
        """8 hex digits of this process start, from the operating system's generator."""
        self.next_seq = self._read_next_seq()
        """Follows the last number in the ledger, so a gap tells of a loss even across boots."""

    def add(self, summary: Summary) -> None:
        """Store a summary and its ledger line in one transaction; trims the oldest beyond bounds.

        Adding the same (boot, seq) again, after an error that hid success, changes nothing.
        """
        body = to_json(summary)
        now = self._utc()
        with self._transaction("add a summary to") as database:
            added = database.execute(
                "INSERT OR IGNORE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    summary.boot,
                    summary.seq,
                    summary.slot,
                    summary.window.offset,
                    summary.window.length,
                    summary.privacy.epsilon_milli,
                    summary.policy_hash,
                    hashlib.sha256(body).hexdigest(),
                ),
            ).rowcount
            if added:
                database.execute(
                    "INSERT INTO outbox (kind, boot, seq, created, body) VALUES (?, ?, ?, ?, ?)",
                    ("summary", summary.boot, summary.seq, now, body),
                )
                self._trim(database, now)
        self.next_seq = max(self.next_seq, summary.seq + 1)

    def peek(self, limit: int, after_id: int = 0) -> list[Row]:
        """The oldest `limit` messages with an id above `after_id`; they stay."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT id, kind, body FROM outbox WHERE id > ? ORDER BY id LIMIT ?",
                (after_id, limit),
            ).fetchall()
        return [Row(number, kind, bytes(body)) for number, kind, body in rows]

    def acknowledge(self, *ids: int) -> None:
        """Remove messages that the broker has taken. Unknown ids are ignored."""
        with self._transaction("remove sent summaries from") as database:
            database.executemany("DELETE FROM outbox WHERE id = ?", [(number,) for number in ids])

    def depth(self) -> int:
        """Messages waiting."""
        with self._reading() as database:
            return int(database.execute("SELECT COUNT(*) FROM outbox").fetchone()[0])

    @property
    def trimmed(self) -> int:
        """Messages dropped so far because the outbox was over its size or they over their age."""
        with self._reading() as database:
            row = database.execute("SELECT value FROM counter WHERE name = 'trimmed'").fetchone()
        return int(row[0]) if row else 0

    def ledger(self) -> list[tuple[str, int, int, str]]:
        """(boot, seq, epsilon_milli, sha256 of the body) of every release, oldest first."""
        with self._reading() as database:
            return database.execute(
                "SELECT boot, seq, epsilon_milli, sha256 FROM ledger ORDER BY rowid"
            ).fetchall()

    def put_meta(self, meta: Meta) -> None:
        """Store the birth certificate for `uplink` to publish, in place of the one before."""
        with self._transaction("write the birth certificate to") as database:
            database.execute("REPLACE INTO latest VALUES ('meta', ?)", (to_json(meta),))

    def meta(self) -> bytes | None:
        """The stored birth certificate, if there is one."""
        with self._reading() as database:
            row = database.execute("SELECT body FROM latest WHERE kind = 'meta'").fetchone()
        return bytes(row[0]) if row else None

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        database, self._database = self._database, None
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_next_seq(self) -> int:
        with self._reading() as database:
            last = database.execute("SELECT seq FROM ledger ORDER BY rowid DESC LIMIT 1").fetchone()
        return int(last[0]) + 1 if last else 0

    def _trim(self, database: sqlite3.Connection, now: float | None) -> None:
        """Drop and count what is too old or, oldest first, too much."""
        dropped = 0
        if now is not None:
            # Rows from before the clock could be trusted age from its first trusted reading.
            database.execute("UPDATE outbox SET created = ? WHERE created IS NULL", (now,))
            dropped += database.execute(
                "DELETE FROM outbox WHERE created < ?", (now - self._params.max_age,)
            ).rowcount
        dropped += database.execute(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM (SELECT id, SUM(LENGTH(body) + ?)"
            " OVER (ORDER BY id DESC) AS size FROM outbox) WHERE size > ?)",
            (_ROW_OVERHEAD, self._params.max_bytes),
        ).rowcount
        database.execute(
            "DELETE FROM ledger WHERE rowid <= (SELECT MAX(rowid) FROM ledger) - ?",
            (_LEDGER_ROWS,),
        )
        if dropped:
            database.execute(
                "INSERT INTO counter VALUES ('trimmed', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (dropped,),
            )
            log.warning("%s: %d oldest summaries dropped, over size or age", self._path, dropped)

    @contextlib.contextmanager
    def _transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """All or nothing; an error leaves the file as it was."""
        with self._errors(what):
            database = self._connection()
            try:
                database.execute("BEGIN IMMEDIATE")
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._errors("read"):
            yield self._connection()

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()  # the next call opens, and so examines, the file anew
            raise StoreError(
                f"Could not {what} the outbox {self._path}: {error}. "
                "Free disk space or repair the storage; nothing was lost from the outbox."
            ) from None

    def _connection(self) -> sqlite3.Connection:
        """The open file; opened again when the other process moved it aside."""
        if self._database is None or self._identity != _identity(self._path):
            self.close()
            self._database = self._open()
            self._identity = _identity(self._path)
        return self._database

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self._path.with_name(self._path.name + ".lock")):
            try:
                return _checked(self._path)
            except sqlite3.OperationalError:
                raise  # full, read-only, locked: the content is not to blame
            except sqlite3.DatabaseError as error:
                self.moved_aside = _move_aside(self._path)
                log.error(
                    "The outbox %s is damaged (%s); it was moved to %s and a new one begun.",
                    self._path, error, self.moved_aside,
                )  # fmt: skip
                return _checked(self._path)


def _checked(path: Path) -> sqlite3.Connection:
    """Open, examine and prepare the file. Raises `sqlite3.DatabaseError` on damage."""
    # SQLite makes files 0644 less the umask, but both users of the group must be able to write
    path.touch(mode=0o666)
    database = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA journal_size_limit = 1000000")
        database.execute("PRAGMA wal_autocheckpoint = 32")  # pages: a small disk stays usable
        verdict = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
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


def _identity(path: Path) -> tuple[int, int] | None:
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
