"""Reading over MQTT 5: a shared subscription, a session that is kept, manual acknowledgement.

OASIS MQTT 5.0: 3.1.2.11.2 session expiry, 3.1.2.11.3 receive maximum, 3.2.2.3.13 shared
subscriptions, 4.8.2 their delivery: what was sent to one collector and is not acknowledged waits
for that one, hence its name and its long session.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tools.common.errors import ToolError
from tools.common.mqtt_loop import end_loop
from tools.fleet.broker import reach
from tools.fleet.collector.intake import KINDS, Incoming
from tools.fleet.collector.source import Inbox
from tools.fleet.settings import BrokerSettings

log = logging.getLogger(__name__)

SESSION = 7 * 86_400
"""Seconds that the broker keeps the session of a collector that is away: as long as a summary."""
_KEEPALIVE = 60
"""Seconds. While there is no room for messages nothing is read: the broker then ends the connection
after half as much again, and resumes the session when the database is back."""
_RETRY = (1, 60)
"""Seconds between attempts to connect: first, most."""
_ANSWER = 30.0
"""Seconds that the broker has to answer an UNSUBSCRIBE."""
_TAKEN_OVER = 0x8E
_SHORT = 10.0
"""Seconds: `_CONTESTED` connections in a row that the broker ended sooner without a word were taken
over by somebody else of this name. Mosquitto 2.0 does not say so."""
_CONTESTED = 5
_FINAL = {0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9F}
"""Reason codes of a refused connection that trying again will not change: protocol version, client
id, password, authorization, banned, authentication method; rate is in the hands of an operator."""


class MqttSource:
    """A collector's connection. Its thread is paho's."""

    def __init__(
        self, settings: BrokerSettings, name: str, credentials: Path, receive_maximum: int = 1000
    ) -> None:
        """`name`: client id, which is the certificate's common name; `credentials`: folder of
        operator.pem, operator.key and ca.pem; `receive_maximum`: messages that the broker may send
        before the first of them is acknowledged. Raises `ToolError`."""
        self.inbox = Inbox(receive_maximum)
        self._settings, self._name = settings, name
        self._where = f"{settings.host}:{settings.port}"
        self._connection = 0
        """Counts connections: message numbers hold for one."""
        self._begun = 0.0
        self._short = 0
        """Connections in a row that ended soon."""
        self._taking = True
        self._unsubscribed = threading.Event()
        self._filters = [f"$share/{settings.group}/fleeting/1/d/+/{kind}" for kind in KINDS]
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5, manual_ack=True
        )
        if settings.tls:
            self._client.tls_set_context(reach.context(credentials))
        else:
            reach.check_plain(settings.host, "broker.host")
        self._client.reconnect_delay_set(*_RETRY)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_unsubscribe = lambda *_: self._unsubscribed.set()
        self._client.on_message = self._on_message
        self._properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        self._properties.SessionExpiryInterval = SESSION
        self._properties.ReceiveMaximum = receive_maximum

    def start(self) -> None:
        self._client.connect_async(
            self._settings.host, self._settings.port, keepalive=_KEEPALIVE,
            clean_start=False, properties=self._properties,
        )  # fmt: skip
        self._client.loop_start()

    def acknowledge(self, batch: list[Incoming]) -> None:
        for each in batch:
            if each.token is not None and each.token[0] == self._connection:
                self._client.ack(each.token[1], 1)

    def stop_taking(self) -> None:
        self._taking = False
        self._unsubscribed.clear()
        self._client.unsubscribe(self._filters)
        if not self._unsubscribed.wait(_ANSWER):
            raise ToolError(
                f"The broker {self._where} does not answer: nothing is retired. Try again."
            )

    def close(self, retire: bool = False) -> None:
        self.inbox.close()
        properties = None
        if retire:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0
        self._client.disconnect(properties=properties)
        end_loop(self._client)

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            if code.value in _FINAL:
                self._give_up(
                    f"The broker {self._where} refuses {self._name}: {code}. Make it a certificate "
                    "(fleeting-fleet operator), or look into the broker's log."
                )
            log.warning("The broker %s refuses %s: %s.", self._where, self._name, code)
            return
        if getattr(properties, "SharedSubscriptionAvailable", 1) == 0:
            self._give_up(
                f"The broker {self._where} has no shared subscriptions (CONNACK says so): two "
                "collectors would store everything twice, and none would wait for another. For "
                'RabbitMQ set broker.kind = "amqp" and broker.amqp in fleet.toml; otherwise take a '
                "broker that has them, such as Mosquitto."
            )
            return
        if getattr(properties, "MaximumQoS", 1) == 0:
            self._give_up(f"The broker {self._where} takes QoS 0 only: messages would be lost.")
            return
        kept = getattr(properties, "SessionExpiryInterval", SESSION)
        if kept < SESSION:
            log.warning(
                "The broker %s keeps sessions for %d s only: what a collector that is away longer "
                "has not acknowledged is lost. Raise that.",
                self._where, kept,
            )  # fmt: skip
        self._connection += 1
        self._begun = time.monotonic()
        log.info("Connected to %s as %s; session %s.", self._where, self._name,
                 "kept" if flags.session_present else "new")  # fmt: skip
        if self._taking:
            client.subscribe([(each, SubscribeOptions(qos=1)) for each in self._filters])
        else:
            self.inbox.connected = True

    def _on_connect_fail(self, client: Any, data: Any) -> None:
        log.warning("The broker %s cannot be reached; it is tried again.", self._where)

    def _on_disconnect(
        self, client: Any, data: Any, flags: Any, code: Any, properties: Any
    ) -> None:
        was_connected, self.inbox.connected = self.inbox.connected, False
        if was_connected:
            self._short = self._short + 1 if time.monotonic() - self._begun < _SHORT else 0
        # What waits comes again, with numbers of another connection.
        self._connection += 1
        self.inbox.clear()
        told = flags.is_disconnect_packet_from_server
        if (told and code.value == _TAKEN_OVER) or self._short >= _CONTESTED:
            self._give_up(
                f"Another collector has connected as {self._name}: this one ends. Give each its "
                "own certificate and --name."
            )
        elif code.is_failure:
            log.warning("The connection to %s is lost: %s.", self._where, code)

    def _on_subscribe(self, client: Any, data: Any, mid: int, codes: Any, properties: Any) -> None:
        self.inbox.connected = True
        for code in codes:
            if code.is_failure:
                self._give_up(
                    f"The broker {self._where} does not let {self._name} read: {code}. Its access "
                    "list must let readers read summary, event, receipt and health."
                )

    def _on_message(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic: str | None = message.topic
        except UnicodeDecodeError:
            topic = None
        token = (self._connection, message.mid) if message.qos else None
        self.inbox.put(Incoming(topic, bytes(message.payload), int(time.time()), token))

    def _give_up(self, text: str) -> None:
        self.inbox.fail(ToolError(text))
        self._client.disconnect()
