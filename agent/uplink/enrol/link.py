"""One MQTT 5.0 connection of an enrolment: says one thing, waits for one answer. No threads."""

from __future__ import annotations

import contextlib
import ssl
import time
from types import TracebackType
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.base.config import MqttConfig
from agent.base.errors import CERTIFICATE, reason
from agent.uplink.client import BoundedClient, connect_properties, load_credentials
from agent.uplink.enrol.errors import EnrolError
from agent.uplink.resolver.lookup import Address

_TIMEOUT = 20.0
"""Seconds for each of: connection, CONNACK, acknowledgement."""
_MAX_INBOX = 8
_CLOCK = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED: also what a wrong clock makes of a good one."""


class AwayError(EnrolError):
    """The broker is not there, or went away: try again."""


class DatesError(EnrolError):
    """By this machine's clock the broker's certificate is not in date."""


class Link:
    """A connection with a certificate; a context manager."""

    def __init__(self, settings: MqttConfig, device: str, addresses: tuple[Address, ...]) -> None:
        """Connect. Raises `AwayError`; `EnrolError` where the broker refuses the certificate,
        `DatesError`, `ConfigError`."""
        self._broker = f"The broker at {settings.host}:{settings.port}"
        self._inbox: list[bytes] = []
        self._codes: dict[int, ReasonCode] = {}
        self._welcome: ReasonCode | None = None
        self._ended: ReasonCode | None = None
        self._client = client = BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id=device,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        client.addresses = addresses
        client.connect_timeout = _TIMEOUT
        client.on_connect = lambda *args: setattr(self, "_welcome", args[3])
        client.on_disconnect = lambda *args: setattr(self, "_ended", args[3])
        client.on_publish = lambda *args: self._codes.__setitem__(args[2], args[3])
        client.on_subscribe = lambda *args: self._codes.__setitem__(args[2], args[3][0])
        client.on_message = self._on_message
        load_credentials(settings).authenticate(client, "")
        try:
            client.connect(settings.host, settings.port, 60, properties=connect_properties())
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error) from None
        except (OSError, ValueError) as error:
            raise AwayError(f"{self._broker} cannot be reached: {reason(error)}.") from None
        try:
            self._until(lambda: self._welcome is not None)
            if self._welcome is not None and self._welcome.is_failure:
                raise EnrolError(f"{self._broker} refuses this device: {self._welcome}.")
        except BaseException:
            self._drop()
            raise

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError, ValueError, EnrolError):
            self._client.disconnect()
            self._exchange(0.1)
        self._drop()

    def publish(self, topic: str, body: bytes) -> None:
        """Retained, and acknowledged on return. Raises `AwayError`; `EnrolError` where it is not
        permitted."""
        self._acknowledged(self._client.publish(topic, body, qos=1, retain=True).mid, topic)

    def subscribe(self, topic: str) -> None:
        """What is retained there comes at once. Raises as `publish`."""
        options = SubscribeOptions(qos=1, retainAsPublished=True)
        _, number = self._client.subscribe(topic, options=options)
        self._acknowledged(number, topic)

    def receive(self, timeout: float) -> bytes | None:
        """The next message, None after `timeout` seconds. Raises `AwayError`."""
        deadline = time.monotonic() + timeout
        while not self._inbox and time.monotonic() < deadline:
            self._exchange(min(0.5, max(0.0, deadline - time.monotonic())))
        return self._inbox.pop(0) if self._inbox else None

    def _acknowledged(self, number: int | None, topic: str) -> None:
        self._until(lambda: number in self._codes)
        code = self._codes.pop(number or 0)
        if code.is_failure:
            raise EnrolError(
                f"{self._broker} does not let this device use {topic} ({code}). Compare its access "
                "list with that of fleeting-fleet broker."
            )

    def _until(self, true: Any) -> None:
        deadline = time.monotonic() + _TIMEOUT
        while not true():
            if time.monotonic() > deadline:
                raise AwayError(f"{self._broker} does not answer.")
            self._exchange(0.5)

    def _exchange(self, timeout: float) -> None:
        try:
            code = self._client.exchange(timeout)
        except OSError as error:
            raise AwayError(f"{self._broker} went away: {reason(error)}.") from None
        except Exception as error:  # paho does not validate packets fully
            raise AwayError(
                f"{self._broker} sent what is not MQTT ({type(error).__name__})."
            ) from None
        failure = self._client.failure
        alert = reason(failure) if isinstance(failure, ssl.SSLError) else ""
        if self._welcome is None and "certificate" in alert:
            raise EnrolError(
                f"{self._broker} refuses this device's certificate ({alert}): it is over, revoked, "
                "or another fleet's."
            )
        if code != mqtt.MQTT_ERR_SUCCESS or self._ended is not None:
            why = "it closed the connection" if self._ended is None else str(self._ended)
            raise AwayError(f"{self._broker} went away: {alert or why}.")

    def _on_message(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        if len(self._inbox) < _MAX_INBOX:
            self._inbox.append(bytes(message.payload))

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> EnrolError:
        if error.verify_code in _CLOCK:
            return DatesError(
                f"{self._broker} shows a certificate that is {CERTIFICATE[error.verify_code]} by "
                "this machine's clock."
            )
        return EnrolError(
            f"{self._broker} is not the one of this fleet: {reason(error)}. Check the address, and "
            "that the bundle is of the same fleet."
        )

    def _drop(self) -> None:
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()
