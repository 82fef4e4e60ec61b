"""Messages on their way out, the ledger of what was released, and what each half says of itself."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from agent.base.clock import WallClock
from agent.base.config import StoreConfig
from agent.base.report import (
    SEQ_LIMIT,
    Birth,
    ClosedModel,
    Event,
    EventCode,
    Receipt,
    Summary,
    Vitals,
    to_json,
)
from agent.wall.outbox.file import Database

log = logging.getLogger(__name__)

EVENT_PAUSE = 3600.0
"""Seconds between two events of one code; what happens in between is counted."""
EVENTS_A_DAY = 24
_DAY = 86_400.0
_ROW_OVERHEAD = 64
"""Bytes that a row costs beside its body, about."""
_MOST_ROW = 2048 + _ROW_OVERHEAD
"""No message is longer than 2,048 bytes."""
_LEDGER_ROWS = 100_000
"""Oldest lines beyond these are forgotten: more than two years of quarter hours, about 10 MB."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message on its way out."""

    id: int
    """Grows; never given twice."""
    kind: str
    """`summary` | `event` | `receipt`."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Release:
    """One line of the ledger."""

    boot: str
    seq: int
    epsilon_milli: int
    withheld: bool
    visits: int
    """Noised, of the summary's own window; 0 unless withheld."""
    sha256: str
    """Of the summary's bytes."""


@dataclass(frozen=True, slots=True)
class ReceiptBasis:
    """What the next receipt is made of."""

    previous: bytes | None
    """The receipt before."""
    releases: tuple[Release, ...]
    """Since then, oldest first."""
    messages: int
    """Taken by the broker since then."""
    bytes: int
    upto: int
    """The ledger's last row in it."""


