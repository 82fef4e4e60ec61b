"""The process that talks: outbox to MQTT. It knows reports and nothing about what was seen."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from pydantic import ValidationError

from agent.config import AgentConfig
from agent.errors import AgentError, PublishError, StoreError
from agent.outbox import Outbox, Row
from agent.privacy.policy import resolve
from agent.report import Closed, Meta, Summary, to_json
from agent.uplink.client import Connection, open_access

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between looks at the outbox when it was empty."""
FAREWELL = 5.0
"""Seconds to send what is left when asked to stop."""
_FIRST_DELAY = 0.5
_STORE_DELAY = 5.0
_STEADY = 10.0
"""Seconds after which a connection counts as good and the backoff begins anew."""


class Uplink:
    """Keeps a connection and empties the outbox through it.

    At least once: a row is removed on PUBACK; on every new connection those that were in flight are
    sent again. (boot, seq) makes the second copy recognisable.
    """

    def __init__(
        self,
        config: AgentConfig,
        outbox: Outbox,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """`wait`: sleeps for at most the given seconds. Raises `ConfigError`."""
        self._config = config
        self._outbox = outbox
        self._wait = wait
        self._access = open_access(config.mqtt)
        self._connection: Connection | None = None
        self._since = 0.0
        self._failures = 0
        self._next_poll = 0.0
        self._last_id = 0
        """The newest row sent over this connection."""
        self._sent: list[int] = []
        """Rows that the broker has taken and the outbox still holds."""
        self._meta: bytes | None = None
        self._found = 0
        """Rows that the last look at the outbox found."""
        self._store_retry = 0.0

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def step(self, timeout: float = POLL) -> None:
        """Do what there is to do, for about `timeout` seconds. Never raises an `AgentError`: a
        failure is logged in one line and tried again later."""
        try:
            if self._connection is None:
                self._connection = self._open()
            self._exchange_with_outbox(self._connection)
            self._connection.loop(timeout)
        except PublishError as error:
            self._drop()
            self._back_off(error)

    def stop(self) -> None:
        """Send what is left, as far as a few seconds allow, and say goodbye."""
        deadline = time.monotonic() + FAREWELL
        while self._connection is not None and time.monotonic() < deadline:
            self._next_poll = 0.0
            self.step(0.1)
            if self._connection is not None and self._connection.idle and not self._found:
                break
        if self._connection is not None:
            self._connection.close(farewell=True)
        self._drop()
        try:
            self._remove_sent()
        except StoreError as error:
            log.error("%s Some summaries will be sent twice.", error)

    def _open(self) -> Connection:
        connection = Connection(self._config, self._access)
        self._since = time.monotonic()
        self._last_id, self._meta, self._next_poll = 0, None, 0.0
        connection.publish("state", b"online", retain=True)
        log.info("Connected to %s:%d", self._config.mqtt.host, self._config.mqtt.port)
        return connection

    def _exchange_with_outbox(self, connection: Connection) -> None:
        """Remove what was acknowledged, send what waits. While the file cannot be used the
        connection goes on and what the broker has taken is remembered."""
        if time.monotonic() < self._store_retry:
            return
        try:
            self._remove_acknowledged(connection)
            self._feed(connection)
        except StoreError as error:
            self._store_retry = time.monotonic() + _STORE_DELAY
            log.error("%s Next try in %.0f s.", error, _STORE_DELAY)

    def _feed(self, connection: Connection) -> None:
        """Send rows while there is room; look again after `POLL` when there was none."""
        if connection.free == 0 or time.monotonic() < self._next_poll:
            return
        self._publish_meta(connection)
        rows = self._outbox.peek(connection.free, self._last_id)
        for row in rows:
            if _is_report(row.body, Summary):
                connection.publish(row.kind, row.body, tag=row.id)
            else:
                self._refuse(row)
            self._last_id = row.id
        self._found = len(rows)
        if not rows:
            self._next_poll = time.monotonic() + POLL

    def _publish_meta(self, connection: Connection) -> None:
        body = self._outbox.meta()
        if body is not None and body != self._meta and _is_report(body, Meta):
            connection.publish("meta", body, retain=True)
        self._meta = body

    def _refuse(self, row: Row) -> None:
        """The wall's other side: what is not a report, byte for byte, is not sent."""
        log.error("Row %d of the outbox is no valid summary: removed, not sent.", row.id)
        self._sent.append(row.id)

    def _remove_acknowledged(self, connection: Connection) -> None:
        if connection.acknowledged or time.monotonic() - self._since > _STEADY:
            self._failures = 0
        self._sent += connection.acknowledged
        connection.acknowledged.clear()
        self._remove_sent()

    def _remove_sent(self) -> None:
        if self._sent:
            self._outbox.acknowledge(*self._sent)
            self._sent.clear()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close(farewell=False)
            self._sent += self._connection.acknowledged
            self._connection = None

    def _back_off(self, error: AgentError) -> None:
        """Exponential, with jitter so that a fleet does not return all at once."""
        longest = self._config.mqtt.backoff_max
        delay = min(longest, _FIRST_DELAY * 2 ** min(self._failures, 16))
        delay *= random.uniform(0.5, 1.0)
        self._failures += 1
        log.warning("%s Next try in %.1f s; summaries wait in the outbox.", error, delay)
        self._wait(delay)


def _is_report(body: bytes, kind: type[Closed]) -> bool:
    """Whether the bytes are exactly what `to_json` makes of a valid message."""
    try:
        return to_json(kind.model_validate_json(body)) == body
    except ValidationError:
        return False


def run_uplink(config: AgentConfig, stop: threading.Event) -> int:
    """Publish until `stop` is set. Returns the exit code. Raises `ConfigError` or `StoreError` at
    the start only."""
    logging.basicConfig(level=logging.INFO, format="uplink: %(message)s")
    resolve(config, live=False)
    with Outbox(config.store) as outbox:
        uplink = Uplink(config, outbox, stop.wait)
        while not stop.is_set():
            uplink.step()
        uplink.stop()
    return 0
