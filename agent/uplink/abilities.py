"""What a broker offers less of than MQTT permits, and which messages therefore stay here.

A broker says it in its CONNACK (MQTT 5.0, 3.2.2.3), or by the reason for which it refuses; MQTT
3.1.1 says nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.properties import Properties

RECORDED = ("summary", "event", "receipt")
"""Kinds that wait in the outbox until the broker has answered, which it does from QoS 1 on."""
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
    _said: set[str] = field(default_factory=set)

    def refused(
        self,
        *,
        retain: bool = True,
        qos: int = 2,
        packet: int | None = None,
        wildcards: bool = True,
    ) -> None:
        """Go without from the next connection on, for an hour."""
        self.retain, self.wildcards = self.retain and retain, self.wildcards and wildcards
        self.qos = min(self.qos, qos)
        self.packet = min(filter(None, (self.packet, packet)), default=None)
        self._until = time.monotonic() + _FORGET

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

    def first(self, what: str) -> bool:
        """Whether this is to be said for the first time."""
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
