"""Stores summaries in the outbox; buffers them in memory while the disk is full."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence

from agent.base.errors import StoreError
from agent.base.repeats import Seldom
from agent.perceive.status import PerceiveReport, StatusReporter
from agent.privacy.releaser import Released
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)

_MAX_WAITING = 1000
"""Buffered summaries; beyond these the oldest is dropped and counted."""
_RETRY = 5.0
"""Seconds between attempts to store buffered summaries."""


class SummaryStore:
    """Adds summaries to the outbox in order, each once; counts them in `report`."""

    def __init__(self, outbox: Outbox, status: StatusReporter, report: PerceiveReport) -> None:
        self._outbox = outbox
        self._status = status
        self._report = report
        self._waiting: deque[Released] = deque()
        self._retry_at = 0.0
        self._fault = Seldom()

    def add(self, released: Sequence[Released]) -> None:
        """Store these and the buffered ones. A failure is logged; its event is recorded later."""
        self._report.summaries += len(released)
        self._waiting.extend(released)
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        try:
            self.flush()
        except StoreError as error:
            self._retry_at = time.monotonic() + _RETRY
            if self._fault():
                log.error("%s %d summaries wait in memory.", error, len(self._waiting))
        else:
            self._retry_at = 0.0
            if self._fault.over():
                log.warning("All summaries that waited are stored.")
                self._status.record_event("store_failed")
        while len(self._waiting) > _MAX_WAITING:
            self._waiting.popleft()
            self._report.lost += 1
            self._status.record_event("summaries_lost")

    def flush(self) -> None:
        """Store all buffered summaries. Raises `StoreError`."""
        while self._waiting:
            self._outbox.add(self._waiting[0].summary, self._waiting[0].withheld_visits)
            self._waiting.popleft()
