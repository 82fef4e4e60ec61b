"""The rows that the outbox may hold: every column of every table, by value.

Rows are recognised by their shape, since a page that was copied alone does not name its table.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from agent.base.device_time import machine_number, machine_start
from agent.base.quotas import EVENTS_STORED
from agent.base.report import (
    SEQ_LIMIT,
    Birth,
    ClosedModel,
    Event,
    EventCode,
    HeardSummary,
    Receipt,
    SlotsInUse,
    Summary,
    Vitals,
    from_json,
)
from agent.desk.audit._truth import Truth

Value = None | int | float | str | bytes
SchemaObject = tuple[str, str, str | None]
"""Type, name and SQL."""

KINDS: dict[str, type[ClosedModel]] = {"summary": Summary, "event": Event, "receipt": Receipt}
LATEST: dict[str, type[ClosedModel]] = {
    each.__name__: each for each in (Birth, Vitals, Receipt, SlotsInUse)
}
COUNTERS = (
    "bytes", "event_day", "event_seq", "events_today", "identity", "messages", "receipt_upto",
    "seen_boottime", "seen_machine", "seen_utc", "trimmed",
)  # fmt: skip
"""Names in the table of counters."""
_MAX_ID = 1_000_000_000_000 + 10_000_000
"""Ids begin at a random number below 10^12."""
_MAX_ROOT = 64
"""Page numbers of the tables' roots."""
_MAX_EVENTS = 1000
_NEVER_SAID = -3600
"""`spoken.said` of an event that was not said yet."""
_BOOT, _HASH64 = (re.compile(rf"[0-9a-f]{{{n}}}") for n in (8, 64))


