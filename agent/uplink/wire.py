"""paho-mqtt's client, with an end to what a broker can make it hold in memory."""

from __future__ import annotations

import select
import socket
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

MOST_INBOUND = 16_384
"""Bytes of a packet from the broker. Ours have 4 KiB of payload, a topic and some properties."""
_MOST_HELD = 100
"""Messages of QoS 2 that a broker began to hand over; we ask for QoS 1 and less."""


class OversizeError(ConnectionError):
    """The broker sends a packet that is longer than we asked for."""


class Client(mqtt.Client):
    """As its base class; a packet longer than `MOST_INBOUND` ends the connection before a byte of
    its body is read. MQTT 5.0 brokers are told the limit; earlier ones cannot be. Opens one socket,
    to the broker, and binds none: Landlock refuses that to this process."""

    oversize = False
    """Whether that is why the connection ended."""

    def exchange(self, timeout: float) -> MQTTErrorCode:
        """Wait for at most `timeout` seconds, then read, write, and keep alive: paho's own `loop`
        without the loopback listener that it wakes itself with."""
        sock = self.socket()
        if sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        pending = getattr(sock, "pending", lambda: 0)()  # TLS: decrypted already
        writing = [sock] if self.want_write() else []
        readable, writable, _ = select.select([sock], writing, [], 0 if pending else timeout)
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        if readable or pending:
            code = self.loop_read()
        if writable and not code and self.socket() is not None:
            code = self.loop_write()
        return code or self.loop_misc()

    def _create_socket_connection(self) -> socket.socket:
        return socket.create_connection((self._host, self._port), timeout=self._connect_timeout)

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho asks for all that is missing of the packet it is at.
        if bufsize > MOST_INBOUND:
            self.oversize = True
            raise OversizeError(f"a packet of {bufsize} bytes")
        return super()._sock_recv(bufsize)

    @property
    def overfull(self) -> bool:
        """The broker begins message after message and ends none."""
        return len(self._in_messages) > _MOST_HELD


def connect_properties() -> Properties:
    """What we ask of an MQTT 5.0 broker: no large packet, no flood, no session."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = MOST_INBOUND
    properties.ReceiveMaximum = 20
    properties.SessionExpiryInterval = 0
    properties.RequestProblemInformation = 0
    return properties


def publish_properties(
    schema: str | None, expiry: int | None, correlation: bytes | None
) -> Properties:
    """`schema`: its URN, None for plain text; `expiry`: seconds, None: for ever."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if schema is not None:
        properties.ContentType = "application/json"
        properties.UserProperty = ("schema", schema)
    if expiry is not None:
        properties.MessageExpiryInterval = expiry
    if correlation is not None:
        properties.CorrelationData = correlation
    return properties


def correlation_of(properties: Any, most: int) -> bytes | None:
    """The correlation data of a request, None where there is none or too much."""
    data = getattr(properties, "CorrelationData", None)
    return bytes(data) if isinstance(data, bytes) and len(data) <= most else None
