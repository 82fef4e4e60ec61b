"""The queue of messages to be published."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.base.clock import WallClock
from agent.base.config import StoreConfig
from agent.base.report import SEQ_LIMIT, Summary, to_json
from agent.wall.outbox._age import WallTime
from agent.wall.outbox._database import (
    Database,
    add_to_counter,
    counter,
    insert_message,
)
from agent.wall.outbox._events import EventThrottle
from agent.wall.outbox._latest import LatestValues
from agent.wall.outbox._ledger import (
    ReleaseLedger,
    is_recorded,
    meter,
    record_release,
)

log = logging.getLogger(__name__)

_ROW_OVERHEAD = 64
"""Approximate bytes of a row beside its body."""
MAX_BODY_BYTES = 2400
"""Of a message."""
_MAX_ROW_BYTES = MAX_BODY_BYTES + _ROW_OVERHEAD


@dataclass(frozen=True, slots=True)
class Row:
    """One queued message."""

    id: int
    """Increasing, never reused."""
    kind: str
    """`summary` | `event` | `receipt`; `altered`: a summary that is not the one of the ledger."""
    body: bytes


def _kind(database: sqlite3.Connection, kind: object, boot: str, seq: int, body: bytes) -> str:
    """SQLite has no checksums: a summary must have the hash that the ledger vouches for."""
    if kind == "summary" and not is_recorded(database, boot, seq, body):
        return "altered"
    return str(kind)


class Outbox:
    """Messages that the broker has not acknowledged; survives kill -9 and power loss.

    Both processes open the same file: `perceive` adds, `uplink` peeks and acknowledges. A damaged
    file is moved aside (`moved_aside`) and replaced. Not thread-safe.

    Attributes
    ----------
    events, latest, ledger
        The file's other contents: throttled events, latest state, releases and receipts.
    boot : str
        8 random hex digits of this process start.
    next_seq : int
        Follows the last number in the ledger, so that gaps reveal losses even across boots.

    Raises
    ------
    StoreError
        From every method, when the file cannot be read or written; the transaction is rolled back
        and the call may be repeated.
    """

    def __init__(
        self,
        params: StoreConfig,
        utc: Callable[[], float | None] | None = None,
        boottime: Callable[[], float] | None = None,
        machine: str | None = None,
    ) -> None:
        """These replace the system's. `utc`: wall seconds, or None while the clock is not trusted;
        `boottime`, `machine`: seconds since the machine's start, and what it is called."""
        self._params = params
        self._utc = WallTime(utc or WallClock().utc, params.max_age, boottime, machine)
        self.boot = secrets.token_hex(4)
        self._database = Database(
            params.outbox,
            lambda database: self.events.record_within(database, "outbox_damaged", 1),
            params.max_bytes,
        )
        self.events = EventThrottle(self._database, self.boot, self._utc)
        self.latest = LatestValues(self._database)
        self.ledger = ReleaseLedger(self._database, self._utc)
        self.next_seq = self.ledger.next_seq()

    @property
    def moved_aside(self) -> Path | None:
        """New path of the last damaged file."""
        return self._database.moved_aside

    @property
    def openings(self) -> int:
        """How often the file was opened; the ids of rows belong to one opening, since it may have
        been replaced before the next."""
        return self._database.openings

    @property
    def evicted(self) -> int:
        """Messages dropped so far for exceeding the bounds on size, rows or age."""
        with self._database.reading() as database:
            return counter(database, "trimmed")

    def add(self, summary: Summary, visits: int = 0) -> None:
        """Store a summary and its ledger line in one transaction; evict the oldest beyond bounds.

        `visits`: noised number of visits of a withheld window, for the receipt. Idempotent by
        (boot, seq).
        """
        body = to_json(summary)
        with self._database.transaction("add a summary to") as database:
            now = self._utc(database)
            if record_release(database, summary, body, visits):
                insert_message(database, "summary", summary.boot, summary.seq, now, body)
                self._evict(database, now)
        self.next_seq = (summary.seq + 1) % SEQ_LIMIT

    def peek(self, limit: int, after_id: int = 0) -> list[Row]:
        """The oldest `limit` messages with an id above `after_id`; kind or body is empty where it
        is none that `add` could have written (the file is not trusted)."""
        with self._database.reading() as database:
            rows = database.execute(
                "SELECT id, IIF(TYPEOF(kind) = 'text', SUBSTR(kind, 1, 16), ''), boot, seq,"
                " IIF(TYPEOF(body) = 'blob' AND LENGTH(body) <= ?, body, X'') FROM outbox"
                " WHERE id > ? ORDER BY id LIMIT ?",
                (MAX_BODY_BYTES, after_id, limit),
            ).fetchall()
            return [
                Row(int(number), _kind(database, kind, boot, seq, body), body)
                for number, kind, boot, seq, body in rows
            ]

    def acknowledge(self, *ids: int, delivered: bool = True) -> None:
        """Remove messages; meter them for the receipt if `delivered`. Unknown ids are ignored."""
        unrecorded = 0
        with self._database.transaction("remove sent messages from") as database:
            for number in ids:
                found = database.execute(
                    "DELETE FROM outbox WHERE id = ? RETURNING kind, boot, seq, body", (number,)
                ).fetchall()
                if found and delivered:
                    kind, boot, seq, body = found[0]
                    meter(database, 1, len(body))
                    unrecorded += kind == "summary" and not is_recorded(database, boot, seq, body)
        self.ledger.unrecorded += unrecorded

    def depth(self) -> int:
        """Number of queued messages."""
        with self._database.reading() as database:
            return int(database.execute("SELECT COUNT(*) FROM outbox").fetchone()[0])

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._database.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _evict(self, database: sqlite3.Connection, now: float | None) -> None:
        """Drop and count messages beyond the maximum age, then the oldest beyond the bounds."""
        dropped = 0
        if now is not None:
            # Rows stored without a trusted clock age from its first trusted reading.
            database.execute("UPDATE outbox SET created = ? WHERE created IS NULL", (int(now),))
            dropped += database.execute(
                "DELETE FROM outbox WHERE created < ?", (now - self._params.max_age,)
            ).rowcount
        dropped += self._evict_beyond_bounds(database)
        if dropped:
            add_to_counter(database, "trimmed", dropped)
            self.events.record_within(database, "outbox_trimmed", dropped)
            log.warning(
                "%s: %d oldest messages dropped, over bounds or age", self._params.outbox, dropped
            )

    def _evict_beyond_bounds(self, database: sqlite3.Connection) -> int:
        """Drop the oldest beyond size and number of rows; returns how many."""
        first, last = database.execute("SELECT MIN(id), MAX(id) FROM outbox").fetchone()
        most = last - first + 1
        if most <= self._params.max_rows and most * _MAX_ROW_BYTES <= self._params.max_bytes:
            return 0  # without reading every row
        return database.execute(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM (SELECT id,"
            " SUM(LENGTH(body) + ?) OVER (ORDER BY id DESC) AS size,"
            " ROW_NUMBER() OVER (ORDER BY id DESC) AS place FROM outbox)"
            " WHERE size > ? OR place > ?)",
            (_ROW_OVERHEAD, self._params.max_bytes, self._params.max_rows),
        ).rowcount
