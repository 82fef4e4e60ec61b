"""Operational events, throttled so that a repeated fault neither wears out the disk nor fills the
outbox."""

from __future__ import annotations

import sqlite3
import time
from typing import get_args

from agent.base.quotas import EVENTS_STORED
from agent.base.report import SEQ_LIMIT, Event, EventCode, to_json
from agent.wall.outbox._age import WallTime
from agent.wall.outbox._database import Database, add_to_counter, counter, insert_message

EVENT_INTERVAL = 3600.0
"""Seconds between two events of one code; occurrences in between are counted."""
_RARELY: tuple[EventCode, ...] = ("hot", "cooled", "undervolt")
"""Said every `RARE_INTERVAL` at most: work warms a board, and people in view are work; and a board
on the edge would use up a day's events."""
RARE_INTERVAL = 6 * 3600.0
"""Seconds."""
_DAY = 86_400.0


class EventThrottle:
    """Stores one event per code and `EVENT_INTERVAL` (some: `RARE_INTERVAL`), and `EVENTS_STORED` a
    day; counts the rest. Its state, table `spoken` (code, pending count, time of the last event),
    is persistent."""

    def __init__(self, database: Database, boot: str, utc: WallTime) -> None:
        """`boot`: of the messages."""
        self._database = database
        self._boot = boot
        self._utc = utc

    def record(self, code: EventCode, times: int = 1) -> None:
        """Store an event, or count it within `EVENT_INTERVAL` of the last. Raises `StoreError`."""
        with self._database.transaction("add an event to") as database:
            self.record_within(database, code, times)

    def flush(self) -> None:
        """Store an event for each code with pending counts that is due. Raises `StoreError`."""
        with self._database.transaction("add an event to") as database:
            waiting = database.execute("SELECT code FROM spoken WHERE pending > 0").fetchall()
            for (code,) in waiting:
                if code in get_args(EventCode):
                    self.record_within(database, code, 0)

    def record_within(self, database: sqlite3.Connection, code: EventCode, times: int) -> None:
        """As `record`, within an open transaction."""
        now = time.monotonic()
        database.execute(
            "INSERT INTO spoken VALUES (?, ?, ?) ON CONFLICT (code)"
            " DO UPDATE SET pending = pending + excluded.pending",
            (code, times, -RARE_INTERVAL),
        )
        # A time in the future was written before the last reboot.
        database.execute("UPDATE spoken SET said = ? WHERE said > ?", (-RARE_INTERVAL, now))
        pending, sent_at = database.execute(
            "SELECT pending, said FROM spoken WHERE code = ?", (code,)
        ).fetchone()
        day = counter(database, "event_day")
        if not 0 <= now - day < _DAY:
            add_to_counter(database, "event_day", int(now) - day)
            add_to_counter(database, "events_today", -counter(database, "events_today"))
        interval = RARE_INTERVAL if code in _RARELY else EVENT_INTERVAL
        if now - sent_at < interval or counter(database, "events_today") >= EVENTS_STORED:
            return
        count = counter(database, "event_seq")
        seq = count % SEQ_LIMIT  # the file is not trusted
        add_to_counter(database, "event_seq", (seq + 1) % SEQ_LIMIT - count)
        add_to_counter(database, "events_today", 1)
        database.execute("UPDATE spoken SET pending = 0, said = ? WHERE code = ?", (int(now), code))
        utc = self._utc(database)
        event = Event(
            boot=self._boot,
            seq=seq,
            code=code,
            count=min(max(pending, 1), 1023),
            at=None if utc is None else 10 * round(utc / 10),
            offset=min(10 * int(now / 10), 999_999_990),
        )
        insert_message(database, "event", event.boot, event.seq, utc, to_json(event))
