"""The uplink process: outbox to MQTT. All times are monotonic: wall clock steps have no effect."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from agent.base.clock import WallClock
from agent.base.config import AgentConfig
from agent.base.errors import AgentError, PublishError, StoreError
from agent.base.repeats import Seldom
from agent.base.report import Response, UplinkCage, to_json
from agent.base.schemas.registry import joint_hash
from agent.host import heartbeat, sd_notify
from agent.host.sandbox.enter import enter_uplink
from agent.host.settle import settle, tidy
from agent.privacy.policy.rules import resolve
from agent.uplink import sender
from agent.uplink.broken import OversizeError
from agent.uplink.client import load_credentials
from agent.uplink.connection import Connection
from agent.uplink.device_id import Takeovers, refuse_default
from agent.uplink.health import HealthReporter
from agent.uplink.inbound import EventCounter, Inbound, Reply
from agent.uplink.jobs import Jobs
from agent.uplink.negotiator import VersionNegotiator
from agent.uplink.receipt.book import UNIT_FOLDERS, ReceiptBook
from agent.uplink.receipt.key import key_path
from agent.uplink.resolver.lookup import Lookup
from agent.uplink.sender import OutboxSender
from agent.uplink.settings import RemoteControl
from agent.uplink.state import Identity, StatePublisher, has_room
from agent.uplink.subscriptions import Subscriptions
from agent.uplink.topics import MESSAGE_KINDS, Topics, message_kind
from agent.uplink.warden.state import state_path
from agent.uplink.warden.warden import Warden
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.5
"""Seconds that one step waits for the broker."""
DRAIN_TIMEOUT = 5.0
"""Seconds to send the remaining messages at shutdown."""
HOUSEKEEPING_INTERVAL = 60.0
_MIN_BACKOFF = 0.5
_STORE_RETRY_DELAY = 5.0
_STABLE_AFTER = 10.0
"""Seconds of a connection after which the backoff is reset."""
_RATE_LIMIT_PAUSE = 0.02
_MAX_WAIT = 10.0
"""Seconds of one sleep during backoff, between watchdog keep-alives."""
_MAX_REPLIES = 20


class Uplink:
    """Maintains a connection, publishes, and handles inbound messages; `step` and `stop` never
    raise an `AgentError`."""

    def __init__(
        self,
        config: AgentConfig,
        outbox: Outbox,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Reads certificates and keys, starts the resolver. `wait`: sleeps for at most the given
        seconds and returns true when interrupted. Raises `ConfigError`, `StoreError`."""
        self._config = config
        self._outbox = outbox
        refuse_default(config)
        self._takeovers = Takeovers(config.device.id)
        self._credentials = load_credentials(config.mqtt)
        self._receipts = ReceiptBook(config, outbox)
        policy = resolve(config, live=False)
        schemas = joint_hash(policy.listens)
        self.identity = Identity(self._receipts.public_key, schemas, self._receipts.last)
        self._wait = wait
        self._topics = Topics(config)
        self._events = EventCounter()
        self._control = RemoteControl(config, self._events)
        self.warden = Warden(config, self._receipts.public_key, self._events)
        self._permitted: AgentConfig | None = None
        """The configuration whose policy the warden has learnt last."""
        slots = self.warden.quotas.slots
        self._jobs = Jobs(config.update, self.warden, outbox)
        self._inbound = Inbound(
            self._topics, self._control, self._events, self._jobs.receive,
            has_room=partial(has_room, outbox, slots),
        )  # fmt: skip
        self._health = HealthReporter(outbox, config.store.outbox.parent)
        self._state = StatePublisher(
            self._topics, self.identity, outbox, self._control, self._health, self.warden,
            config.mqtt.health_interval, hears=policy.hears, reads=policy.reads,
            updates=config.update.on,
        )  # fmt: skip
        grid = sender.GRID if policy.noised else sender.POLL_INTERVAL
        self._sender = OutboxSender(self._topics, outbox, self.warden, self._events, grid)
        self._clock = WallClock()
        self._negotiator = VersionNegotiator(config.mqtt.protocol)
        self._connection: Connection | None = None
        self._connected_at = 0.0
        self._failures = 0
        self._replies: deque[Reply] = deque(maxlen=_MAX_REPLIES)
        self._subscriptions = Subscriptions(self._topics)
        self._unmetered = (0, 0)
        """Number and bytes of delivered messages that were never in the outbox, not yet metered."""
        self._store_retry = 0.0
        self._store_fault = Seldom()
        self._credentials_replaced = False
        self._next_housekeeping = 0.0
        self._lookup = Lookup(config.mqtt.host)

    @property
    def sensors(self) -> list[Path]:
        """Files of the board's temperature and power."""
        return self._health.board.files()

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def lost(self) -> bool:
        """Whether a connection can only be opened by a new process: nobody looks up names any more,
        or there is a new certificate, which this process may not read."""
        return self._lookup.lost or self._credentials_replaced

    def step(self, timeout: float) -> None:
        """One iteration of at most about `timeout` seconds; after a failure to connect, also the
        backoff delay. A failure is logged in one line."""
        try:
            self._with_store(self._do_housekeeping)
            connection = self._connection or self._open()
            self._subscribe(connection)
            self._handle_inbox(connection)
            self._with_store(lambda: self._publish_pending(connection))
            connection.loop(timeout)
        except PublishError as error:
            self._disconnect(error)
            self._back_off(error)

    def stop(self) -> None:
        """Send the remaining messages within `DRAIN_TIMEOUT`, then disconnect."""
        deadline = time.monotonic() + DRAIN_TIMEOUT
        while self._connection is not None and time.monotonic() < deadline:
            self._sender.poll_now()
            self.step(0.1)
            if self._connection is not None and self._connection.idle and self._sender.drained:
                break
        if self._connection is not None:
            self._connection.close(graceful=True)
        self._disconnect()
        self._lookup.close()
        try:
            self._sender.remove()
            self._meter()
        except StoreError as error:
            log.error("%s Some summaries will be sent twice.", error)

    def _open(self) -> Connection:
        if not self.warden.may_connect():
            raise PublishError("The day's connections are used up.")
        connection = self._negotiator.open(
            self._config, self._credentials, self._lookup.addresses()
        )
        self._connection = connection
        self._with_store(self.warden.connected)
        self._connected_at = time.monotonic()
        self._subscriptions.connected()
        self._replies.clear()  # requests have timed out
        self._sender.connected()
        self._state.connected()
        self._jobs.connected()
        self._publish(connection, "state", b"online")
        where = f"{self._config.mqtt.host}:{self._config.mqtt.port}"
        log.info("Connected to %s, MQTT %s", where, "5.0" if connection.version5 else "3.1.1")
        sd_notify.status(f"connected to {where}")
        heartbeat.connected(True)
        return connection

    def _publish(self, connection: Connection, kind: str, body: bytes) -> None:
        connection.publish(message_kind(kind, body), self._topics.of(kind), body)

    def _publish_job(self, connection: Connection, job: str, body: bytes) -> None:
        connection.publish(message_kind("job", body), self._topics.of("job", job), body)

    def _with_store(self, work: Callable[[], None]) -> None:
        """Run `work`, which uses the outbox, unless it failed recently. The connection is kept, and
        acknowledged rows are removed later. Raises `PublishError`."""
        if time.monotonic() < self._store_retry:
            return
        try:
            work()
            self._store_fault.over()
        except StoreError as error:
            self._retry_store(str(error))
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            # The other process can write anything into the file.
            self._retry_store(
                f"The outbox holds what nobody should write ({type(error).__name__})."
            )

    def _retry_store(self, what: str) -> None:
        self._store_retry = time.monotonic() + _STORE_RETRY_DELAY
        # A restart by the watchdog would not help.
        sd_notify.watchdog()
        if self._store_fault():
            log.error("%s Next try in %.0f s.", what, _STORE_RETRY_DELAY)

    def _do_housekeeping(self) -> None:
        """Periodic work independent of the connection. Raises `StoreError`."""
        now = time.monotonic()
        self._control.tick(now)
        if self._permitted is not self._control.config:
            self._permitted = self._control.config
            self.warden.permit(resolve(self._permitted, live=False))
        self._judge()
        self._events.flush(self._outbox, now)
        if now >= self._next_housekeeping:
            if self._credentials.replaced and not self._credentials_replaced:
                self._credentials_replaced = True
                log.info("The certificate was replaced: this process ends, to be started with it.")
            self._meter()
            self._receipts.tick(self._clock.utc(), now)
            if self._next_housekeeping:  # not as it starts
                tidy()
            self._next_housekeeping = now + HOUSEKEEPING_INTERVAL

    def _judge(self) -> None:
        """Let the warden judge new rows, with or without a broker. Raises `StoreError`."""
        self._sender.check_file()
        self._sender.judge()
        if self._sender.remove():
            sd_notify.watchdog()

    def _subscribe(self, connection: Connection) -> None:
        """Raises `PublishError`."""
        discovery = self._control.config.mqtt.discovery
        if self._subscriptions.step(connection, discovery=discovery):
            self._jobs.missed()

    def _handle_inbox(self, connection: Connection) -> None:
        messages, missed = connection.drain_inbox()
        if missed:
            self._events("inbound_refused", missed)
        rate_limited = job_missed = False
        for message in messages:
            handled = self._inbound(message)
            rate_limited = rate_limited or handled.rate_limited
            if message.topic == self._topics.job_next:
                job_missed = handled.rate_limited
            if handled.reply is not None:
                self._replies.append(handled.reply)
            if handled.republish is not None:
                self._state.request(handled.republish)
        if job_missed or missed:
            self._subscriptions.job_missed()
        if rate_limited:
            self._wait(_RATE_LIMIT_PAUSE)  # backpressure to the broker

    def _publish_pending(self, connection: Connection) -> None:
        """Raises `PublishError`, `StoreError`."""
        acknowledged = self._collect(connection)
        if acknowledged or time.monotonic() - self._connected_at > _STABLE_AFTER:
            self._failures = 0
        self._sender.remove()
        self._state.step(partial(self._publish, connection), connection.send_quota)
        while self._replies and connection.send_quota:
            self._respond(connection, self._replies.popleft())
        self._jobs.step(
            partial(self._publish_job, connection),
            connection.send_quota,
            subscribed=connection.granted.get(self._topics.job_next),
            idle=connection.idle,
        )
        self._sender.send_pending(connection)
        if acknowledged or (self._sender.drained and connection.idle):
            sd_notify.watchdog()

    def _respond(self, connection: Connection, reply: Reply) -> None:
        if not self.warden.may_answer():
            return
        response = Response(
            command=reply.command,  # type: ignore[arg-type]
            answer=reply.answer,
            boot=self._state.boot,
        )
        connection.publish(
            MESSAGE_KINDS["res"],
            self._topics.of("res", reply.command),
            to_json(response),
            correlation=reply.correlation,
        )

    def _collect(self, connection: Connection) -> bool:
        """Collect acknowledgements; returns whether any was for a row of the outbox."""
        messages, size = connection.drain_untagged()
        self._unmetered = self._unmetered[0] + messages, self._unmetered[1] + size
        return self._sender.collect(connection)

    def _meter(self) -> None:
        messages, size = self._unmetered
        if messages:
            self._outbox.ledger.meter(messages, size)
            self._unmetered = 0, 0

    def _disconnect(self, error: PublishError | None = None) -> None:
        if isinstance(error, OversizeError):
            self._subscriptions.refrain()
            self._events("inbound_refused")
        if self._connection is not None:
            self._connection.close(graceful=False)
            self._collect(self._connection)
            self._connection = None
        heartbeat.connected(False)

    def _back_off(self, error: AgentError) -> None:
        """Exponential backoff with jitter; longer where another client has this id."""
        longest = self._config.mqtt.backoff_max
        delay = min(longest, _MIN_BACKOFF * 2 ** min(self._failures, 16))
        if self._connected_at:
            now = time.monotonic()
            delay = max(delay, self._takeovers.note(error, now, now - self._connected_at))
        self._connected_at = 0.0
        delay *= random.uniform(0.5, 1.0)
        self._failures += 1
        log.warning("%s Next try in %.1f s; summaries wait in the outbox.", error, delay)
        sd_notify.status("the broker is away; summaries wait in the outbox")
        while delay > 0:
            sd_notify.watchdog()
            self._with_store(self._judge)
            if self._wait(min(delay, _MAX_WAIT)):
                break
            delay -= _MAX_WAIT


