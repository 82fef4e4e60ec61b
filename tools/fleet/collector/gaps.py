"""Which numbers are missing: numberings that go on over a device's starts, wrap, and begin anew.

A device numbers its summaries in one series, whatever process writes them, and its events in
another (the outbox's counters); both wrap at 2**24. A lost or damaged outbox begins both at 0
again, which makes a new series here. Receipts are numbered by the key that signs them. Numbers
before the first one that was ever seen are not missed: a collector may be younger than its devices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from agent.base.report import SEQ_LIMIT
from tools.fleet.store import Store

Stream = Literal["summary", "event", "receipt"]
Key = tuple[str, str, str]
"""Device, stream, chain: of one numbering."""
_HALF = SEQ_LIMIT // 2


@dataclass(slots=True)
class Position:
    """How far a numbering has come; numbers are counted on where a device's wrap."""

    series: int
    boot: str
    """Of the newest; empty: nothing came yet."""
    first: int
    last: int
    received: int


class GapBook:
    """The numberings of one transaction; `load` locks them against other collectors."""

    def __init__(self, store: Store, keys: list[Key], now: int) -> None:
        """`keys`: sorted, so that two collectors wait for each other in one order."""
        self._store, self._now = store, now
        self._positions: dict[Key, Position] = {}
        self.found = self.filled = 0
        """Numbers that were found missing, and that came after all."""
        marks = ", ".join(["(?, ?, ?)"] * len(keys))
        lock = " FOR UPDATE OF positions" if store.dialect == "postgresql" else ""
        for device, stream, chain, *rest in store.tuples(
            "SELECT device, stream, chain, series, boot, first_seq, last_seq, received"
            f" FROM positions WHERE (device, stream, chain) IN (VALUES {marks})"
            f" ORDER BY device, stream, chain{lock}",
            [each for key in keys for each in key],
        ):
            self._positions[device, stream, chain] = Position(*rest)

    def add(self, key: Key, boot: str, number: int, received: int) -> None:
        """Note a number that was not stored before; to be called before it is."""
        position = self._positions[key]
        position.received = max(position.received, received)
        if not position.boot:
            position.boot, position.first, position.last = boot, number, number
            return
        ahead = (number - position.last) % SEQ_LIMIT
        if 0 < ahead < _HALF:
            if boot != position.boot and self._fill_older(key, position, number):
                return
            unwrapped = position.last + ahead
            if ahead > 1:
                self._open(key, position, boot, position.last + 1, unwrapped - 1)
            position.last, position.boot = unwrapped, boot
            return
        behind = position.last - (SEQ_LIMIT - ahead) % SEQ_LIMIT
        if self._fill(key, position.series, behind) or self._fill_older(key, position, number):
            return
        if behind < position.first and self._is_earlier(position, boot, behind, number):
            if behind + 1 < position.first:
                self._open(key, position, position.boot, behind + 1, position.first - 1)
            position.first = behind
        elif boot != position.boot and not self._is_known(key, boot):
            position.series += 1
            position.boot, position.first, position.last = boot, number, number

    def save(self) -> None:
        """Store all positions."""
        self._store.executemany(
            "UPDATE positions SET series = ?, boot = ?, first_seq = ?, last_seq = ?, received = ?"
            " WHERE device = ? AND stream = ? AND chain = ?",
            [
                (each.series, each.boot, each.first, each.last, each.received, *key)
                for key, each in self._positions.items()
            ],
        )

    def _is_earlier(self, position: Position, boot: str, behind: int, number: int) -> bool:
        """Whether a number before the first is of this series and late, and not of a new one, which
        begins at 0: the closer of the two."""
        return boot == position.boot or position.first - behind <= number

    def _is_known(self, key: Key, boot: str) -> bool:
        """Whether there are messages of this boot already: then it began no series."""
        device, stream, _ = key
        if stream == "receipt":
            return True
        table = "summaries" if stream == "summary" else "events"
        sql = f"SELECT 1 FROM {table} WHERE device = ? AND boot = ? LIMIT 1"
        return bool(self._store.tuples(sql, (device, boot)))

    def _open(self, key: Key, position: Position, boot: str, first: int, last: int) -> None:
        self.found += last - first + 1
        self._insert(key, position.series, boot, first, last, self._now, None)

    def _fill_older(self, key: Key, position: Position, number: int) -> bool:
        """Whether a number was missing in a series before this one."""
        return any(
            self._fill(key, series, number) for series in range(position.series - 1, -1, -1)[:8]
        )

    def _fill(self, key: Key, series: int, number: int) -> bool:
        """Whether a number was missing in a series; now it is not."""
        found = self._store.tuples(
            "SELECT id, boot, first_seq, last_seq, found_at FROM gaps WHERE device = ?"
            " AND stream = ? AND chain = ? AND series = ? AND last_seq >= ?"
            " AND filled_at IS NULL ORDER BY last_seq LIMIT 1",
            (*key, series, number),
        )
        if not found or found[0][2] > number:
            return False
        gap, boot, first, last, found_at = found[0]
        self.filled += 1
        if first == last:
            self._store.execute("UPDATE gaps SET filled_at = ? WHERE id = ?", (self._now, gap))
            return True
        if number == first:
            self._store.execute("UPDATE gaps SET first_seq = ? WHERE id = ?", (number + 1, gap))
        else:
            self._store.execute("UPDATE gaps SET last_seq = ? WHERE id = ?", (number - 1, gap))
            if number < last:
                self._insert(key, series, boot, number + 1, last, found_at, None)
        grown = self._store.tuples(
            "UPDATE gaps SET last_seq = ?, filled_at = ? WHERE device = ? AND stream = ?"
            " AND chain = ? AND series = ? AND last_seq = ? AND found_at = ?"
            " AND filled_at IS NOT NULL RETURNING id",
            (number, self._now, *key, series, number - 1, found_at),
        )
        if not grown:
            self._insert(key, series, boot, number, number, found_at, self._now)
        return True

    def _insert(self, key: Key, series: int, boot: str, *rest: Any) -> None:
        self._store.execute(
            "INSERT INTO gaps (device, stream, chain, series, boot, first_seq, last_seq, found_at,"
            " filled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, series, boot, *rest),
        )
