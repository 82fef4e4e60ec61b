"""Messages that were none: counted, and the newest of each device kept for a person to look at."""

from __future__ import annotations

import hashlib

from tools.fleet.store import Store

_KEPT = 20
"""Of each device."""
_SHOWN = 512
"""Bytes of a body."""


def add(store: Store, device: str, topic: str, reason: str, body: bytes, now: int) -> None:
    """Within a transaction. Raises `StoreUnavailable`."""
    store.execute(
        "INSERT INTO counts (device, name, total, last_at) VALUES (?, ?, 1, ?)"
        " ON CONFLICT (device, name) DO UPDATE SET total = counts.total + 1,"
        " last_at = excluded.last_at",
        (device, reason, now),
    )
    store.execute(
        "INSERT INTO quarantine (device, topic, reason, size, sha256, body, received)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            device, ascii(topic)[1:-1][:300], reason, len(body), hashlib.sha256(body).hexdigest(),
            ascii(body[:_SHOWN])[2:-1], now,
        ),
    )  # fmt: skip
    store.execute(
        "DELETE FROM quarantine WHERE device = ? AND id <= (SELECT id FROM quarantine"
        " WHERE device = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (device, device, _KEPT),
    )