def run_uplink(config: AgentConfig, stop: threading.Event) -> int:
    """Enter the sandbox, then publish until `stop` is set. Returns the exit code: 0, or 1 where the
    resolver is gone or the certificate was replaced, so that it is started again.

    Outside the main thread no sandbox is entered. Raises `ConfigError` or `StoreError` at startup
    only.
    """
    logging.basicConfig(level=logging.INFO, format="uplink: %(message)s")
    resolve(config, live=False)
    sd_notify.connect()
    heartbeat.open_file("uplink")
    with Outbox(config.store) as outbox:
        uplink = Uplink(config, outbox, stop.wait)
        if threading.current_thread() is threading.main_thread():
            found = uplink.identity.sandbox = _enter_sandbox(config, uplink.sensors)
            heartbeat.sandboxed(found.found_open)
            if found.found_open:
                log.warning("Not closed to this process: %s.", ", ".join(found.found_open))
                outbox.events.record("cage_open")
        else:
            log.warning("Not the main thread of a process: it enters no sandbox.")
        settle()
        sd_notify.ready(f"sending to {config.mqtt.host}:{config.mqtt.port}")
        while not (stop.is_set() or uplink.lost):
            uplink.step(POLL_INTERVAL)
        sd_notify.stopping()
        uplink.stop()
        return int(uplink.lost)


def _enter_sandbox(config: AgentConfig, sensors: Iterable[Path]) -> UplinkCage:
    """Files that are open or read by now (outbox, certificates, password) need no grant."""
    policy = [each for each in (config.privacy.profile, config.privacy.profile_key) if each]
    return enter_uplink(
        readable=(*sensors, *UNIT_FOLDERS, *policy),
        writable=(
            config.store.outbox.parent,
            key_path(config.store).parent,
            state_path(config.store).parent,
            *([config.update.exchange] if config.update.on else []),
        ),
        broker_port=config.mqtt.port,
    )
