"""The collector: takes from the broker, stores, and only then acknowledges."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from tools.fleet.collector.intake import Incoming
from tools.fleet.collector.metrics import Metrics
from tools.fleet.collector.source import Source
from tools.fleet.collector.writer import Writer
from tools.fleet.store import Store, StoreUnavailable
from tools.fleet.store.migrate import migrate

log = logging.getLogger(__name__)

BATCH = 500
LINGER = 0.02
"""Seconds to wait for more messages before a batch is stored."""
_PATIENCE = 0.5
"""Seconds between looks at whether to stop."""
_BACKOFF = (0.2, 10.0)
"""Seconds between attempts to store: first, most."""
_QUIET = 5.0
"""Seconds without a message after which a collector that retires has been sent everything."""
_COUNT_INTERVAL = 30.0
"""Seconds between counts of open gaps."""


class Collector:
    """Runs in one thread; `stop` may be called from another, or from a signal's handler."""

    def __init__(
        self,
        source: Source,
        store: Store,
        metrics: Metrics,
        *,
        batch: int = BATCH,
        linger: float = LINGER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._store, self._metrics = source, store, metrics
        self._writer = Writer(store, clock)
        self._batch, self._linger = batch, linger
        self.stopped = False
        self._migrated = False
        self._counted = float("-inf")

    def stop(self) -> None:
        """End after the batch in hand."""
        self.stopped = True
        self._source.inbox.wake()

    def run(self) -> None:
        """Until `stop`. Raises `ToolError` where there is no use in going on."""
        self._ready()
        self._source.start()
        try:
            while not self.stopped:
                self._step()
        finally:
            self._source.close()

    def retire(self) -> int:
        """Take no part any more, store what waits for this name, end its session. Returns the
        number of messages stored on the way. Raises `ToolError`: then the session stays."""
        self._ready()
        inbox, retired = self._source.inbox, False
        self._source.start()
        try:
            while not inbox.connected:
                self._step()
                if self.stopped:
                    return 0
            self._source.stop_taking()
            inbox.last = time.monotonic()
            while not self.stopped and time.monotonic() - inbox.last < _QUIET:
                self._step()
                if not inbox.connected:
                    inbox.last = time.monotonic()
            retired = not self.stopped and not len(inbox)
        finally:
            self._source.close(retire=retired)
        return inbox.received

    def _ready(self) -> None:
        """Nothing is taken before there is somewhere to put it."""
        self._keep_trying(lambda: migrate(self._store))

    def _step(self) -> None:
        inbox = self._source.inbox
        if inbox.error is not None:
            raise inbox.error
        batch = inbox.take(self._batch, _PATIENCE, self._linger)
        if batch:
            self._store_batch(batch)
        self._metrics.waiting(inbox)
        self._count_gaps()

    def _store_batch(self, batch: list[Incoming]) -> None:
        self._metrics.begin(batch, self._source.inbox)

        def write() -> None:
            start = time.perf_counter()
            outcome = self._writer.write(batch)
            self._metrics.stored(outcome, time.perf_counter() - start)

        if self._keep_trying(write):
            self._source.acknowledge(batch)
        self._metrics.end()

    def _keep_trying(self, what: Callable[[], object]) -> bool:
        """Do something with the database, as often as it takes; whether it was done before `stop`.
        Meanwhile nothing is acknowledged, and the broker sends no more than it was told."""
        delay = _BACKOFF[0]
        while True:
            try:
                what()
            except StoreUnavailable as error:
                log.warning("%s", error)
                self._metrics.database_up(False)
            else:
                self._metrics.database_up(True)
                return True
            if self._source.inbox.error is not None:
                raise self._source.inbox.error
            if not self._pause(delay):
                return False
            delay = min(2 * delay, _BACKOFF[1])

    def _pause(self, seconds: float) -> bool:
        """Whether to go on. Not an `Event`, which a signal's handler could find locked."""
        end = time.monotonic() + seconds
        while not self.stopped and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _PATIENCE))
        return not self.stopped

    def _count_gaps(self) -> None:
        now = time.monotonic()
        if now - self._counted < _COUNT_INTERVAL:
            return
        self._counted = now
        try:
            rows = self._store.tuples("SELECT COUNT(*), COALESCE(SUM(missing), 0) FROM open_gaps")
            self._metrics.gaps(int(rows[0][0]), int(rows[0][1]))
        except StoreUnavailable as error:
            log.warning("%s", error)
            self._metrics.database_up(False)
