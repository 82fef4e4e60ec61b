"""The loop: look at the database, settle what was found, tell. It remembers nothing that is not in
the database, and each change of it first proves the lease: two may run, and one acts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tools.fleet.alerts.book import Book, Change
from tools.fleet.alerts.find import SOURCES, Source, liveness, trust
from tools.fleet.alerts.kinds import BY_NAME
from tools.fleet.alerts.webhooks import outbox
from tools.fleet.controller.lease import Lease, LeaseLostError
from tools.fleet.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

NAME = "alerts"
"""Of the lease."""
LEASE = 60.0
"""Seconds of silence after which another one takes over: longer than a look at a large fleet."""
_WAIT = 1.0
_BACKOFF = 10.0


class Alerts:
    """Tests call `step`, and `look` for one round at once."""

    def __init__(self, store: Store, lease: Lease, clock: Callable[[], float] = time.time) -> None:
        """`clock`: Unix seconds."""
        self._store, self._lease, self._clock = store, lease, clock
        self._due: dict[Source, float] = {}
        self._said_standby = False

    @property
    def acts(self) -> bool:
        """Whether nobody else can be acting: from another thread, too."""
        return self._lease.fresh

    def step(self) -> list[Change]:
        """What is due, if the lease is held or can be. Raises `StoreUnavailable`."""
        try:
            if not self._lease.acquire():
                if not self._said_standby:
                    log.warning("Another one looks after alerts; this one stands by.")
                self._said_standby = True
                return []
            self._said_standby = False
            return self._round(everything=False)
        except LeaseLostError:
            log.warning("Another one looks after alerts from now on; this one stands by.")
            self._due.clear()
            return []

    def look(self) -> list[Change]:
        """Everything, now; the lease must be held. Raises `StoreUnavailable`, `LeaseLostError`."""
        return self._round(everything=True)

    def stop(self) -> None:
        """Let another one begin at once."""
        try:
            self._lease.release()
        except StoreUnavailable as error:
            log.warning("%s", error)

    def _round(self, everything: bool) -> list[Change]:
        changes: list[Change] = []
        self._beat()
        for source in SOURCES:
            began = time.monotonic()
            if everything or began >= self._due.get(source, 0.0):
                changes += self._look(source)
                self._due[source] = began + min(BY_NAME[kind].every for kind in source.kinds)
        for change in changes:
            who = change.device or "the fleet"
            log.info("%s: %s, %s (%s)", change.event, who, change.kind, change.severity)
        return changes

    def _look(self, source: Source) -> list[Change]:
        """Reading holds nobody up; what was found is settled in one short transaction."""
        now = int(self._clock())
        if "receipt" in source.kinds:
            trust.examine(self._store, now)
        found = source.look(self._store, now, self._beat)
        fleet = liveness.count(self._store)
        changes: list[Change] = []
        with self._store.transaction():
            self._lease.prove()
            for kind in source.kinds:
                changes += Book(self._store, BY_NAME[kind], now).settle(found[kind], fleet)
            outbox.tell(self._store, changes, now)
        return changes

    def _beat(self) -> None:
        with self._store.transaction():
            self._lease.prove()


def run(alerts: Alerts, stop: threading.Event) -> None:
    """Until `stop`; waits for a database that is away."""
    delay = 0.5
    try:
        while not stop.is_set():
            try:
                alerts.step()
                delay = 0.5
                stop.wait(_WAIT)
            except StoreUnavailable as error:
                log.error("%s Next attempt in %.0f s.", error, delay)
                stop.wait(delay)
                delay = min(2 * delay, _BACKOFF)
    finally:
        alerts.stop()
