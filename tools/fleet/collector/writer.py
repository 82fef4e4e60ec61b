"""A batch of messages into the database, in one transaction: each of them once, or none of them."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.fleet.collector import columns, quarantine
from tools.fleet.collector.gaps import GapBook, Key
from tools.fleet.collector.intake import Incoming, Message, Reason, Refusal, examine
from tools.fleet.store import Store

_MAX_KNOWN = 1_000_000
"""Numberings that are remembered to be in the database."""
Identity = tuple[str, str, str, int]
"""Stream, device, boot or key, number: what makes a message the only one."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch."""

    stored: Counter[str] = field(default_factory=Counter)
    """By kind."""
    duplicates: int = 0
    refused: Counter[Reason] = field(default_factory=Counter)
    """Quarantined, by reason."""
    found: int = 0
    """Numbers found missing."""
    filled: int = 0
    """Missing numbers that came after all."""


@dataclass(frozen=True, slots=True)
class _Numbered:
    message: Message
    identity: Identity
    key: Key
    boot: str


_TABLES = {
    "summary": ("summaries", "boot", "seq"),
    "event": ("events", "boot", "seq"),
    "receipt": ("receipts", "key", "number"),
}


class Writer:
    """Writes batches. One for each thread and connection."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._known: set[Key] = set()

    def write(self, batch: Sequence[Incoming]) -> Outcome:
        """Store a batch; when this returns it is on disk. Raises `StoreUnavailable`: then nothing
        of it is. What the database itself refuses is found and quarantined."""
        return self._write([examine(each) for each in batch])

    def _write(self, examined: list[Message | Refusal]) -> Outcome:
        try:
            return self._store_all(examined)
        except Exception as error:
            if not _blames_a_value(error):
                raise
        if len(examined) == 1:
            return self._store_all([Refusal(examined[0].device, "unstorable", examined[0].origin)])
        half, whole = len(examined) // 2, Outcome()
        for part in (examined[:half], examined[half:]):
            done = self._write(part)
            whole.stored += done.stored
            whole.refused += done.refused
            whole.duplicates += done.duplicates
            whole.found += done.found
            whole.filled += done.filled
        return whole

    def _store_all(self, examined: list[Message | Refusal]) -> Outcome:
        outcome, now = Outcome(), int(self._clock())
        sound = [each for each in examined if isinstance(each, Message)]
        refusals = [each for each in examined if isinstance(each, Refusal)]
        numbered = [_numbered(each) for each in sound if each.kind != "health"]
        health = [each for each in sound if each.kind == "health"]
        with self._store.transaction():
            self._make_devices(sound, now)
            keys = sorted({each.key for each in numbered})
            self._make_positions(keys)
            fresh: list[_Numbered] = []
            repeated: list[tuple[str, str]] = []
            if numbered:
                book = GapBook(self._store, keys, now)
                fresh, copies, conflicts = self._sort_out(numbered)
                refusals += [Refusal(each.device, "conflict", each.origin) for each in conflicts]
                repeated = [(each.device, "duplicate") for each in copies]
                for each in fresh:
                    book.add(each.key, each.boot, each.identity[3], each.message.origin.received)
                book.save()
                outcome.found, outcome.filled = book.found, book.filled
            self._insert([each.message for each in fresh], health)
            if refusals:
                quarantine.keep(self._store, refusals)
            if refusals or repeated:
                named = [(each.device, str(each.reason)) for each in refusals]
                quarantine.count(self._store, named + repeated, now)
        if len(self._known) > _MAX_KNOWN:
            self._known.clear()
        self._known.update(keys)
        self._known.update((each.device, "", "") for each in sound)
        outcome.stored.update(each.message.kind for each in fresh)
        outcome.stored.update(each.kind for each in health)
        outcome.duplicates = len(repeated)
        outcome.refused.update(each.reason for each in refusals)
        return outcome

    def _make_devices(self, sound: list[Message], now: int) -> None:
        """A bare row for each device that has none."""
        new = sorted({each.device for each in sound if (each.device, "", "") not in self._known})
        self._store.executemany(
            "INSERT INTO devices (device, first_seen, last_seen) VALUES (?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            [(device, now, now) for device in new],
        )

    def _make_positions(self, keys: list[Key]) -> None:
        """Rows to lock, where there are none yet."""
        self._store.executemany(
            "INSERT INTO positions VALUES (?, ?, ?, 0, '', 0, 0, 0) ON CONFLICT DO NOTHING",
            [key for key in keys if key not in self._known],
        )

    def _sort_out(
        self, numbered: list[_Numbered]
    ) -> tuple[list[_Numbered], list[Message], list[Message]]:
        """Those to store; equal copies; others under a number that is taken."""
        taken = self._stored(numbered)
        fresh: list[_Numbered] = []
        copies: list[Message] = []
        conflicts: list[Message] = []
        for each in numbered:
            before = taken.get(each.identity)
            if before is None:
                taken[each.identity] = each.message.sha256
                fresh.append(each)
            elif before == each.message.sha256:
                copies.append(each.message)
            else:
                conflicts.append(each.message)
        return fresh, copies, conflicts

    def _stored(self, numbered: list[_Numbered]) -> dict[Identity, str]:
        """SHA-256 of what is stored under these numbers."""
        found: dict[Identity, str] = {}
        for stream, (table, boot, number) in _TABLES.items():
            wanted = {each.identity[1:] for each in numbered if each.identity[0] == stream}
            if not wanted:
                continue
            marks = ", ".join(["(?, ?, ?)"] * len(wanted))
            for row in self._store.tuples(
                f"SELECT device, {boot}, {number}, sha256 FROM {table}"
                f" WHERE (device, {boot}, {number}) IN (VALUES {marks})",
                [each for identity in wanted for each in identity],
            ):
                found[stream, row[0], row[1], row[2]] = row[3]
        return found

    def _insert(self, fresh: list[Message], health: list[Message]) -> None:
        by_kind: dict[str, list[Message]] = {"health": health}
        for each in fresh:
            by_kind.setdefault(each.kind, []).append(each)
        for kind, sql, row in _ROWS:
            rows = [row(each) for each in by_kind.get(kind, ())]
            if rows:
                self._store.executemany(sql, rows)


_ROWS: tuple[tuple[str, str, Callable[[Message], tuple[Any, ...]]], ...] = (
    ("summary", columns.INSERT_SUMMARY, columns.summary_row),
    ("summary", columns.INSERT_SLOT, columns.slot_row),
    ("event", columns.INSERT_EVENT, columns.event_row),
    ("receipt", columns.INSERT_RECEIPT, columns.receipt_row),
    ("health", columns.INSERT_HEALTH, columns.health_row),
)


def _numbered(message: Message) -> _Numbered:
    said, kind, device = message.content, message.kind, message.device
    if kind == "receipt":
        boot, number, chain = said.statement.key, said.statement.number, said.statement.key
    else:
        boot, number, chain = said.boot, said.seq, ""
    return _Numbered(message, (kind, device, boot, number), (device, kind, chain), boot)


def _blames_a_value(error: Exception) -> bool:
    """Whether the database refused one of the rows, and not the statement or the connection."""
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError, OverflowError)):
        return True
    state = getattr(error, "sqlstate", None)  # SQLSTATE class 22: data; 23: constraint
    return isinstance(state, str) and state.startswith(("22", "23"))
