"""The outbox on its way out: streamed, checked byte for byte, removed when the broker has it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from agent.base.errors import PublishError
from agent.base.report import ClosedModel, Event, EventCode, Receipt, Summary, from_json
from agent.uplink.connection import Connection
from agent.uplink.topics import MESSAGE_KINDS, Topics
from agent.wall.outbox import Outbox, Row

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.5
"""Seconds between looks at the outbox when it was empty."""
_MODELS: dict[str, type[ClosedModel]] = {"summary": Summary, "event": Event, "receipt": Receipt}


class OutboxSender:
    """At least once: a row is removed on PUBACK; on every new connection those that were in flight
    are sent again. (boot, seq) makes the second copy recognisable."""

    def __init__(
        self, topics: Topics, outbox: Outbox, count: Callable[[EventCode], object]
    ) -> None:
        """`count`: notes an event."""
        self._topics = topics
        self._outbox = outbox
        self._file = outbox.file_id
        self._count = count
        self._next_poll = 0.0
        self._last_id = 0
        """The newest row sent over this connection."""
        self._acknowledged: list[int] = []
        """Rows that the broker has delivered and the outbox still holds."""
        self._invalid: list[int] = []
        """Rows that will never be sent, likewise."""
        self._last_batch = 0
        """Rows that the last look at the outbox found."""
        self._stale = False
        """This connection still carries rows of an outbox that is no more."""

    @property
    def drained(self) -> bool:
        """The last look found nothing."""
        return not self._last_batch

    def connected(self) -> None:
        """A new connection: begin with the oldest row."""
        self._last_id, self._next_poll, self._stale = 0, 0.0, False

    def check_file(self) -> None:
        """A damaged outbox is moved aside, by either process, and a new one begins its numbers
        anew. What is in flight then belongs to the old one: raises `PublishError`, to connect
        anew."""
        found = self._outbox.file_id
        if found != self._file:
            self._file = found
            self._acknowledged.clear()
            self._invalid.clear()
            self._stale = True
            raise PublishError("The outbox was replaced.")

    def poll_now(self) -> None:
        """Look at the outbox with the next `send_pending`, whenever the last look was."""
        self._next_poll = 0.0

    def collect(self, connection: Connection) -> bool:
        """Remember what the broker has delivered; whether it took any."""
        delivered = connection.drain_acknowledged()
        if not self._stale:
            self._acknowledged += delivered
        return bool(delivered)

    def remove(self) -> None:
        """Remove what was delivered or refused. Raises `StoreError`; what was delivered is remembered."""
        if self._acknowledged:
            self._outbox.acknowledge(*self._acknowledged)
            self._acknowledged.clear()
        if self._invalid:
            self._outbox.acknowledge(*self._invalid, delivered=False)
            self._invalid.clear()

    def send_pending(self, connection: Connection) -> None:
        """Send rows while there is room; look again after `POLL_INTERVAL` when there was none. Raises
        `PublishError`, `StoreError`."""
        if connection.send_quota == 0 or time.monotonic() < self._next_poll:
            return
        rows = self._outbox.peek(connection.send_quota, self._last_id)
        for row in rows:
            model = _MODELS.get(row.kind)
            if model is not None and from_json(model, row.body) is not None:
                topic = self._topics.of(row.kind)
                connection.publish(MESSAGE_KINDS[row.kind], topic, row.body, tag=row.id)
            else:
                self._discard(row)
            self._last_id = row.id
        self._last_batch = len(rows)
        if not rows:
            self._next_poll = time.monotonic() + POLL_INTERVAL

    def _discard(self, row: Row) -> None:
        """What is not a message of ours, byte for byte, is not sent."""
        log.error("Row %d of the outbox is no valid message: removed, not sent.", row.id)
        self._count("row_refused")
        self._invalid.append(row.id)
