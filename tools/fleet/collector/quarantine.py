"""What was no message of an honest device is kept with the reason, within bounds, and counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from tools.fleet.collector.intake import Refusal
from tools.fleet.store import Store

PER_DEVICE = 100
"""Newest kept of each device (and of topics that name none)."""
IN_TOTAL = 10_000
_BODY = 1024
"""Bytes kept of a body."""
_TOPIC = 128


def keep(store: Store, refusals: list[Refusal]) -> None:
    """Add these and drop the oldest beyond the bounds; within a transaction."""
    newest: dict[str, list[Refusal]] = {}
    for each in refusals:
        newest.setdefault(each.device, []).append(each)
    store.executemany(
        "INSERT INTO quarantine (device, topic, reason, size, sha256, body, received)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [_row(each) for device in sorted(newest) for each in newest[device][-PER_DEVICE:]],
    )
    store.executemany(
        "DELETE FROM quarantine WHERE device = ? AND id <= (SELECT id FROM quarantine"
        " WHERE device = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        [(device, device, PER_DEVICE) for device in sorted(newest)],
    )
    store.execute(
        "DELETE FROM quarantine WHERE id <= (SELECT id FROM quarantine"
        " ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (IN_TOTAL,),
    )


def count(store: Store, names: Iterable[tuple[str, str]], now: int) -> None:
    """Add to what each device is counted for: (device, name). Devices that never sent a sound
    message are counted together, as one without a name: their ids could be anything."""
    totals = Counter(names)
    devices = sorted({device for device, _ in totals})
    marks = ", ".join("?" * len(devices))
    known = {
        row[0]
        for row in store.tuples(f"SELECT device FROM devices WHERE device IN ({marks})", devices)
    }
    joint: Counter[tuple[str, str]] = Counter()
    for (device, name), total in totals.items():
        joint[device if device in known else "", name] += total
    store.executemany(
        "INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT (device, name)"
        " DO UPDATE SET total = counts.total + excluded.total, last_at = excluded.last_at",
        [(device, name, total, now) for (device, name), total in sorted(joint.items())],
    )


def escaped(data: bytes) -> str:
    """As ASCII, so that no database and no terminal takes it for anything else."""
    return data.decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii")


def _row(refusal: Refusal) -> tuple[object, ...]:
    came = refusal.origin
    topic = "" if came.topic is None else escaped(came.topic.encode("utf-8", "replace"))
    return (
        refusal.device, topic[:_TOPIC], refusal.reason, len(came.body),
        hashlib.sha256(came.body).hexdigest(), escaped(came.body[:_BODY]), came.received,
    )  # fmt: skip
