"""What a broker offers less of than MQTT permits, and which messages therefore stay here.

A broker says it in its CONNACK (MQTT 5.0, 3.2.2.3), or by the reason for which it refuses; MQTT
3.1.1 says nothing.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.properties import Properties

from agent.uplink import reason_codes

log = logging.getLogger(__name__)

RECORDED = ("summary", "event", "receipt")
"""Kinds that wait in the outbox until the broker has answered, which it does from QoS 1 on."""
WANTED = 4096
"""Bytes of a packet that every message fits into."""
_BRIEF, _CUTS = 10.0, 6
"""Seconds of a connection, and how many so brief with the same packet are no accident."""
_FORGET = 3600.0
"""Seconds after which what a broker refused is tried again."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """Of one connection."""

    retain: bool = True
    qos: int = 2
    """Highest quality of service of a message."""
    packet: int | None = None
    """Longest packet that the broker takes, bytes; None: it names no limit."""
    wildcards: bool = True

    @classmethod
    def of(cls, properties: Any) -> Abilities:
        """`properties`: those of the CONNACK, None for MQTT 3.1.1."""
        return cls(
            bool(getattr(properties, "RetainAvailable", 1)),
            int(getattr(properties, "MaximumQoS", 2)),
            getattr(properties, "MaximumPacketSize", None),
            bool(getattr(properties, "WildcardSubscriptionAvailable", 1)),
        )

    def fits(self, size: int) -> bool:
        """Whether the broker takes a packet of `size` bytes."""
        return self.packet is None or size <= self.packet


@dataclass(slots=True)
class Learnt:
    """What a broker refused without having said it before, and what the log has said of it; for all
    connections of a process."""

    retain: bool = True
    qos: int = 2
    packet: int | None = None
    wildcards: bool = True
    _until: float = float("inf")
    _cuts: int = 0
    """Brief connections in a row that were cut when the same packet had no answer."""
    _cut_at: int = 0
    _said: set[str] = field(default_factory=set)

    def refuse(self, code: int, longest: int) -> None:
        """Go without what the broker refused with this reason code, for an hour. `longest`: bytes
        of the longest packet that it may have found too long; 0: none was sent."""
        if code == reason_codes.NO_RETAIN:
            self.retain = False
        elif code == reason_codes.NO_QOS:
            self.qos = 0
        elif code == reason_codes.NO_WILDCARDS:
            self.wildcards = False
        elif code == reason_codes.TOO_LARGE and longest:
            self.packet = longest - 1
        else:
            return
        self._until = time.monotonic() + _FORGET

    def cut(self, longest: int, opened: float) -> None:
        """The connection of this instant, monotonic seconds, was cut without a word when a packet
        of `longest` bytes had no answer, as brokers do over MQTT 3.1.1 that find it too long. Where
        that comes again and again it is gone without, for an hour."""
        brief = time.monotonic() - opened < _BRIEF
        self._cuts = self._cuts + 1 if brief and longest == self._cut_at else int(brief)
        self._cut_at = longest
        if self._cuts >= _CUTS:
            self._cuts = 0
            self.refuse(reason_codes.TOO_LARGE, longest)

    def taken(self, size: int) -> None:
        """A packet of `size` bytes was answered: cuts with one no longer were accidents."""
        if size >= self._cut_at:
            self._cuts = 0

    def expire(self) -> None:
        """Forget what was refused long ago."""
        if time.monotonic() >= self._until:
            self.renew()

    def renew(self) -> None:
        """Forget what was refused."""
        self.retain, self.qos, self.packet, self.wildcards = True, 2, None, True
        self._until = float("inf")

    def within(self, said: Abilities) -> Abilities:
        """What a broker offers by its own words and by what it refused."""
        return Abilities(
            said.retain and self.retain,
            min(said.qos, self.qos),
            min(filter(None, (said.packet, self.packet)), default=None),
            said.wildcards and self.wildcards,
        )

    def say_no_retain(self, broker: str) -> None:
        """In the log, as the following: once in a process."""
        if self._is_new("retain"):
            log.warning(
                "%s keeps no retained messages: who comes later does not see this device's state, "
                "birth certificate and settings until it connects again. Let the broker retain.",
                broker,
            )

    def say_no_answer(self, broker: str) -> None:
        if self._is_new("qos"):
            log.error(
                "%s acknowledges nothing (its maximum QoS is 0): summaries, events and receipts "
                "could be lost unseen and stay in the outbox. Let it take QoS 1.",
                broker,
            )

    def say_too_long(self, broker: str, kind: str, size: int) -> None:
        """`kind`: of message; `size`: bytes of its packet."""
        if self._is_new(f"long {kind}"):
            log.error(
                "%s takes no packet as long as this message, %s, %d bytes: it is not sent, others "
                f"are. Let the broker take packets of {WANTED} bytes (Mosquitto: max_packet_size, "
                "message_size_limit).",
                broker, kind, size,
            )  # fmt: skip

    def _is_new(self, what: str) -> bool:
        new = what not in self._said
        self._said.add(what)
        return new


def packet_bytes(topic: str, body: int, qos: int, properties: Properties | None) -> int:
    """Length of a PUBLISH packet with its fixed header (MQTT 5.0, 3.3), for a body of `body`
    bytes."""
    rest = 2 + len(topic.encode()) + (2 if qos else 0) + body
    if properties is not None:
        rest += len(properties.pack())  # type: ignore[no-untyped-call]
    digits = 1
    while rest >= 128**digits:
        digits += 1
    return 1 + digits + rest
