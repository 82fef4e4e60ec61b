"""Whether the configured broker accepts a connection, what it offers, which messages do not fit,
and what to do where something lacks. Speaks as the uplink does, in the uplink's sentences."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass, replace
from typing import Any

import paho.mqtt.client as mqtt
from cryptography.x509 import load_der_x509_certificate
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from agent.base.config import AgentConfig, MqttConfig
from agent.base.errors import ConfigError
from agent.base.schemas import registry
from agent.base.schemas.capacity import capacity
from agent.privacy.policy.rules import Policy, resolve
from agent.uplink import reason_codes
from agent.uplink.abilities import RECORDED, WANTED, Abilities, packet_bytes
from agent.uplink.client import BoundedClient, Credentials, load_credentials, publish_properties
from agent.uplink.credentials import odd_ends
from agent.uplink.resolver.lookup import Address
from agent.uplink.state import announcement
from agent.uplink.topics import HEARD_KINDS, MESSAGE_KINDS, MessageKind, Topics
from agent.uplink.traffic import MAX_CORRELATION_BYTES
from agent.uplink.unreachable import Trouble, unanswered, unreachable

BROKER_TIMEOUT = 5.0
"""Seconds."""
_STATE_TIMEOUT = 1.0
"""Seconds for a retained message to come."""
_DATES = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A broker that accepted the connection."""

    version: str
    """Of MQTT: "5" or "3.1.1"."""
    abilities: Abilities


def connect(settings: MqttConfig, client_id: str) -> Offer | Trouble:
    """Ask the broker for a connection, in MQTT 5.0 if configured and else, or where it does not
    support that, in 3.1.1.

    `client_id` differs from the agent's, which may be connected.
    """
    try:
        credentials = load_credentials(settings)
        addresses = _addresses(settings)
    except ConfigError as error:
        what, _, advice = str(error).rpartition(". ")
        return Trouble(what, advice)
    except (OSError, UnicodeError) as error:
        return unreachable(error, reached=False, tls=settings.tls)
    versions = ("5", "3.1.1") if settings.protocol == "5" else ("3.1.1",)
    found = first = _Attempt(settings, credentials, addresses, client_id, versions[0]).run()
    if isinstance(found, _Unspoken) and len(versions) > 1:
        found = _Attempt(settings, credentials, addresses, client_id, versions[1]).run()
    if isinstance(found, _Unspoken):
        return first.trouble if isinstance(first, _Unspoken) else found.trouble
    return found


def shortcomings(config: AgentConfig, offer: Offer) -> tuple[bool, list[Trouble]]:
    """Whether all that must reach the fleet can, and what the broker lacks."""
    able, found = offer.abilities, []
    whole = able.qos > 0
    if not whole:
        found.append(
            Trouble(
                "its maximum QoS is 0, so it acknowledges nothing: summaries, events and receipts "
                "stay in the outbox",
                "Let it take QoS 1 (Mosquitto: max_qos).",
            )
        )
    long = {
        name: size for name, size in longest_packets(config, offer).items() if not able.fits(size)
    }
    if long:
        whole = whole and not any(name in RECORDED for name in long)
        sizes = ", ".join(f"{name} (up to {size} bytes)" for name, size in long.items())
        found.append(
            Trouble(
                f"it takes packets of {able.packet} bytes at most, and these may be longer and are "
                f"not sent then: {sizes}",
                f"Let it take {WANTED} bytes (Mosquitto: max_packet_size).",
            )
        )
    if not able.retain:
        found.append(
            Trouble(
                "it retains nothing: who comes later does not see state, birth certificate and "
                "settings until this device connects again",
                "Let it retain (Mosquitto: retain_available), or let the back end be connected "
                "first.",
            )
        )
    return whole, found


def longest_packets(config: AgentConfig, offer: Offer) -> dict[str, int]:
    """Bytes of the longest packet of each kind of message that this device may send."""
    topics, policy = Topics(config), resolve(config, live=False)
    kinds = MESSAGE_KINDS | (HEARD_KINDS if policy.hears or policy.reads else {})
    if not config.mqtt.discovery:
        kinds = {name: kind for name, kind in kinds.items() if name != "discovery"}
    found = {}
    for name, kind in kinds.items():
        properties = None
        if offer.version == "5":
            correlation = bytes(MAX_CORRELATION_BYTES) if name == "res" else None
            properties = publish_properties(kind.urn, kind.expiry, correlation)
        topic = topics.of(name, {"res": "content", "job": "x" * 64}.get(name, ""))
        size = _longest_body(config, policy, topics, name, kind)
        found[name] = packet_bytes(topic, size, min(kind.qos, offer.abilities.qos), properties)
    return found


def is_online(settings: MqttConfig, topics: Topics) -> bool:
    """Whether the broker holds that a device with this id is connected; False also where it does
    not let this be read. To be asked once `connect` found no problem."""
    states: list[bytes] = []
    try:
        credentials, addresses = load_credentials(settings), _addresses(settings)
    except (ConfigError, OSError, UnicodeError):
        return False
    attempt = _Attempt(
        settings, credentials, addresses, f"{topics.device}-check", settings.protocol
    )
    attempt.client.on_message = lambda _client, _data, message: states.append(
        bytes(message.payload)
    )
    attempt.ask(topics.of("state"), lambda: bool(states))
    return states[:1] == [b"online"]