@dataclass(slots=True)
class RowCheck:
    """Validates rows; remembers what must not change within a run."""

    truth: Truth
    schema: frozenset[SchemaObject]
    version: int
    """Of the layout, in the file's header."""
    messages: int
    size: int
    """The most messages that were delivered, and their bytes."""
    identity: Value = None
    """The file's random number: one in all of its copies."""
    boots: set[str] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    """Ids of messages, and values of their sequence."""
    rowids: set[int] = field(default_factory=set)
    """Rows that indexes name."""
    known: dict[tuple[int, bytes], str | None] = field(default_factory=dict)
    """What is wrong with a cell, by page type and bytes: most cells are seen many times."""

    def table(self, rowid: int, row: Sequence[Value]) -> str | None:
        """Why this row belongs to no table, else None."""
        if len(row) == 2:
            is_sequence = row[0] == "outbox"
            return self._sequence(rowid, row) if is_sequence else self._counter(rowid, row)
        if len(row) == 3:
            has_body = isinstance(row[1], bytes)
            return self._latest(rowid, row) if has_body else self._spoken(rowid, row)
        others = {5: self._master, 6: self._message, 8: self._release}
        check = others.get(len(row))
        return check(rowid, row) if check else f"a row of {len(row)} columns"

    def index(self, row: Sequence[Value]) -> str | None:
        """Why this row belongs to no index, else None."""
        *key, rowid = row
        if not _is_count(rowid, _MAX_ID):
            return f"an index entry of row {rowid!r}"
        assert isinstance(rowid, int)
        self.rowids.add(rowid)
        if len(key) == 3:
            kind, boot, seq = key
            return self._number(boot, seq) if kind in KINDS else f"kind {_short(kind)}"
        if len(key) == 2:
            return self._number(*key)
        if len(key) == 1:
            names = {*LATEST, *COUNTERS, *get_args(EventCode)}
            if isinstance(key[0], str):
                return None if key[0] in names else f"name {_short(key[0])}"
            return self._utc(key[0])
        return f"an index entry of {len(row)} columns"

    def _master(self, rowid: int, row: Sequence[Value]) -> str | None:
        kind, name, table, root, sql = row
        good = (kind, name, sql) in self.schema and _is_count(root, _MAX_ROOT)
        tables = {each[1] for each in self.schema if each[0] == "table"}
        good = good and table in tables and 0 < rowid <= len(self.schema) + 1
        return None if good else f"schema {_short(name)}"

    def _message(self, rowid: int, row: Sequence[Value]) -> str | None:
        alias, kind, boot, seq, created, body = row
        model = KINDS.get(kind) if isinstance(kind, str) else None
        if model is None or alias is not None or not _is_count(rowid, _MAX_ID):
            return f"kind {_short(kind)}"
        if model is Summary and self.truth.policy.listens:
            model = HeardSummary
        message = from_json(model, body) if isinstance(body, bytes) else None
        if message is None or not isinstance(body, bytes):
            return f"a body of {_size(body)} bytes that is no {kind!r}"
        if isinstance(message, Summary | Event) and (message.boot, message.seq) != (boot, seq):
            return f"number {_short((boot, seq))} of another message"
        ledger = self.truth.ledger
        if kind == "summary" and ledger and hashlib.sha256(body).hexdigest() not in ledger:
            return "a summary that is not in the ledger"
        self.ids.add(rowid)
        return self._number(boot, seq) or self._utc(created)

    def _release(self, rowid: int, row: Sequence[Value]) -> str | None:
        boot, seq, slot, epsilon, policy, withheld, visits, sha256 = row
        truth = self.truth
        if not (isinstance(sha256, str) and _HASH64.fullmatch(sha256)):
            return f"hash {_short(sha256)}"
        if truth.ledger and truth.ledger.get(sha256, -1) != rowid - 1:
            return "a hash that is not in the ledger"
        if (slot, epsilon, policy) != (0, truth.policy.epsilon_milli, truth.policy.hash[:8]):
            return f"slot, epsilon or policy {_short((slot, epsilon, policy))}"
        if withheld not in (0, 1) or not (isinstance(visits, int) and -1024 <= visits <= 1024):
            return f"withheld {_short((withheld, visits))}"
        return self._number(boot, seq)

    def _latest(self, rowid: int, row: Sequence[Value]) -> str | None:
        kind, body, written = row
        model = LATEST.get(kind) if isinstance(kind, str) else None
        if model is None or not self._is_row(rowid):
            return f"kind {_short(kind)}"
        if not isinstance(body, bytes) or from_json(model, body) is None:
            return f"a body of {_size(body)} bytes that is no {kind!r}"
        return self._monotonic(written)

    def _spoken(self, rowid: int, row: Sequence[Value]) -> str | None:
        code, pending, said = row
        known = code in get_args(EventCode) and self._is_row(rowid)
        if not known or not _is_count(pending, _MAX_EVENTS):
            return f"event {_short((code, pending))}"
        return None if said == _NEVER_SAID else self._monotonic(said)

    def _counter(self, rowid: int, row: Sequence[Value]) -> str | None:
        name, value = row
        if name not in COUNTERS or not self._is_row(rowid):
            return f"counter {_short((name, value))}"
        if name == "event_day":
            return self._monotonic(value) if value else None
        if name == "seen_utc":
            return self._utc(value)
        if name == "seen_boottime":
            asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
            return self._monotonic(value - round(asleep) if isinstance(value, int) else value)
        if name == "seen_machine":
            return None if value == machine_number(machine_start()) else f"another {name}"
        if name == "identity" and self.identity is None and _is_count(value, 2**62):
            self.identity = value
        if name == "identity":
            return None if value == self.identity else f"another identity {_short(value)}"
        most = {
            "messages": self.messages, "bytes": self.size, "events_today": EVENTS_STORED,
            "event_seq": _MAX_EVENTS,
        }.get(str(name), len(self.truth.ledger) + _MAX_EVENTS)  # fmt: skip
        return None if _is_count(value, most) else f"counter {_short((name, value))}"

    def _sequence(self, rowid: int, row: Sequence[Value]) -> str | None:
        name, value = row
        if name != "outbox" or rowid != 1 or not _is_count(value, _MAX_ID):
            return f"sequence {_short(row)}"
        assert isinstance(value, int)
        self.ids.add(value)
        return None

    def _is_row(self, rowid: int) -> bool:
        """Whether a row id is as low as the few rows of a small table have."""
        return 0 < rowid <= len(self.truth.ledger) + _MAX_EVENTS

    def _number(self, boot: Value, seq: Value) -> str | None:
        if not (isinstance(boot, str) and _BOOT.fullmatch(boot)) or not _is_count(seq, SEQ_LIMIT):
            return f"number {_short((boot, seq))}"
        self.boots.add(boot)
        return None

    def _utc(self, value: Value) -> str | None:
        number = _whole(value)
        known = value is None or (number is not None and self.truth.is_utc(number))
        return None if known else f"time {_short(value)}"

    def _monotonic(self, value: Value) -> str | None:
        number = _whole(value)
        known = number is not None and self.truth.is_monotonic(number)
        return None if known else f"time {_short(value)}"


def _is_count(value: Value, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _whole(value: Value) -> float | None:
    """A number without a fraction, which could carry data."""
    return float(value) if isinstance(value, int | float) and float(value).is_integer() else None


def _short(value: object) -> str:
    return ascii(value)[:60]


def _size(value: Value) -> int:
    return len(value) if isinstance(value, str | bytes) else 0
