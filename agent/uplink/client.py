"""paho-mqtt's client with limits on inbound data; credentials; MQTT 5.0 properties."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from cryptography.x509 import load_pem_x509_certificate
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.base.config import MqttConfig
from agent.base.errors import ConfigError, reason
from agent.uplink.credentials import check_tls_files, read_password, refuse_plaintext
from agent.uplink.reason_codes import TOO_LARGE
from agent.uplink.resolver.lookup import Address

MAX_PACKET_BYTES = 16_384
"""Of a packet from the broker: 4 KiB of payload, a topic and properties."""
_UNSPECIFIED = 0x80
_FIRST = 8
"""Bytes kept of what comes first."""
_MAX_QOS2_PENDING = 100
"""Incomplete inbound QoS 2 messages; this client subscribes with QoS 1."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials, read before the process enters its sandbox."""

    password: str | None
    tls: ssl.SSLContext | None
    certificate: tuple[Path, tuple[int, ...]] | None = None
    """The file that holds certificate and key, and which one it was when it was read."""
    period: tuple[float, float] | None = None
    """From when to when this device's certificate holds, UTC seconds; None: it has none."""

    @property
    def replaced(self) -> bool:
        """Whether another certificate lies there by now, as after a renewal. The sandbox lets this
        be seen, not be read."""
        if self.certificate is None:
            return False
        path, before = self.certificate
        now = _which(path)
        return bool(now) and now != before

    def authenticate(self, client: mqtt.Client, username: str) -> None:
        """Set the credentials of `client`; call before it connects."""
        if username:
            client.username_pw_set(username, self.password)
        if self.tls is not None:
            client.tls_set_context(self.tls)


def load_credentials(params: MqttConfig) -> Credentials:
    """Read password and certificates. Raises `ConfigError` naming the file, or where the password
    would cross the internet in the clear."""
    refuse_plaintext(params)
    password = read_password(params.password_file) if params.password_file else None
    # Two files cannot be replaced at one instant: whoever does that starts this process again.
    one = params.cert_file == params.key_file
    certificate = params.cert_file if params.tls and one else None
    before = None if certificate is None else (certificate, _which(certificate))
    tls = _tls(params) if params.tls else None
    period = _period(params.cert_file) if params.tls and params.cert_file else None
    return Credentials(password, tls, before, period)


