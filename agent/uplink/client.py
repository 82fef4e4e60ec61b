"""One connection to an MQTT broker, driven by its owner: no thread that could die unseen.

MQTT 5.0 and 3.1.1 (OASIS standards), through paho-mqtt 2. A connection that ends is thrown away
with everything that it still held: what was not acknowledged is sent again from the outbox.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.config import AgentConfig, MqttConfig
from agent.errors import ConfigError, PublishError

CONNECT_TIMEOUT = 10.0
"""Seconds for TCP, TLS and the broker's welcome, each."""
ACK_TIMEOUT = 20.0
"""Seconds after which an unacknowledged message counts as a hung broker."""
EXPIRY = 7 * 86_400
"""Seconds that a broker keeps a summary for absent readers (MQTT 5)."""
_REFUSED = 128
"""Reason codes from here on are failures (MQTT 5.0, section 2.4)."""


@dataclass(frozen=True, slots=True)
class Access:
    """What it takes to get in: read once, so that a wrong file is found at the start."""

    password: str | None
    tls: ssl.SSLContext | None


def open_access(params: MqttConfig) -> Access:
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
    return Access(password, _tls(params) if params.tls else None)


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


class Connection:
    """A connection from its first packet to its last; use it once.

    `acknowledged` collects the tags of messages whose PUBACK came.
    """

    def __init__(self, config: AgentConfig, access: Access) -> None:
        """Connect and wait for the broker's welcome. Raises `PublishError`."""
        self._params = config.mqtt
        self._version5 = config.mqtt.protocol == "5"
        self._topic = f"fleeting/1/d/{config.device.id}"
        self.acknowledged: list[int] = []
        self._waiting: dict[int, tuple[int | None, float]] = {}
        """Packet id -> (tag, time of sending)."""
        self._welcome: ReasonCode | None = None
        self._farewell: ReasonCode | None = None
        self._refusal: ReasonCode | None = None
        self.room = config.mqtt.in_flight
        """Messages that may be in flight at once; the broker may ask for fewer."""
        self._client = self._make_client(config.device.id, access)
        try:
            self._connect()
        except PublishError:
            self.close(farewell=False)
            raise

    @property
    def free(self) -> int:
        """How many messages may be sent now."""
        return max(0, self.room - len(self._waiting))

    @property
    def idle(self) -> bool:
        """Everything sent was acknowledged."""
        return not self._waiting

    def publish(
        self, kind: str, body: bytes, *, tag: int | None = None, retain: bool = False
    ) -> None:
        """Send one message to the device's topic `kind`, QoS 1; its `tag` turns up in
        `acknowledged`. Raises `PublishError`."""
        info = self._client.publish(
            f"{self._topic}/{kind}",
            body,
            qos=1,
            retain=retain,
            properties=self._properties(kind, retain) if self._version5 else None,
        )
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise self._gone(info.rc)
        self._waiting[info.mid] = (tag, time.monotonic())

    def loop(self, timeout: float) -> None:
        """Exchange packets for at most `timeout` seconds. Raises `PublishError` once the connection
        is of no more use."""
        try:
            code = self._client.loop(timeout)
        except (OSError, ValueError) as error:
            raise PublishError(f"{self._where} went away: {error}.") from None
        if self._refusal is not None:
            raise PublishError(
                f"{self._where} does not take our messages: {self._refusal}. "
                f"Check that it lets this device write to {self._topic}/#."
            )
        if code != mqtt.MQTT_ERR_SUCCESS or self._farewell is not None:
            raise self._gone(code)
        oldest = min((sent for _, sent in self._waiting.values()), default=None)
        if oldest is not None and time.monotonic() - oldest > ACK_TIMEOUT:
            raise PublishError(
                f"{self._where} has not acknowledged a message for {ACK_TIMEOUT:.0f} s. "
                "It may be overloaded."
            )

    def close(self, farewell: bool) -> None:
        """End the connection. With `farewell`, the broker is told so and drops the will; without,
        it publishes the will."""
        with contextlib.suppress(OSError, ValueError, PublishError):
            if farewell:
                self.publish("state", b"offline", retain=True)
                deadline = time.monotonic() + 2.0
                while not self.idle and time.monotonic() < deadline:
                    self.loop(0.1)
                self._client.disconnect()
                self._client.loop(0.1)
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    @property
    def _where(self) -> str:
        return f"The broker at {self._params.host}:{self._params.port}"

    def _make_client(self, device: str, access: Access) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=device,
            clean_session=None if self._version5 else True,
            protocol=mqtt.MQTTv5 if self._version5 else mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.will_set(f"{self._topic}/state", b"offline", qos=1, retain=True)
        if self._params.username:
            client.username_pw_set(self._params.username, access.password)
        if access.tls is not None:
            client.tls_set_context(access.tls)
        return client

    def _connect(self) -> None:
        try:
            self._client.connect(self._params.host, self._params.port, self._params.keepalive)
            deadline = time.monotonic() + CONNECT_TIMEOUT
            while self._welcome is None:
                code = self._client.loop(0.2)
                if self._welcome is None and code != mqtt.MQTT_ERR_SUCCESS:
                    raise self._gone(code)
                if time.monotonic() > deadline:
                    raise PublishError(f"{self._where} takes connections but does not answer.")
        except (OSError, ValueError) as error:
            raise PublishError(f"{self._where} cannot be reached: {error}.") from None
        if self._welcome.is_failure:
            raise PublishError(f"{self._where} refuses us: {self._welcome}.{self._advice()}")

    def _advice(self) -> str:
        name = str(self._welcome)
        if "version" in name.lower():
            return ' Set mqtt.protocol = "3.1.1".'
        if "user name" in name.lower() or "authori" in name.lower():
            return " Check mqtt.username, mqtt.password_file and the certificate."
        return ""

    def _gone(self, code: int) -> PublishError:
        reason = str(self._farewell or mqtt.error_string(MQTTErrorCode(code))).rstrip(".")
        if reason == "Unspecified error":  # paho's word for a connection that just ended
            reason = "the connection was cut"
        return PublishError(f"{self._where} went away: {reason}.")

    def _properties(self, kind: str, retain: bool) -> Properties:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if kind != "state":
            properties.ContentType = "application/json"
            properties.UserProperty = ("schema", f"urn:fleeting:{kind}:1")
        if not retain:
            properties.MessageExpiryInterval = EXPIRY
        return properties

    def _on_connect(
        self, client: mqtt.Client, data: Any, flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        self._welcome = code
        self.room = min(self.room, getattr(properties, "ReceiveMaximum", None) or self.room)

    def _on_disconnect(
        self, client: mqtt.Client, data: Any, flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        self._farewell = code

    def _on_publish(
        self, client: mqtt.Client, data: Any, mid: int, code: ReasonCode, properties: Any
    ) -> None:
        tag, _ = self._waiting.pop(mid, (None, 0.0))
        if code.value >= _REFUSED:
            self._refusal = code
        elif tag is not None:
            self.acknowledged.append(tag)