def _longest_body(
    config: AgentConfig, policy: Policy, topics: Topics, name: str, kind: MessageKind
) -> int:
    if name == "discovery":
        own = {"hears": policy.hears, "reads": policy.reads, "updates": config.update.on}
        return len(announcement(topics, **own))
    return capacity(registry.load(kind.schema)).bytes if kind.schema else len(b"offline")


def _addresses(settings: MqttConfig) -> tuple[Address, ...]:
    """Raises `OSError`, `UnicodeError`."""
    found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    known = (socket.AF_INET, socket.AF_INET6)
    return tuple(Address(each[0], str(each[4][0])) for each in found if each[0] in known)


@dataclass(frozen=True, slots=True)
class _Unspoken:
    """No MQTT of this version: another one is worth a try."""

    trouble: Trouble


class _Attempt:
    """One connection."""

    def __init__(
        self,
        settings: MqttConfig,
        credentials: Credentials,
        addresses: tuple[Address, ...],
        client_id: str,
        version: str,
    ) -> None:
        self._settings, self._credentials, self._version = settings, credentials, version
        self._code: ReasonCode | None = None
        self._properties: Any = None
        self.client = client = BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.addresses = addresses
        client.connect_timeout = BROKER_TIMEOUT
        client.on_connect = self._on_connect
        credentials.authenticate(client, settings.username)

    def run(self) -> Offer | Trouble | _Unspoken:
        """Connect, hear what the broker offers, and disconnect."""
        client, settings = self.client, self._settings
        try:
            client.connect(settings.host, settings.port, keepalive=settings.keepalive)
        except (OSError, ValueError) as error:
            found = self._unreachable(error)
            if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _DATES:
                found = replace(found, what=f"{found.what}{self._period()}")
            return found
        open_ = self._until(lambda: self._code is not None, BROKER_TIMEOUT)
        try:
            return self._judged(open_)
        finally:
            self._close()

    def ask(self, topic: str, true: Any) -> None:
        """Connect, subscribe, and wait for what is retained there."""
        with contextlib.suppress(OSError, ValueError):
            self.client.connect(
                self._settings.host, self._settings.port, keepalive=self._settings.keepalive
            )
            self._until(lambda: self._code is not None, BROKER_TIMEOUT)
            if self._code is not None and not self._code.is_failure:
                self.client.subscribe(topic, qos=0)
                self._until(true, _STATE_TIMEOUT)
            self._close()

    def _judged(self, open_: bool) -> Offer | Trouble | _Unspoken:
        client, own = self.client, self._credentials.period
        if self._code is None:
            found, another = unanswered(
                client.first, client.failure, closed=not open_, tls=self._settings.tls, own=own
            )
            return _Unspoken(found) if another else found
        if self._code.is_failure:
            found = reason_codes.trouble(self._code.value)
            found = replace(found, what=f"the broker says: {found.what}")
            elsewhere = getattr(self._properties, "ServerReference", "")
            if elsewhere:
                found = replace(found, what=f"{found.what}: {elsewhere[:200]!a}")
            if self._code.value == reason_codes.BAD_VERSION:
                return _Unspoken(found)
            odd = odd_ends(self._credentials.password)
            login = self._code.value in reason_codes.LOGIN
            return replace(found, advice=f"{found.advice} {odd}".rstrip()) if login else found
        return Offer(self._version, Abilities.of(self._properties))

    def _unreachable(self, error: Exception) -> Trouble:
        return unreachable(
            error,
            reached=self.client.reached,
            tls=self._settings.tls,
            own=self._credentials.period,
        )

    def _until(self, true: Any, seconds: float) -> bool:
        """Exchange packets until it is true, for so long; returns whether the connection holds."""
        deadline = time.monotonic() + seconds
        while not true() and time.monotonic() < deadline:
            try:
                if self.client.exchange(0.05) != mqtt.MQTT_ERR_SUCCESS:
                    return False
            except Exception:
                return False  # paho does not validate packets fully
        return True

    def _close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.client.disconnect()
            self.client.exchange(0.0)
        sock = self.client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    def _period(self) -> str:
        """From when to when the broker's certificate holds, asked without trusting it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        place = self._settings.host, self._settings.port
        try:
            with (
                socket.create_connection(place, BROKER_TIMEOUT) as plain,
                context.wrap_socket(plain, server_hostname=place[0]) as sock,
            ):
                shown = load_der_x509_certificate(sock.getpeercert(binary_form=True) or b"")
        except (OSError, ValueError):
            return ""
        begin, end = shown.not_valid_before_utc, shown.not_valid_after_utc
        holds = f"holds from {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
        if begin.timestamp() <= time.time() <= end.timestamp():
            return f" (its own {holds}: look at its authority's)"
        return f" (it {holds})"

    def _on_connect(
        self, client: Any, data: Any, flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        self._code, self._properties = code, properties
