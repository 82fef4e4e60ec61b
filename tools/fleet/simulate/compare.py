"""What the broker acknowledged against what the database holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.common.tables import columns, text
from tools.fleet.simulate.truth import Key, messages
from tools.fleet.store import Store, open_store

KINDS = {"summary": "summaries", "event": "events"}
"""Kinds with a number of their own, and their tables."""
_EXAMPLES = 5


@dataclass(slots=True)
class Comparison:
    """Passed: nothing lost, doubled, invented or altered, no gap that is none."""

    acknowledged: int = 0
    stored: int = 0
    unacknowledged_stored: int = 0
    """Stored although the device never heard so; no fault."""
    lost: int = 0
    doubled: int = 0
    invented: int = 0
    """Stored, but no device ever made it."""
    altered: int = 0
    """Stored with other bytes."""
    gaps_missed: int = 0
    """Numbers that are missing from the database and that no open gap names."""
    gaps_invented: int = 0
    """Numbers that an open gap names although they are there."""
    quarantined: int = 0
    duplicates: int = 0
    """Second copies that the collectors met and counted."""
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not (
            self.lost or self.doubled or self.invented or self.altered or self.gaps_missed
            or self.gaps_invented or self.quarantined
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


def compare(truth: Path, url: str, prefix: str = "") -> Comparison:
    """`prefix`: of the devices that are looked at, where others are in the database as well. Raises
    `ToolError`; `StoreUnavailable` when the database is away."""
    found = Comparison()
    with open_store(url) as store:
        for kind, table in KINDS.items():
            _compare_kind(found, truth, store, kind, table, prefix)
        found.quarantined = _number(store, "SELECT COUNT(*) FROM quarantine")
        found.duplicates = _number(
            store, "SELECT COALESCE(SUM(total), 0) FROM counts WHERE name = 'duplicate'"
        )
    return found


def stored(url: str) -> int:
    """Summaries and events in the database. Raises `StoreUnavailable`."""
    with open_store(url) as store:
        return sum(_number(store, f"SELECT COUNT(*) FROM {table}") for table in KINDS.values())


def _compare_kind(
    found: Comparison, truth: Path, store: Store, kind: str, table: str, prefix: str
) -> None:
    # Not trusting the primary key: whether rows are doubled is what is asked.
    rows: dict[Key, tuple[str, int]] = {}
    numbers: dict[str, set[int]] = defaultdict(set)
    for device, boot, seq, sha256 in store.tuples(f"SELECT device, boot, seq, sha256 FROM {table}"):
        if not device.startswith(prefix):
            continue
        key = Key(device, kind, boot, seq)
        rows[key] = sha256, rows.get(key, ("", 0))[1] + 1
        numbers[device].add(seq)
        found.stored += 1
    for key, (_, times) in rows.items():
        if times > 1:
            found.doubled += times - 1
            _example(found, "doubled", key)
    made: set[Key] = set()
    for key, sha256, acked in messages(truth, kind):
        made.add(key)
        row = rows.get(key)
        found.acknowledged += acked
        if row is None:
            if acked:
                found.lost += 1
                _example(found, "lost", key)
            continue
        found.unacknowledged_stored += not acked
        if row[0] != sha256.hex():
            found.altered += 1
            _example(found, "altered", key)
    for key in rows.keys() - made:
        found.invented += 1
        _example(found, "invented", key)
    _compare_gaps(found, store, kind, numbers, prefix)


def _compare_gaps(
    found: Comparison, store: Store, kind: str, numbers: dict[str, set[int]], prefix: str
) -> None:  # fmt: skip
    """A device numbers on over its starts: what is missing between its first and last number must
    be what the open gaps name."""
    named: dict[str, set[int]] = defaultdict(set)
    for device, first, last in store.tuples(
        "SELECT device, first_seq, last_seq FROM open_gaps WHERE stream = ?", (kind,)
    ):
        if device.startswith(prefix):
            named[device].update(range(first, last + 1))
    for device in numbers.keys() | named.keys():
        here = numbers.get(device, set())
        missing = set(range(min(here), max(here) + 1)) - here if here else set()
        found.gaps_missed += len(missing - named[device])
        found.gaps_invented += len(named[device] & here)


def _number(store: Store, sql: str, params: Sequence[Any] = ()) -> int:
    return int(store.tuples(sql, params)[0][0])


def _example(found: Comparison, what: str, key: Key) -> None:
    some = found.examples.setdefault(what, [])
    if len(some) < _EXAMPLES:
        some.append("/".join(map(str, key)))


def table(found: Comparison) -> str:
    """For a person."""
    shown = columns("acknowledged by the broker, and in the database", "")
    for name, value in asdict(found).items():
        if name != "examples":
            shown.add_row(name.replace("_", " "), f"{value}")
    for what, keys in found.examples.items():
        shown.add_row(f"{what}, for example", keys[0])
    return text(shown)
