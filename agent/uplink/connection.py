"""One connection to an MQTT broker, without threads: the owner calls `loop`.

MQTT 5.0 and 3.1.1 (OASIS standards), through paho-mqtt 2. A connection is used once; what it left
unacknowledged is sent again from the outbox.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.base.config import AgentConfig
from agent.base.errors import PublishError, reason
from agent.uplink import reason_codes
from agent.uplink.abilities import Abilities, Learnt, packet_bytes
from agent.uplink.broken import CutError, OversizeError, TakenOverError, VersionError
from agent.uplink.client import (
    BoundedClient,
    Credentials,
    connect_properties,
    correlation_of,
    publish_properties,
)
from agent.uplink.credentials import odd_ends
from agent.uplink.resolver.lookup import Address
from agent.uplink.topics import MESSAGE_KINDS, MessageKind, Topics
from agent.uplink.traffic import MAX_CORRELATION_BYTES, InFlight, Message, Sent
from agent.uplink.unreachable import unanswered, unreachable

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
"""Seconds for TCP, TLS and the CONNACK, each."""
ACK_TIMEOUT = 20.0
"""Seconds after which an unacknowledged message ends the connection."""
_MAX_INBOX = 100
_REFUSED = 128
"""Reason codes from here on are failures (MQTT 5.0, section 2.4)."""


class Connection:
    """One connection, from CONNECT to DISCONNECT; not reusable."""

    def __init__(
        self,
        config: AgentConfig,
        credentials: Credentials,
        addresses: tuple[Address, ...],
        protocol: str,
        learnt: Learnt,
    ) -> None:
        """Connect to the first of `addresses` that answers and wait for the broker's CONNACK;
        `protocol`: "5" or "3.1.1"; `learnt`: what the broker refused before, kept up to date.

        Raises `PublishError`; `VersionError` where another protocol is worth a try.
        """
        self._params = config.mqtt
        self._password_note = odd_ends(credentials.password)
        self.version5 = protocol == "5"
        self._topics = Topics(config)
        self._in_flight = InFlight()
        self._inbox: list[Message] = []
        self._dropped = 0
        self._subscribing: dict[int, str] = {}
        """Filters by the packet that asks for them."""
        self.granted: dict[str, float] = {}
        """When the broker last granted a subscription, monotonic seconds, by filter."""
        self._connack: ReasonCode | None = None
        self._disconnected: ReasonCode | None = None
        self._told = False
        """Whether the broker said why it ended the connection."""
        self._refusal: ReasonCode | None = None
        self.receive_maximum = config.mqtt.in_flight
        """Unacknowledged messages permitted: the lower of `mqtt.in_flight` and the broker's."""
        self._period = credentials.period
        self._learnt = learnt
        self.abilities = learnt.within(Abilities())
        self._opened = time.monotonic()
        self._client = self._make_client(config.device.id, credentials)
        self._client.addresses = addresses
        try:
            self._connect()
        except PublishError:
            self.close(graceful=False)
            raise

    @property
    def send_quota(self) -> int:
        """How many messages may be sent now (MQTT 5.0, section 4.9)."""
        return max(0, self.receive_maximum - len(self._in_flight))

    @property
    def idle(self) -> bool:
        """Whether everything sent was acknowledged."""
        return not self._in_flight

    def drain_acknowledged(self) -> list[tuple[int, int]]:
        """Tags of the messages whose PUBACK came since the last call, with its reason code."""
        return self._in_flight.drain_acknowledged()

    def drain_untagged(self) -> tuple[int, int]:
        """Number and bytes of the delivered messages without a tag since the last call."""
        return self._in_flight.drain_untagged()

    def drain_inbox(self) -> tuple[list[Message], int]:
        """Messages received since the last call, and how many more were dropped: inbox full."""
        drained = self._inbox, self._dropped
        self._inbox, self._dropped = [], 0
        return drained

    def publish(
        self,
        kind: MessageKind,
        topic: str,
        body: bytes,
        *,
        tag: int | None = None,
        correlation: bytes | None = None,
    ) -> bool:
        """Send one message; `tag`: see `drain_acknowledged`. Returns whether it was sent: not what
        is longer than the broker takes, nor what has a tag where the broker acknowledges nothing.
        The log says so once. Raises `PublishError`."""
        properties = None
        if self.version5:
            properties = publish_properties(kind.urn, kind.expiry, correlation)
        name, able = self._topics.kind(topic), self.abilities
        qos = min(kind.qos, able.qos)
        if tag is not None and qos == 0:
            self._learnt.say_no_answer(self._broker)
            return False
        size = packet_bytes(topic, len(body), qos, properties)
        if not able.fits(size):
            self._learnt.say_too_long(self._broker, name, size)
            return False
        info = self._client.publish(
            topic, body, qos=qos, retain=kind.retain and able.retain, properties=properties
        )
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise self._lost(info.rc)
        sent = Sent(tag, time.monotonic(), len(body), kind.required, name, size)
        self._in_flight.send(info.mid, sent, answered=qos > 0)
        return True

    def subscribe(self, topics: Iterable[tuple[str, bool]]) -> None:
        """`topics`: (filter, whether to receive retained messages). A refused subscription is only
        logged. Raises `PublishError`."""
        for topic, retained in topics:
            if self.version5:
                options = SubscribeOptions(
                    qos=1,
                    retainAsPublished=True,
                    retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
                    if retained
                    else SubscribeOptions.RETAIN_DO_NOT_SEND,
                )
                code, number = self._client.subscribe(topic, options=options)
            else:
                code, number = self._client.subscribe(topic, qos=1)
            if code != mqtt.MQTT_ERR_SUCCESS or number is None:
                raise self._lost(code)
            self._subscribing[number] = topic

    def unsubscribe(self, topic: str) -> None:
        """Raises `PublishError`."""
        self.granted.pop(topic, None)
        code, _ = self._client.unsubscribe(topic)
        if code != mqtt.MQTT_ERR_SUCCESS:
            raise self._lost(code)

    def loop(self, timeout: float) -> None:
        """Exchange packets for at most `timeout` seconds. Raises `PublishError` where the
        connection must be given up."""
        code = self._exchange(timeout)
        if self._refusal is not None:
            found = reason_codes.trouble(self._refusal.value)
            raise PublishError(
                f"{self._broker} does not take our messages: {found.what}. {found.advice} "
                f"It must let this device write to {self._topics.base}/#."
            )
        if code != mqtt.MQTT_ERR_SUCCESS or self._disconnected is not None:
            raise self._lost(code)
        if self._client.overfull:
            raise PublishError(f"{self._broker} begins messages and ends none of them.")
        oldest = self._in_flight.oldest
        if oldest is not None and time.monotonic() - oldest > ACK_TIMEOUT:
            raise PublishError(
                f"{self._broker} has not acknowledged a message for {ACK_TIMEOUT:.0f} s. "
                "It may be overloaded."
            )

    def close(self, *, graceful: bool) -> None:
        """End the connection; unless `graceful`, the broker publishes the will."""
        with contextlib.suppress(OSError, ValueError, PublishError):
            if graceful:
                self.publish(MESSAGE_KINDS["state"], self._topics.of("state"), b"offline")
                deadline = time.monotonic() + 2.0
                while not self.idle and time.monotonic() < deadline:
                    self.loop(0.1)
                self._client.disconnect()
                self._exchange(0.1)
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    @property
    def _broker(self) -> str:
        return f"The broker at {self._params.host}:{self._params.port}"

    def _make_client(self, device: str, credentials: Credentials) -> BoundedClient:
        client = BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id=device,
            clean_session=None if self.version5 else True,
            protocol=mqtt.MQTTv5 if self.version5 else mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        able = self.abilities
        client.will_set(
            self._topics.of("state"), b"offline", qos=min(1, able.qos), retain=able.retain
        )
        credentials.authenticate(client, self._params.username)
        return client

    def _connect(self) -> None:
        properties = connect_properties() if self.version5 else None
        try:
            self._client.connect(
                self._params.host, self._params.port, self._params.keepalive, properties=properties
            )
        except (OSError, ValueError) as error:
            found = unreachable(
                error, reached=self._client.reached, tls=self._params.tls, own=self._period
            )
            raise PublishError(
                f"{self._broker} cannot be reached: {found.what}. {found.advice}"
            ) from None
        deadline = time.monotonic() + CONNECT_TIMEOUT
        while self._connack is None:
            closed = self._exchange(0.2) != mqtt.MQTT_ERR_SUCCESS
            if self._connack is None and (closed or time.monotonic() > deadline):
                raise self._unanswered(closed)
        if self._connack.value == reason_codes.BAD_VERSION:
            version = "5.0" if self.version5 else "3.1.1"
            raise VersionError(f"{self._broker} does not speak MQTT {version}.", certain=True)
        if self._connack.is_failure:
            raise self._refused_by(self._connack.value)

    def _exchange(self, timeout: float) -> int:
        """paho's loop. Raises `PublishError` also for malformed packets."""
        try:
            return self._client.exchange(timeout)
        except OSError as error:
            raise CutError(f"{self._broker} went away: {reason(error)}.") from None
        except Exception as error:
            # paho does not validate packets fully: struct.error, IndexError, KeyError …
            raise PublishError(
                f"{self._broker} sent what is not MQTT ({type(error).__name__})."
            ) from None

    def _unanswered(self, closed: bool) -> PublishError:
        client = self._client
        found, another = unanswered(
            client.first, client.failure, closed=closed, tls=self._params.tls, own=self._period
        )
        error = PublishError(f"{self._broker} does not answer: {found.what}. {found.advice}")
        return VersionError(str(error), certain=False) if another else error

    def _refused_by(self, code: int) -> PublishError:
        self._learnt.refuse(code, self._in_flight.pending)
        found = reason_codes.trouble(code)
        if code in reason_codes.LOGIN and self._password_note:
            return PublishError(
                f"{self._broker} refuses us: {found.what}. {found.advice} "
                f"Also: {self._password_note}"
            )
        return PublishError(f"{self._broker} refuses us: {found.what}. {found.advice}")

    def _lost(self, code: int | None) -> PublishError:
        if self._client.oversize:
            return OversizeError(f"{self._broker} sent a packet that is far too long.")
        said = 0 if self._disconnected is None else self._disconnected.value
        if said == reason_codes.SILENT and not self._told:
            return PublishError(f"{self._broker} went away: it was silent for too long.")
        if said > _REFUSED and not self._told:
            return PublishError(f"{self._broker} sent what is not MQTT.")
        if said == reason_codes.TAKEN_OVER:
            return TakenOverError(f"{self._broker} has let in another client with this device.id.")
        if said <= _REFUSED:  # paho makes 0x80 of a connection closed without DISCONNECT
            if self._in_flight:  # no takeover: those come at any time
                pending = self._in_flight.pending
                self._learnt.cut(pending, self._opened)
                return PublishError(
                    f"{self._broker} cuts the connection when a message of {pending} bytes is sent."
                )
            return CutError(f"{self._broker} went away: the connection was cut.")
        self._learnt.refuse(said, self._in_flight.pending)
        found = reason_codes.trouble(said)
        return PublishError(f"{self._broker} ends the connection: {found.what}. {found.advice}")

    def _on_connect(
        self, client: mqtt.Client, data: Any, flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        self._connack = code
        if not code.is_failure:
            self.abilities = self._learnt.within(Abilities.of(properties))
            if not self.abilities.retain:
                self._learnt.say_no_retain(self._broker)
        own = self.receive_maximum
        self.receive_maximum = min(own, getattr(properties, "ReceiveMaximum", None) or own)

    def _on_disconnect(
        self, client: mqtt.Client, data: Any, flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        self._disconnected = code
        self._told = flags.is_disconnect_packet_from_server

    def _on_publish(
        self, client: mqtt.Client, data: Any, mid: int, code: ReasonCode, properties: Any
    ) -> None:
        sent = self._in_flight.answer(mid)
        if sent is None:
            return
        if code.value < _REFUSED:
            self._learnt.taken(sent.packet)
            self._in_flight.deliver(sent, code.value)
        elif mid in self._client.too_large:
            self._client.too_large.discard(mid)
            self._learnt.say_too_long(self._broker, sent.kind, sent.packet)
            self._in_flight.settle(sent, reason_codes.TOO_LARGE)
        elif sent.required:
            self._refusal = code
        else:
            what = reason_codes.trouble(code.value).what
            log.info("%s does not take an optional message: %s.", self._broker, what)

    def _on_subscribe(
        self, client: mqtt.Client, data: Any, mid: int, codes: list[ReasonCode], properties: Any
    ) -> None:
        topic = self._subscribing.pop(mid, None)
        if topic is not None and not any(code.is_failure for code in codes):
            self.granted[topic] = time.monotonic()
        for code in codes:
            if code.value == reason_codes.NO_WILDCARDS:
                self._learnt.refuse(code.value, self._in_flight.pending)
                self.abilities = self._learnt.within(self.abilities)
            elif code.is_failure:
                log.warning(
                    "%s does not let us read all that is meant for this device: %s.",
                    self._broker, reason_codes.trouble(code.value).what,
                )  # fmt: skip

    def _on_message(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        if len(self._inbox) >= _MAX_INBOX:
            self._dropped += 1
            return
        try:
            topic: str | None = message.topic
        except UnicodeDecodeError:
            topic = None
        correlation = correlation_of(message.properties, MAX_CORRELATION_BYTES)
        self._inbox.append(Message(topic, bytes(message.payload), message.retain, correlation))
