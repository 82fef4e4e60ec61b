"""The loop of the half that talks: keeps a connection, empties the outbox, hears what comes in.

Every time here is monotonic: a wall clock that steps changes nothing.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable

from agent.base.clock import WallClock
from agent.base.config import AgentConfig
from agent.base.errors import AgentError, PublishError, StoreError
from agent.base.report import Response, to_json
from agent.base.schemas.registry import joint_hash
from agent.host import sd_notify
from agent.uplink.access import open_access
from agent.uplink.client import Connection, OversizedError
from agent.uplink.commands import Reply
from agent.uplink.control import Control
from agent.uplink.health import HealthReporter
from agent.uplink.inbound import Inbound
from agent.uplink.limits import Tally
from agent.uplink.receipt.book import ReceiptBook
from agent.uplink.sender import POLL, Queue
from agent.uplink.state import Identity, StatePublisher
from agent.uplink.topics import CHANNELS, HOME_ASSISTANT, Topics
from agent.uplink.version import Protocol
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)

FAREWELL = 5.0
"""Seconds to send what is left when asked to stop."""
DEAF = 600.0
"""Seconds without subscriptions after a broker sent a packet that is far too long: before MQTT 5.0
it would send the same one again at once, and nothing would ever get out."""
HOUSEKEEPING = 60.0
_FIRST_DELAY = 0.5
_STORE_DELAY = 5.0
_STEADY = 10.0
"""Seconds after which a connection counts as good and the backoff begins anew."""
_FLOOD_PAUSE = 0.02
_SLICE = 10.0
"""Longest single wait, seconds: the watchdog hears of a broker that is known to be away."""
_MOST_ANSWERS = 20


class Uplink:
    """Everything that talks, step by step; `step` and `stop` never raise an `AgentError`."""

    def __init__(
        self,
        config: AgentConfig,
        outbox: Outbox,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Opens certificates and keys. `wait`: sleeps for at most the given seconds; a true answer
        means that it was woken. Raises `ConfigError`, `StoreError`."""
        self._config = config
        self._outbox = outbox
        self._access = open_access(config.mqtt)
        self._book = ReceiptBook(config, outbox)
        self.identity = Identity(self._book.public_key, joint_hash())
        self._wait = wait
        self._topics = Topics(config)
        self._tally = Tally()
        self._control = Control(config, self._tally)
        self._inbound = Inbound(self._topics, self._control, self._tally)
        self._heart = HealthReporter(outbox, config.store.outbox.parent)
        self._announcer = StatePublisher(
            self._topics, self.identity, outbox, self._control, self._inbound, self._heart,
            config.mqtt.health_interval,
        )  # fmt: skip
        self._queue = Queue(self._topics, outbox, config.store.outbox, self._tally)
        self._clock = WallClock()
        self._protocol = Protocol(config.mqtt.protocol)
        self._connection: Connection | None = None
        self._since = 0.0
        self._failures = 0
        self._answers: deque[Reply] = deque(maxlen=_MOST_ANSWERS)
        self._subscribed: set[str] = set()
        self._deaf_until = 0.0
        self._metered = [0, 0]
        """Messages that never were in the outbox, and their bytes, not metered yet."""
        self._store_retry = 0.0
        self._next_housekeeping = 0.0

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def step(self, timeout: float = POLL) -> None:
        """Do what there is to do, for about `timeout` seconds. A failure is logged in one line and
        tried again later."""
        try:
            self._with_store(self._keep_house)
            connection = self._connection or self._open()
            self._subscribe(connection)
            self._hear(connection)
            self._with_store(lambda: self._speak(connection))
            connection.loop(timeout)
        except PublishError as error:
            self._drop(error)
            self._back_off(error)

    def stop(self) -> None:
        """Send what is left, as far as a few seconds allow, and say goodbye."""
        deadline = time.monotonic() + FAREWELL
        while self._connection is not None and time.monotonic() < deadline:
            self._queue.hurry()
            self.step(0.1)
            if self._connection is not None and self._connection.idle and self._queue.drained:
                break
        if self._connection is not None:
            self._connection.close(farewell=True)
        self._drop()
        try:
            self._queue.remove()
            self._meter()
        except StoreError as error:
            log.error("%s Some summaries will be sent twice.", error)

    def _open(self) -> Connection:
        connection = self._protocol.open(self._config, self._access)
        self._connection = connection
        self._since = time.monotonic()
        self._subscribed.clear()
        self._answers.clear()  # whoever asked has given up by now
        self._queue.connected()
        self._announcer.connected()
        connection.publish(CHANNELS["state"], self._topics.of("state"), b"online")
        where = f"{self._config.mqtt.host}:{self._config.mqtt.port}"
        log.info("Connected to %s, MQTT %s", where, "5.0" if connection.version5 else "3.1.1")
        sd_notify.status(f"connected to {where}")
        return connection

    def _with_store(self, work: Callable[[], None]) -> None:
        """Do what needs the outbox. While the file cannot be used the connection goes on, and what
        the broker has taken is remembered. Raises `PublishError`."""
        if time.monotonic() < self._store_retry:
            return
        try:
            work()
        except StoreError as error:
            self._store_retry = time.monotonic() + _STORE_DELAY
            # Known and tried again: a new process would know no better.
            sd_notify.alive()
            log.error("%s Next try in %.0f s.", error, _STORE_DELAY)

    def _keep_house(self) -> None:
        """What is due whether the broker is there or not. Raises `StoreError`."""
        now = time.monotonic()
        self._control.tick(now)
        self._tally.flush(self._outbox, now)
        if now >= self._next_housekeeping:
            self._meter()
            self._book.tick(self._clock.utc(), now)
            self._next_housekeeping = now + HOUSEKEEPING

    def _subscribe(self, connection: Connection) -> None:
        """To exactly what is meant for this device; to nothing for a while after a broker sent too
        much."""
        wanted: dict[str, bool] = {}
        if time.monotonic() >= self._deaf_until:
            wanted[self._topics.desired] = True
            wanted[f"{self._topics.commands}+"] = False
            if self._topics.defaults:
                wanted[self._topics.defaults] = True
            if self._control.config.mqtt.discovery:
                wanted[HOME_ASSISTANT] = False
        for topic in self._subscribed - wanted.keys():
            connection.unsubscribe(topic)
        connection.subscribe(
            (topic, retained) for topic, retained in wanted.items() if topic not in self._subscribed
        )
        self._subscribed = set(wanted)

    def _hear(self, connection: Connection) -> None:
        if connection.missed:
            self._tally("inbound_refused", connection.missed)
            connection.missed = 0
        while connection.inbox:
            reply = self._inbound(connection.inbox.popleft())
            if reply is not None:
                self._answers.append(reply)
        if self._inbound.flooded:
            self._inbound.flooded = False
            self._wait(_FLOOD_PAUSE)  # what comes faster waits at the broker

    def _speak(self, connection: Connection) -> None:
        """Raises `PublishError`, `StoreError`."""
        self._queue.check_file()
        taken = self._queue.collect(connection)
        if taken or time.monotonic() - self._since > _STEADY:
            self._failures = 0
        self._metered[0] += connection.taken
        self._metered[1] += connection.taken_bytes
        connection.taken = connection.taken_bytes = 0
        self._queue.remove()
        self._announcer.step(
            lambda kind, body: connection.publish(CHANNELS[kind], self._topics.of(kind), body),
            connection.free,
        )
        while self._answers and connection.free:
            self._answer(connection, self._answers.popleft())
        self._queue.feed(connection)
        if taken or (self._queue.drained and connection.idle):
            sd_notify.alive()

    def _answer(self, connection: Connection, reply: Reply) -> None:
        response = Response(
            command=reply.command,  # type: ignore[arg-type]
            answer=reply.answer,
            boot=self._heart.boot,
        )
        connection.publish(
            CHANNELS["res"],
            self._topics.of("res", reply.command),
            to_json(response),
            correlation=reply.correlation,
        )

    def _meter(self) -> None:
        messages, size = self._metered
        if messages:
            self._outbox.meter(messages, size)
            self._metered = [0, 0]

    def _drop(self, error: PublishError | None = None) -> None:
        if isinstance(error, OversizedError):
            self._deaf_until = time.monotonic() + DEAF
            self._tally("inbound_refused")
        if self._connection is not None:
            self._connection.close(farewell=False)
            self._queue.collect(self._connection)
            self._metered[0] += self._connection.taken
            self._metered[1] += self._connection.taken_bytes
            self._connection = None

    def _back_off(self, error: AgentError) -> None:
        """Exponential, with jitter so that a fleet does not return all at once."""
        longest = self._config.mqtt.backoff_max
        delay = min(longest, _FIRST_DELAY * 2 ** min(self._failures, 16))
        delay *= random.uniform(0.5, 1.0)
        self._failures += 1
        log.warning("%s Next try in %.1f s; summaries wait in the outbox.", error, delay)
        sd_notify.status("the broker is away; summaries wait in the outbox")
        while delay > 0:
            sd_notify.alive()
            if self._wait(min(delay, _SLICE)):
                break
            delay -= _SLICE
