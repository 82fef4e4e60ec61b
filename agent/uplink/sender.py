"""Publishes the outbox: rows pass the warden, are sent, and removed when acknowledged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from agent.base.report import EventCode
from agent.uplink.audience import RETRY, Audience
from agent.uplink.connection import Connection
from agent.uplink.reason_codes import TOO_LARGE
from agent.uplink.topics import Topics, message_kind
from agent.uplink.warden.warden import Warden
from agent.wall.outbox import Outbox, Row

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.5
"""Seconds between looks at the outbox."""
GRID = 10.0
"""The same where noise is added: the moments in which rows leave are this process's own, so that
perceive says little by the time at which it writes one."""
RESCAN_INTERVAL = 600.0
"""Seconds between looks at all rows, also those with ids below the newest judged."""
_BATCH = 200
"""Rows judged between two writes of the warden's state."""


class OutboxSender:
    """At-least-once delivery: a row is removed on PUBACK, unless nobody reads now (`Audience`);
    unacknowledged rows are sent again on a new connection. (boot, seq) identifies duplicates.

    Rows are judged as they appear, also while the broker is away; what was admitted is sent
    whenever it can be.
    """

    def __init__(
        self,
        topics: Topics,
        outbox: Outbox,
        warden: Warden,
        count: Callable[[EventCode], object],
        grid: float,
    ) -> None:
        """`count`: counts an event; `grid`: seconds, see `GRID`."""
        self._topics = topics
        self._outbox = outbox
        self._warden = warden
        self._count = count
        self._grid = grid
        self._openings = outbox.openings
        self._next_poll = 0.0
        self._next_rescan = time.monotonic() + RESCAN_INTERVAL
        self._judged = 0
        """Newest row judged."""
        self._seen: set[int] = set()
        """Rows found since the last rescan began."""
        self._whole = True
        """Whether `_seen` began with the oldest row."""
        self._last_id = 0
        """Newest row sent over this connection."""
        self._sent: set[int] = set()
        """Rows sent over this connection and still remembered: never twice, whatever the outbox
        says."""
        self._tags: dict[int, tuple[int, str]] = {}
        """Ids and kinds of the rows in flight by the connection's tag."""
        self._audience = Audience()
        self._send_at = 0.0
        """Monotonic seconds before which nothing is sent: readers are waited for."""
        self._next_tag = 0
        self._acknowledged: list[int] = []
        """Acknowledged rows to be removed from the outbox."""
        self._refused: list[int] = []
        """Refused rows to be removed."""
        self._busy = True
        """Whether the last look found rows to be judged or sent."""

    @property
    def drained(self) -> bool:
        """Whether the last look found nothing to judge or to send."""
        return not self._busy

    def connected(self) -> None:
        """Start again with the oldest row, on a new connection."""
        self._last_id = 0
        self._sent.clear()
        self._tags.clear()
        self._send_at = 0.0
        self._busy = True

    def check_file(self) -> None:
        """Start anew with a file that was opened again: it may have replaced another. What is in
        flight stays known: a damaged file's ids do not come again, and those of a copy are the same
        rows."""
        found = self._outbox.openings
        if found != self._openings:
            self._openings = found
            self._last_id = 0
            self._rescan()

    def poll_now(self) -> None:
        """Let the next `judge` look at the outbox at once."""
        self._next_poll = 0.0
        self._busy = True

    def collect(self, connection: Connection) -> bool:
        """Take over the connection's acknowledgements; returns whether there were any."""
        answers = connection.drain_acknowledged()
        now = time.monotonic()
        for tag, code in answers:
            row, kind = self._tags.pop(tag, (None, ""))
            if row is None or code == TOO_LARGE:
                continue  # it stays in the outbox, and is sent over the next connection
            if self._audience.is_delivered(kind, code, now):
                self._acknowledged.append(row)
            else:
                self._sent.discard(row)
                self._last_id = min(self._last_id, row - 1)
                self._send_at = now + RETRY
        return bool(answers)

    def remove(self) -> bool:
        """Remove acknowledged and refused rows; returns whether there were any. Raises
        `StoreError`; the call may be repeated."""
        done, refused = self._acknowledged, self._refused
        if done:
            self._outbox.acknowledge(*done)
            self._warden.forget(*done)
            self._sent.difference_update(done)
        if refused:
            self._outbox.acknowledge(*refused, delivered=False)
            log.error(
                "%d rows of the outbox are not what this device may say, or more than it may say "
                "in a day: removed, not sent.",
                len(refused),
            )
        self._acknowledged, self._refused = [], []
        return bool(done or refused)

    def judge(self) -> None:
        """Let the warden judge what is new in the outbox, one batch, when it is time. Raises
        `StoreError`; the call may be repeated."""
        now = time.monotonic()
        if now < self._next_poll:
            return
        if now >= self._next_rescan:
            self._rescan()
        rows = self._outbox.peek(_BATCH, self._judged)
        for row in rows:
            if self._whole:
                self._seen.add(row.id)
            if not self._admit(row):
                break
            self._judged = row.id
        else:
            if len(rows) == _BATCH:
                self._warden.save()
                return  # more of them at once
            if self._whole:
                self._warden.keep_only(self._seen)
                self._whole = False
                self._seen.clear()
            self._warden.caught_up()
        self._warden.save()
        self._next_poll = now - now % self._grid + self._grid

    def send_pending(self, connection: Connection) -> None:
        """Send admitted rows within the send quota. Raises `PublishError`, `StoreError`."""
        if connection.send_quota == 0 or time.monotonic() < self._send_at:
            return
        self._warden.save()  # nothing is sent that could be granted again
        rows = [
            row
            for row in self._outbox.peek(connection.send_quota, self._last_id)
            if row.id <= self._judged
        ]
        for row in rows:
            if row.id not in self._sent and self._warden.remembers(row):
                self._next_tag += 1
                self._tags[self._next_tag] = row.id, row.kind
                self._sent.add(row.id)
                kind, topic = message_kind(row.kind, row.body), self._topics.of(row.kind)
                if not connection.publish(kind, topic, row.body, tag=self._next_tag):
                    del self._tags[self._next_tag]  # it stays in the outbox
            self._last_id = row.id
        self._busy = bool(rows) or time.monotonic() >= self._next_poll

    def _admit(self, row: Row) -> bool:
        """Judge one row, unless that is done; returns whether it is decided."""
        if self._warden.remembers(row) or row.id in self._refused:
            return True
        verdict = self._warden.judge(row)
        if verdict == "wait":
            return False
        if verdict == "admitted":
            self._last_id = min(self._last_id, row.id - 1)
        else:
            self._count("row_refused" if verdict == "refused" else "quota_exceeded")
            self._refused.append(row.id)
        return True

    def _rescan(self) -> None:
        """Begin again with the oldest row."""
        self._judged, self._whole = 0, True
        self._seen.clear()
        self._next_rescan = time.monotonic() + RESCAN_INTERVAL
        self._next_poll = 0.0
