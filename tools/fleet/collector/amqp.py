"""Reading over AMQP 0-9-1 where a broker has no shared subscriptions: RabbitMQ 4 or later.

Its MQTT plugin publishes to the exchange `amq.topic`, `/` written as `.`; a durable quorum queue
(rabbitmq.com/docs/quorum-queues) that is bound there keeps every message on most of the cluster's
nodes until a collector has acknowledged it. All collectors of a group read one queue.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.broker import reach
from tools.fleet.collector.intake import KINDS, Incoming
from tools.fleet.collector.source import Inbox
from tools.fleet.settings import BrokerSettings

log = logging.getLogger(__name__)

EXCHANGE = "amq.topic"
ARGUMENTS = {"x-queue-type": "quorum", "x-delivery-limit": -1}
"""Of the queue. RabbitMQ 4 by default drops what was delivered 20 times: a database that is away
for long would do that."""
_HEARTBEAT = 30
_RETRY = (1.0, 30.0)
"""Seconds between attempts to connect: first, most."""
_ANSWER = 30.0
_POLL = 0.5


class AmqpSource:
    """A collector's connection, in a thread of its own, which is the only one to touch it."""

    def __init__(
        self, settings: BrokerSettings, name: str, credentials: Path, prefetch: int = 1000
    ) -> None:
        """`settings.amqp`: one URL, or those of a cluster's nodes with commas between; without a
        password in it the certificate in `credentials` is the login. `prefetch`: messages that the
        broker may send before the first is acknowledged. Raises `ToolError`."""
        try:
            import pika
        except ImportError:
            raise ToolError(
                "broker.kind = \"amqp\" needs pika. Install it: pip install 'fleeting[fleet]'."
            ) from None
        self._pika: Any = pika
        self.inbox = Inbox(prefetch)
        self.queue = f"fleeting.{settings.group}"
        self._name, self._prefetch = name, prefetch
        self._nodes = [self._parameters(each, credentials) for each in settings.amqp.split(",")]
        self._connection: Any = None
        self._channel: Any = None
        self._number = 0
        """Counts connections: delivery tags hold for one."""
        self._opened = self._closing = False
        self._stopped_taking = threading.Event()
        self._taking = True
        self._thread = threading.Thread(target=self._run, name="amqp", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def acknowledge(self, batch: list[Incoming]) -> None:
        # All that came before the last one are stored as well: batches keep the order.
        tags = [each.token[1] for each in batch if each.token and each.token[0] == self._number]
        if tags:
            self._call(self._number, lambda: self._channel.basic_ack(max(tags), multiple=True))

    def stop_taking(self) -> None:
        """Others of the group go on: what is sent to this one is stored, the rest stays queued."""
        self._taking = False
        self._call(self._number, self._cancel)
        if not self._stopped_taking.wait(_ANSWER):
            raise ToolError("The broker does not answer: nothing is retired. Try again.")

    def close(self, retire: bool = False) -> None:
        """The queue stays, for others of the group."""
        self._closing = True
        self.inbox.close()
        if self._thread.ident is not None:
            self._thread.join(_ANSWER)

    def _parameters(self, url: str, credentials: Path) -> Any:
        try:
            made = self._pika.URLParameters(url.strip())
            host = str(made.host)
            if not url.strip().startswith(("amqp://", "amqps://")) or not host:
                raise ValueError("no amqp:// or amqps:// address")
        except Exception as error:
            raise ToolError(
                "broker.amqp cannot be used: "
                f"{type(error).__name__}. It must be amqps://USER@HOST/VHOST."
            ) from None
        if made.ssl_options is not None:
            made.ssl_options = self._pika.SSLOptions(reach.context(credentials), host)
            if ":" not in url.split("://", 1)[1].rpartition("@")[0]:
                made.credentials = self._pika.credentials.ExternalCredentials()
        else:
            reach.check_plain(host, "broker.amqp")
        made.heartbeat = _HEARTBEAT
        made.blocked_connection_timeout = 2 * _HEARTBEAT
        made.socket_timeout = 10.0
        made.stack_timeout = 15.0
        made.client_properties = {"connection_name": self._name}
        return made

    def _run(self) -> None:
        delay = _RETRY[0]
        while not self._closing and self.inbox.error is None:
            try:
                self._open()
                delay = _RETRY[0]
                while not self._closing:
                    self._connection.process_data_events(time_limit=_POLL)
            except Exception as error:
                if not self._passes(error):
                    break
                if not self._closing:
                    log.warning("The connection to the broker is lost or was refused: %r", error)
            finally:
                self._forget()
            self._sleep(delay)
            delay = min(2 * delay, _RETRY[1])

    def _open(self) -> None:
        self._connection = self._pika.BlockingConnection(self._nodes)
        self._channel = channel = self._connection.channel()
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.queue_declare(self.queue, durable=True, arguments=ARGUMENTS)
        for kind in KINDS:
            channel.queue_bind(self.queue, EXCHANGE, f"fleeting.1.d.*.{kind}")
        self._number += 1
        self._opened = self.inbox.connected = True
        if self._taking:
            channel.basic_consume(self.queue, self._on_message, consumer_tag=self._name)
        else:
            self._stopped_taking.set()

    def _on_message(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        topic = str(method.routing_key).replace(".", "/")
        incoming = Incoming(topic, body, int(time.time()), (self._number, method.delivery_tag))
        self.inbox.put(incoming)

    def _cancel(self) -> None:
        self._channel.basic_cancel(self._name)
        self._stopped_taking.set()

    def _call(self, number: int, what: Any) -> None:
        """Do something in the connection's thread, if it is still that connection."""

        def guarded() -> None:
            if number == self._number and self._channel is not None and self._channel.is_open:
                what()

        connection = self._connection
        if connection is None:
            return
        try:
            connection.add_callback_threadsafe(guarded)
        except self._pika.exceptions.AMQPError:  # closed meanwhile
            return

    def _forget(self) -> None:
        self.inbox.connected = False
        self._number += 1
        self.inbox.clear()
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            try:
                connection.close()
            except Exception as error:
                log.info("The connection did not close: %r", error)

    def _passes(self, error: Exception) -> bool:
        """Whether trying again may help; else the collector is told to end."""
        kinds = self._pika.exceptions
        text = ""
        refused = (kinds.ProbableAuthenticationError, kinds.ProbableAccessDeniedError)
        if isinstance(error, refused) and not self._opened:  # a broker that starts says so as well
            text = f"The broker refuses {self._name}. Give it a user that may read {self.queue}."
        elif isinstance(error, kinds.ChannelClosedByBroker) and error.reply_code == 403:
            text = (
                f"The broker does not let {self._name} declare or read the queue {self.queue}: "
                f"configure, write and read it, and read {EXCHANGE}, must be permitted."
            )
        elif isinstance(error, kinds.ChannelClosedByBroker) and "inequivalent" in error.reply_text:
            text = (
                f"The broker has a queue {self.queue} of another kind. Drain and delete it, or set "
                "another broker.group."
            )
        if text:
            self.inbox.fail(ToolError(text))
        return not text

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._closing and time.monotonic() < end:
            time.sleep(0.1)
