"""paho-mqtt's client with an end to what a broker can make it hold, and what it takes to get in at
the broker: password and certificates, read once at the start."""

from __future__ import annotations

import select
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.base.config import MqttConfig
from agent.base.errors import ConfigError

MAX_PACKET_BYTES = 16_384
"""Bytes of a packet from the broker. Ours have 4 KiB of payload, a topic and some properties."""
_MAX_QOS2_PENDING = 100
"""Messages of QoS 2 that a broker began to hand over; we ask for QoS 1 and less."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials, read before the process enters its sandbox, so that a wrong file is found at the
    start."""

    password: str | None
    tls: ssl.SSLContext | None

    def authenticate(self, client: mqtt.Client, username: str) -> None:
        """Have `client` use these credentials; to be called before it connects."""
        if username:
            client.username_pw_set(username, self.password)
        if self.tls is not None:
            client.tls_set_context(self.tls)


def load_credentials(params: MqttConfig) -> Credentials:
    """Read password and certificates. Raises `ConfigError` naming the file."""
    password = None
    if params.password_file is not None:
        try:
            password = params.password_file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"mqtt.password_file {params.password_file} cannot be read: {error}. "
                "Check the path and its permissions."
            ) from None
    return Credentials(password, _tls(params) if params.tls else None)


def _tls(params: MqttConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=params.ca_file)
        if params.cert_file and params.key_file:
            context.load_cert_chain(params.cert_file, params.key_file)
    except (OSError, ssl.SSLError) as error:
        named = [str(each) for each in (params.ca_file, params.cert_file, params.key_file) if each]
        raise ConfigError(
            f"The TLS files {', '.join(named)} cannot be used: {error}. They must exist and be PEM."
        ) from None
    return context


class BoundedClient(mqtt.Client):
    """As its base class; a packet longer than `MAX_PACKET_BYTES` ends the connection before a byte of
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
        if bufsize > MAX_PACKET_BYTES:
            self.oversize = True
            raise ConnectionError(f"a packet of {bufsize} bytes")
        return super()._sock_recv(bufsize)

    @property
    def overfull(self) -> bool:
        """The broker begins message after message and ends none."""
        return len(self._in_messages) > _MAX_QOS2_PENDING


def connect_properties() -> Properties:
    """What we ask of an MQTT 5.0 broker: no large packet, no flood, no session."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = MAX_PACKET_BYTES
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
