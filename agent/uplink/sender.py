"""Publishes the outbox: rows are validated, sent, and removed when acknowledged."""

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
"""Seconds between polls of an empty outbox."""
_MODELS: dict[str, type[ClosedModel]] = {"summary": Summary, "event": Event, "receipt": Receipt}


class OutboxSender:
    """At-least-once delivery: a row is removed on PUBACK; unacknowledged rows are sent again on a
    new connection. (boot, seq) identifies duplicates."""

    def __init__(
        self, topics: Topics, outbox: Outbox, count: Callable[[EventCode], object]
    ) -> None:
        """`count`: counts an event."""
        self._topics = topics
        self._outbox = outbox
        self._file = outbox.file_id
        self._count = count
        self._next_poll = 0.0
        self._last_id = 0
        """Newest row sent over this connection."""
        self._acknowledged: list[int] = []
        """Acknowledged rows to be removed from the outbox."""
        self._invalid: list[int] = []
        """Invalid rows to be removed."""
        self._last_batch = 0
        """Rows found by the last poll."""
        self._stale = False
        """Whether this connection's acknowledgements belong to a replaced outbox file."""

    @property
    def drained(self) -> bool:
        """Whether the last poll found nothing."""
        return not self._last_batch

    def connected(self) -> None:
        """Start again with the oldest row, on a new connection."""
        self._last_id, self._next_poll, self._stale = 0, 0.0, False

    def check_file(self) -> None:
        """Raises `PublishError`, to force a new connection, when either process has replaced a
        damaged outbox: ids in flight belong to the old file."""
        found = self._outbox.file_id
        if found != self._file:
            self._file = found
            self._acknowledged.clear()
            self._invalid.clear()
            self._stale = True
            raise PublishError("The outbox was replaced.")

    def poll_now(self) -> None:
        """Let the next `send_pending` poll the outbox at once."""
        self._next_poll = 0.0

    def collect(self, connection: Connection) -> bool:
        """Take over the connection's acknowledgements; returns whether there were any."""
        delivered = connection.drain_acknowledged()
        if not self._stale:
            self._acknowledged += delivered
        return bool(delivered)

    def remove(self) -> None:
        """Remove acknowledged and invalid rows. Raises `StoreError`; the call may be repeated."""
        if self._acknowledged:
            self._outbox.acknowledge(*self._acknowledged)
            self._acknowledged.clear()
        if self._invalid:
            self._outbox.acknowledge(*self._invalid, delivered=False)
            self._invalid.clear()

    def send_pending(self, connection: Connection) -> None:
        """Send rows within the send quota; an empty outbox is polled every `POLL_INTERVAL`. Raises
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
        log.error("Row %d of the outbox is no valid message: removed, not sent.", row.id)
        self._count("row_refused")
        self._invalid.append(row.id)
