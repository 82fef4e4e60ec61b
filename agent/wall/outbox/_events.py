"""Events for whoever looks after the device: throttled, so that a fault that repeats neither wears
out the disk nor fills the outbox."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import get_args

from agent.base.report import SEQ_LIMIT, Event, EventCode, to_json
from agent.wall.outbox._database import Database, add_to_counter, counter, insert_message

EVENT_PAUSE = 3600.0
"""Seconds between two events of one code; what happens in between is counted."""
EVENTS_A_DAY = 24
_DAY = 86_400.0


class EventThrottle:
    """Stores an event of each code at most once an hour, and `EVENTS_A_DAY` in all; counts the
    others. Its memory is the table `spoken`, so it outlives the process."""

    def __init__(self, database: Database, boot: str, utc: Callable[[], float | None]) -> None:
        """`boot`: of the messages; `utc`: wall seconds, None while the clock is not trusted."""
        self._database = database
        self._boot = boot
        self._utc = utc

    def record(self, code: EventCode, times: int = 1) -> None:
        """Store an event, or count it where its code was sent a short while ago. Raises
        `StoreError`."""
        with self._database.transaction("add an event to") as database:
            self.record_within(database, code, times)

    def flush(self) -> None:
        """Store the events that were only counted, where their time has come. Raises
        `StoreError`."""
        with self._database.transaction("add an event to") as database:
            waiting = database.execute("SELECT code FROM spoken WHERE pending > 0").fetchall()
            for (code,) in waiting:
                if code in get_args(EventCode):
                    self.record_within(database, code, 0)

    def record_within(self, database: sqlite3.Connection, code: EventCode, times: int) -> None:
        """As `record`, within a transaction that is open already."""
        now = time.monotonic()
        database.execute(
            "INSERT INTO spoken VALUES (?, ?, ?) ON CONFLICT (code)"
            " DO UPDATE SET pending = pending + excluded.pending",
            (code, times, -EVENT_PAUSE),
        )
        # A time of the future is from before the machine's last start.
        database.execute("UPDATE spoken SET said = ? WHERE said > ?", (-EVENT_PAUSE, now))
        pending, sent_at = database.execute(
            "SELECT pending, said FROM spoken WHERE code = ?", (code,)
        ).fetchone()
        day = counter(database, "event_day")
        if not 0 <= now - day < _DAY:
            add_to_counter(database, "event_day", int(now) - day)
            add_to_counter(database, "events_today", -counter(database, "events_today"))
        if now - sent_at < EVENT_PAUSE or counter(database, "events_today") >= EVENTS_A_DAY:
            return
        seq = counter(database, "event_seq")
        add_to_counter(database, "event_seq", (seq + 1) % SEQ_LIMIT - seq)
        add_to_counter(database, "events_today", 1)
        database.execute("UPDATE spoken SET pending = 0, said = ? WHERE code = ?", (now, code))
        utc = self._utc()
        event = Event(
            boot=self._boot,
            seq=seq,
            code=code,
            count=min(max(pending, 1), 1023),
            at=None if utc is None else 10 * round(utc / 10),
            offset=min(10 * int(now / 10), 999_999_990),
        )
        insert_message(database, "event", event.boot, event.seq, utc, to_json(event))
