"""The controller's connection: MQTT 5, one session that outlives it, acknowledged by hand."""

from __future__ import annotations

import logging
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tools.common.mqtt_loop import end_loop
from tools.fleet.broker import certificates, reach
from tools.fleet.controller.wanted import Post
from tools.fleet.settings import BrokerSettings

log = logging.getLogger(__name__)

SESSION = 7 * 86_400
"""Seconds that the broker keeps messages for a controller that is away."""
UNACKNOWLEDGED = 1000
"""Messages that the broker sends ahead of their acknowledgement."""
_KEEPALIVE = 30
_BACKOFF = (1, 30)
"""Seconds between attempts to connect."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that is not acknowledged yet."""

    topic: str
    body: bytes
    mid: int
    qos: int
    connection: int
    """Counts connections: on another one the broker sends it again."""


class Link:
    """Reads and writes in a thread of its own; what it has read waits in `take`."""

    def __init__(self, client: mqtt.Client, host: str, port: int, topics: Sequence[str]) -> None:
        self._client, self._host, self._port, self._topics = client, host, port, topics
        self._received: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        self._acknowledged: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self._connection = 0
        self.connected = False
        self.new_session = False
        """The broker knew nothing of this controller when it last connected: what it should hold
        may be gone. Whoever has seen to that sets it back."""
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish

    def start(self) -> None:
        """Connect, and again whenever the connection ends."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION
        properties.ReceiveMaximum = UNACKNOWLEDGED
        self._client.reconnect_delay_set(*_BACKOFF)
        self._client.connect_async(
            self._host, self._port, _KEEPALIVE, clean_start=False, properties=properties
        )
        self._client.loop_start()

    def stop(self) -> None:
        """What has not been acknowledged comes again on the next connection."""
        self._client.disconnect()
        end_loop(self._client)
        self.connected = False

    def take(self, most: int, timeout: float) -> list[Incoming]:
        """Up to so many messages; waits for the first one. Seconds."""
        found: list[Incoming] = []
        try:
            found.append(self._received.get(timeout=timeout))
            while len(found) < most:
                found.append(self._received.get_nowait())
        except queue.Empty:
            pass
        return found

    def current(self, incoming: Incoming) -> bool:
        """Whether it can still be acknowledged; if not, it comes again."""
        return incoming.connection == self._connection

    def acknowledge(self, incoming: Incoming) -> None:
        if incoming.qos and self.current(incoming):
            self._client.ack(incoming.mid, incoming.qos)

    def publish(self, post: Post) -> int:
        """QoS 1, retained; its number, which `answers` names when the broker has answered."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if post.body:
            properties.ContentType = "application/json"
        return self._client.publish(
            post.topic, post.body, qos=1, retain=True, properties=properties
        ).mid

    def answers(self) -> list[tuple[int, int]]:
        """(number, MQTT reason code) of published messages that the broker has answered."""
        found = []
        while not self._acknowledged.empty():
            found.append(self._acknowledged.get())
        return found

    def _on_connect(self, client: mqtt.Client, _data: Any, flags: Any, code: Any, _: Any) -> None:
        if code.is_failure:
            log.error("The broker at %s:%d refuses: %s.", self._host, self._port, code)
            return
        self._connection += 1
        self.new_session = self.new_session or not flags.session_present
        # Retained messages only where the subscription is new; never our own words.
        options = SubscribeOptions(
            qos=1, noLocal=True, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        )
        client.subscribe([(topic, options) for topic in self._topics])
        self.connected = True
        log.info("Connected to the broker at %s:%d.", self._host, self._port)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: Any, _: Any) -> None:
        if self.connected:
            log.warning("The connection to the broker ended: %s.", code)
        self.connected = False

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._received.put(
            Incoming(topic, bytes(message.payload), message.mid, message.qos, self._connection)
        )

    def _on_publish(self, _client: Any, _data: Any, mid: int, code: Any, _: Any) -> None:
        self._acknowledged.put((mid, code.value))


def open_link(folder: Path, settings: BrokerSettings, topics: Sequence[str]) -> Link:
    """As operator `settings.operator` of a fleet's folder. Raises `ToolError`."""
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        # What Mosquitto makes of it anyway (use_username_as_clientid): a second one replaces it.
        settings.operator if settings.tls else f"{settings.operator}-controller",
        protocol=mqtt.MQTTv5,
        manual_ack=True,
    )
    if settings.tls:
        place = folder / "operators" / certificates.check_operator(settings.operator)
        client.tls_set_context(reach.context(place))
    else:
        reach.check_plain(settings.host, "broker.host")
    return Link(client, settings.host, settings.port, topics)
