"""The latest birth certificate and vitals of the perceive process, and the slots that it showed."""

from __future__ import annotations

import time

from agent.base.report import Birth, SlotsInUse, Vitals
from agent.base.report.base import Message, from_json, to_json
from agent.wall.outbox._database import Database, blob, put_latest

_MAX_BYTES = 16_384


class LatestValues:
    """One value of each kind. Every method raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, message: Birth | Vitals | SlotsInUse) -> None:
        """Replace the value of its kind."""
        with self._database.transaction("write to") as database:
            put_latest(database, type(message).__name__, to_json(message))

    def remove(self, kind: type[Message]) -> None:
        """Leave none of its kind."""
        with self._database.transaction("write to") as database:
            database.execute("DELETE FROM latest WHERE kind = ?", (kind.__name__,))

    def get(self, kind: type[Message]) -> tuple[Message, float] | None:
        """The value and its age in seconds; None where absent or not canonical JSON (the file is
        not trusted)."""
        with self._database.reading() as database:
            row = database.execute(
                "SELECT body, written FROM latest WHERE kind = ? AND TYPEOF(body) = 'blob'"
                " AND LENGTH(body) <= ? AND TYPEOF(written) IN ('real', 'integer')",
                (kind.__name__, _MAX_BYTES),
            ).fetchone()
            body, written = (blob(row[0]), float(row[1])) if row else (b"", 0.0)
        message = from_json(kind, body)
        if message is None:
            return None
        age = time.monotonic() - written
        # A negative age: written before the last reboot.
        return message, age if age >= 0 else float("inf")