def _which(path: Path) -> tuple[int, ...]:
    """What changes when a file is replaced; empty where it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _tls(params: MqttConfig) -> ssl.SSLContext:
    try:
        check_tls_files(params)
        context = ssl.create_default_context(cafile=params.ca_file)
        if params.cert_file and params.key_file:
            # An encrypted key is an error, not a question on the terminal.
            context.load_cert_chain(params.cert_file, params.key_file, password="")
    except (OSError, ssl.SSLError) as error:
        named = [str(each) for each in (params.ca_file, params.cert_file, params.key_file) if each]
        apart = getattr(error, "reason", "") == "KEY_VALUES_MISMATCH"
        must = "belong together: the key is another certificate's" if apart else "exist and be PEM"
        raise ConfigError(
            f"The TLS files {', '.join(named)} cannot be used: {reason(error)}. They must {must}."
        ) from None
    return context


def _period(path: Path) -> tuple[float, float] | None:
    """Of a certificate; None where the file does not say."""
    try:
        certificate = load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin.timestamp(), end.timestamp()


class BoundedClient(mqtt.Client):
    """Ends the connection on a packet longer than `MAX_PACKET_BYTES`, unread (only MQTT 5.0 brokers
    can be told the limit).

    Does itself what of paho the sandbox refuses: connects to addresses that were looked up
    elsewhere, without a proxy of the environment, binds nothing, has no socket to wake itself. TLS
    still asks for and verifies the name that paho was given.
    """

    addresses: tuple[Address, ...] = ()
    """Where the broker may be, in the order in which to try them."""
    oversize = False
    """Whether the connection ended because of such a packet."""
    reached = False
    """Whether a TCP connection came about."""
    failure: OSError | None = None
    """Why the connection could not be read any more."""
    too_large: set[int]
    """Packet identifiers of messages that the broker found too long."""
    first = b""
    """The first bytes that came: they tell what is no MQTT."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.too_large = set()

    def exchange(self, timeout: float) -> MQTTErrorCode:
        """paho's `loop` without its loopback wake-up socket: wait for at most `timeout` seconds,
        then read, write and send keep-alives."""
        sock = self.socket()
        if sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        pending = getattr(sock, "pending", lambda: 0)()  # TLS: decrypted but not yet read
        writing = [sock] if self.want_write() else []
        readable, writable, _ = select.select([sock], writing, [], 0 if pending else timeout)
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        if readable or pending:
            code = self.loop_read()
        if writable and not code and self.socket() is not None:
            code = self.loop_write()
        return code or self.loop_misc()

    def _create_socket_connection(self) -> socket.socket:
        several = len(self.addresses) > 1
        timeout = self._connect_timeout / 2 if several else self._connect_timeout
        last = time.monotonic() + 2 * self._connect_timeout
        refusal = OSError("it has no address")
        for address in self.addresses:
            if time.monotonic() > last:
                break
            try:
                sock = _connect(address, self._port, timeout)
            except OSError as error:
                refusal = error
            else:
                self.reached = True
                return sock
        raise refusal

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho requests the rest of the current packet.
        if bufsize > MAX_PACKET_BYTES:
            self.oversize = True
            raise ConnectionError(f"a packet of {bufsize} bytes")
        try:
            data = super()._sock_recv(bufsize)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.failure = error  # paho keeps it to itself
            raise
        self.first += data[: _FIRST - len(self.first)]
        return data

    def _sock_send(self, buf: Any) -> int:
        try:
            return super()._sock_send(buf)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.failure = error
            with contextlib.suppress(OSError):
                self._sock_recv(1)  # an alert of TLS says why
            raise

    def _handle_pubackcomp(self, cmd: Any) -> MQTTErrorCode:
        # Mosquitto says "packet too large" here, where MQTT 5.0 has no such code, and paho takes
        # that for a breach of the protocol.
        packet = self._in_packet["packet"]
        if self._protocol == mqtt.MQTTv5 and len(packet) > 2 and packet[2] == TOO_LARGE:
            self.too_large.add(int.from_bytes(packet[:2], "big"))
            self._in_packet["packet"] = bytearray((*packet[:2], _UNSPECIFIED))
        return super()._handle_pubackcomp(cmd)

    @property
    def overfull(self) -> bool:
        """Too many QoS 2 messages are incomplete."""
        return len(self._in_messages) > _MAX_QOS2_PENDING


def _connect(address: Address, port: int, timeout: float) -> socket.socket:
    """A TCP connection. Raises `OSError`."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address.at(port))
    except OSError:
        sock.close()
        raise
    return sock


def connect_properties() -> Properties:
    """CONNECT properties: limits on packet size and unacknowledged messages; no session."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    properties.ReceiveMaximum = 20
    properties.SessionExpiryInterval = 0
    properties.RequestProblemInformation = 0
    return properties


def publish_properties(
    schema: str | None, expiry: int | None, correlation: bytes | None
) -> Properties:
    """`schema`: URN, None for plain text; `expiry`: seconds, None: never."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if schema is not None:
        properties.ContentType = "application/json"
        properties.UserProperty = ("schema", schema)
    if expiry is not None:
        properties.MessageExpiryInterval = expiry
    if correlation is not None:
        properties.CorrelationData = correlation
    return properties


def correlation_of(properties: Any, max_bytes: int) -> bytes | None:
    """The correlation data of a request, None where absent or longer than `max_bytes`."""
    data = getattr(properties, "CorrelationData", None)
    return bytes(data) if isinstance(data, bytes) and len(data) <= max_bytes else None