class Outbox:
    """Messages that the broker has not acknowledged yet; survives kill -9 and power loss.

    Both processes open the same file: `perceive` adds, `uplink` peeks and acknowledges. A damaged
    file is moved aside (`moved_aside`) and a new one begun. Not for use by two threads.

    Raises
    ------
    StoreError
        From every method, when the file cannot be read or written; nothing is half-written and the
        call may be repeated.
    """

    def __init__(self, params: StoreConfig, utc: Callable[[], float | None] | None = None) -> None:
        """`utc`: wall seconds, or None while the clock is not trusted."""
        self._params = params
        self._utc = utc or WallClock().utc
        self._database = Database(params.outbox)
        self._told: Path | None = None
        self.boot = secrets.token_hex(4)
        """8 hex digits of this process start, from the operating system's generator."""
        self.next_seq = self._read_next_seq()
        """Follows the last number in the ledger, so a gap tells of a loss even across boots."""

    @property
    def moved_aside(self) -> Path | None:
        """Where the last damaged file went."""
        return self._database.moved_aside

    def add(self, summary: Summary, visits: int = 0) -> None:
        """Store a summary and its ledger line in one transaction; trims the oldest beyond bounds.

        `visits`: the noised number of a withheld window, for the receipt. Adding the same
        (boot, seq) again, after an error that hid success, changes nothing.
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
                    summary.privacy.epsilon_milli,
                    summary.policy_hash,
                    summary.visits is None,
                    visits if summary.visits is None else 0,
                    hashlib.sha256(body).hexdigest(),
                ),
            ).rowcount
            if added:
                _insert(database, "summary", summary.boot, summary.seq, now, body)
                self._trim(database, now)
        self.next_seq = (summary.seq + 1) % SEQ_LIMIT

    def say(self, code: EventCode, times: int = 1) -> None:
        """Store an event, or count it where the same was said a short while ago."""
        with self._transaction("add an event to") as database:
            self._say(database, code, more=times)

    def say_pending(self) -> None:
        """Store the events that were only counted, where their time has come."""
        with self._transaction("add an event to") as database:
            waiting = database.execute("SELECT code FROM spoken WHERE pending > 0").fetchall()
            for (code,) in waiting:
                if code in get_args(EventCode):
                    self._say(database, code, more=0)

    def peek(self, limit: int, after_id: int = 0) -> list[Row]:
        """The oldest `limit` messages with an id above `after_id`; they stay."""
        with self._database.reading() as database:
            rows = database.execute(
                "SELECT id, kind, body FROM outbox WHERE id > ? ORDER BY id LIMIT ?",
                (after_id, limit),
            ).fetchall()
        return [Row(number, kind, bytes(body)) for number, kind, body in rows]

    def acknowledge(self, *ids: int, taken: bool = True) -> None:
        """Remove messages that the broker has taken, and meter them; with `taken` false those that
        will never be sent. Unknown ids are ignored."""
        with self._transaction("remove sent messages from") as database:
            for number in ids:
                found = database.execute(
                    "DELETE FROM outbox WHERE id = ? RETURNING LENGTH(body)", (number,)
                ).fetchall()
                if found and taken:
                    _count(database, "messages", 1)
                    _count(database, "bytes", found[0][0])

    def meter(self, messages: int, size: int) -> None:
        """Count messages that the broker took and that were never in the outbox (health, answers):
        their number, and the bytes of their payloads."""
        with self._transaction("count in") as database:
            _count(database, "messages", messages)
            _count(database, "bytes", size)

    def depth(self) -> int:
        """Messages waiting."""
        with self._database.reading() as database:
            return int(database.execute("SELECT COUNT(*) FROM outbox").fetchone()[0])

    @property
    def trimmed(self) -> int:
        """Messages dropped so far because the outbox was over its bounds or they over their age."""
        with self._database.reading() as database:
            return _counter(database, "trimmed")

    def ledger(self) -> list[tuple[str, int, int, str]]:
        """(boot, seq, epsilon_milli, sha256 of the body) of every release, oldest first."""
        with self._database.reading() as database:
            return database.execute(
                "SELECT boot, seq, epsilon_milli, sha256 FROM ledger ORDER BY rowid"
            ).fetchall()

    def put(self, message: Birth | Vitals) -> None:
        """Leave word for the other half, in place of what was said before."""
        with self._transaction("write to") as database:
            database.execute(
                "REPLACE INTO latest VALUES (?, ?, ?)",
                (type(message).__name__, to_json(message), time.monotonic()),
            )

    def get(self, kind: type[ClosedModel]) -> tuple[bytes, float] | None:
        """What the other half said last, and how many seconds ago; None where it said nothing.

        It must be validated: the bytes are only as trustworthy as the file.
        """
        with self._database.reading() as database:
            row = database.execute(
                "SELECT body, written FROM latest WHERE kind = ?", (kind.__name__,)
            ).fetchone()
        if row is None:
            return None
        ago = time.monotonic() - float(row[1])
        # Monotonic clocks begin anew with the machine: what lies ahead was said before that.
        return bytes(row[0]), ago if ago >= 0 else float("inf")

    def receipt_basis(self) -> ReceiptBasis:
        """What happened since the last receipt."""
        with self._database.reading() as database:
            last = database.execute("SELECT body FROM latest WHERE kind = 'Receipt'").fetchone()
            rows = database.execute(
                "SELECT rowid, boot, seq, epsilon_milli, withheld, visits, sha256 FROM ledger"
                " WHERE rowid > ? ORDER BY rowid",
                (_counter(database, "receipt_upto"),),
            ).fetchall()
            return ReceiptBasis(
                bytes(last[0]) if last else None,
                tuple(_release(*row[1:]) for row in rows),
                _counter(database, "messages"),
                _counter(database, "bytes"),
                rows[-1][0] if rows else _counter(database, "receipt_upto"),
            )

    def add_receipt(self, receipt: Receipt, basis: ReceiptBasis) -> None:
        """Store a receipt to be sent and begin the next one's account, in one transaction."""
        body = to_json(receipt)
        number = receipt.statement.number
        with self._transaction("add a receipt to") as database:
            _insert(database, "receipt", receipt.statement.key[:8], number, self._utc(), body)
            database.execute(
                "REPLACE INTO latest VALUES ('Receipt', ?, ?)", (body, time.monotonic())
            )
            _count(database, "messages", -basis.messages)
            _count(database, "bytes", -basis.bytes)
            _count(database, "receipt_upto", basis.upto - _counter(database, "receipt_upto"))

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._database.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """As `Database.transaction`; tells of a file that had to be moved aside."""
        with self._database.transaction(what) as database:
            if self._database.moved_aside != self._told:
                self._say(database, "outbox_damaged")
            yield database
        self._told = self._database.moved_aside

    def _read_next_seq(self) -> int:
        with self._database.reading() as database:
            last = database.execute("SELECT seq FROM ledger ORDER BY rowid DESC LIMIT 1").fetchone()
        return (int(last[0]) + 1) % SEQ_LIMIT if last else 0

    def _say(self, database: sqlite3.Connection, code: EventCode, more: int = 1) -> None:
        now = time.monotonic()
        database.execute(
            "INSERT INTO spoken VALUES (?, ?, ?) ON CONFLICT (code)"
            " DO UPDATE SET pending = pending + excluded.pending",
            (code, more, -EVENT_PAUSE),
        )
        # A time of the future is from before the machine's last start.
        database.execute("UPDATE spoken SET said = ? WHERE said > ?", (-EVENT_PAUSE, now))
        pending, said = database.execute(
            "SELECT pending, said FROM spoken WHERE code = ?", (code,)
        ).fetchone()
        day = _counter(database, "event_day")
        if not 0 <= now - day < _DAY:
            _count(database, "event_day", int(now) - day)
            _count(database, "events_today", -_counter(database, "events_today"))
        if now - said < EVENT_PAUSE or _counter(database, "events_today") >= EVENTS_A_DAY:
            return
        seq = _counter(database, "event_seq")
        _count(database, "event_seq", (seq + 1) % SEQ_LIMIT - seq)
        _count(database, "events_today", 1)
        database.execute("UPDATE spoken SET pending = 0, said = ? WHERE code = ?", (now, code))
        utc = self._utc()
        event = Event(
            boot=self.boot,
            seq=seq,
            code=code,
            count=min(max(pending, 1), 1023),
            at=None if utc is None else 10 * round(utc / 10),
            offset=min(10 * int(now / 10), 999_999_990),
        )
        _insert(database, "event", event.boot, event.seq, utc, to_json(event))

    def _trim(self, database: sqlite3.Connection, now: float | None) -> None:
        """Drop and count what is too old or, oldest first, too much."""
        dropped = 0
        if now is not None:
            # Rows from before the clock could be trusted age from its first trusted reading.
            database.execute("UPDATE outbox SET created = ? WHERE created IS NULL", (now,))
            dropped += database.execute(
                "DELETE FROM outbox WHERE created < ?", (now - self._params.max_age,)
            ).rowcount
        dropped += self._trim_to_bounds(database)
        database.execute(
            "DELETE FROM ledger WHERE rowid <= (SELECT MAX(rowid) FROM ledger) - ?",
            (_LEDGER_ROWS,),
        )
        if dropped:
            _count(database, "trimmed", dropped)
            self._say(database, "outbox_trimmed", more=dropped)
            log.warning(
                "%s: %d oldest messages dropped, over bounds or age", self._params.outbox, dropped
            )

    def _trim_to_bounds(self, database: sqlite3.Connection) -> int:
        """Drop the oldest beyond size and number of rows; returns how many."""
        first, last = database.execute("SELECT MIN(id), MAX(id) FROM outbox").fetchone()
        most = last - first + 1
        if most <= self._params.max_rows and most * _MOST_ROW <= self._params.max_bytes:
            return 0  # without reading every row
        return database.execute(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM (SELECT id,"
            " SUM(LENGTH(body) + ?) OVER (ORDER BY id DESC) AS size,"
            " ROW_NUMBER() OVER (ORDER BY id DESC) AS place FROM outbox)"
            " WHERE size > ? OR place > ?)",
            (_ROW_OVERHEAD, self._params.max_bytes, self._params.max_rows),
        ).rowcount


def _release(boot: str, seq: int, epsilon: int, withheld: int, visits: int, digest: str) -> Release:
    return Release(boot, seq, epsilon, bool(withheld), visits, digest)


def _insert(
    database: sqlite3.Connection, kind: str, boot: str, seq: int, now: float | None, body: bytes
) -> None:
    database.execute(
        "INSERT INTO outbox (kind, boot, seq, created, body) VALUES (?, ?, ?, ?, ?)",
        (kind, boot, seq, now, body),
    )


def _count(database: sqlite3.Connection, name: str, more: int) -> None:
    database.execute(
        "INSERT INTO counter VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (name, more),
    )


def _counter(database: sqlite3.Connection, name: str) -> int:
    row = database.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0
