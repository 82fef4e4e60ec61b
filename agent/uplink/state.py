"""What a device says of itself on every connection, and again whenever it has changed: birth
certificate, settings in force, Home Assistant's description; and its health, now and then."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.base.report import Birth, Meta, UplinkCage, to_json
from agent.uplink.control import Control
from agent.uplink.discovery import announcement
from agent.uplink.health import HealthReporter, fresh_vitals, said
from agent.uplink.inbound import Inbound
from agent.uplink.topics import Topics
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)

POLL = 1.0
"""Seconds between looks whether something has changed."""
META_PAUSE = 60.0
"""Seconds between two birth certificates on one connection; a change in between waits."""
AGAIN = 10.0
"""Seconds between two rounds for Home Assistant."""
CAUGHT_UP = 60.0
"""Seconds beyond its window that the seeing half has to take over new settings, which it does where
a window begins; then they are reported anyway."""
CAUGHT_UP_ABSENT = 5.0
"""Seconds where it does not run: the settings are what will be in force."""
HEALTH_FIRST = 5.0
_JITTER = 0.1

_NO_CAGE = UplinkCage(devices="open", egress="open", writes="open", layers=())

Publish = Callable[[str, bytes], None]
"""Kind of message (`topics.CHANNELS`) and body; raises `PublishError`."""


@dataclass(slots=True)
class Identity:
    """What of the birth certificate only this half knows."""

    key: str | None
    schemas: str
    cage: UplinkCage = _NO_CAGE
    """Open until the process was sealed."""


class StatePublisher:
    """Says what is due while there is room. Time is monotonic seconds."""

    def __init__(
        self,
        topics: Topics,
        identity: Identity,
        outbox: Outbox,
        control: Control,
        inbound: Inbound,
        heart: HealthReporter,
        health_interval: float,
    ) -> None:
        self._topics = topics
        self._identity = identity
        self._outbox = outbox
        self._control = control
        self._inbound = inbound
        self._heart = heart
        self._interval = health_interval
        self._device = topics.base.rpartition("/")[2]
        self._said: dict[str, bytes] = {}
        """By kind, over this connection."""
        self._next_look = 0.0
        self._next_meta = 0.0
        self._next_round = 0.0
        self._next_health = 0.0

    def connected(self) -> None:
        """A new connection: all is said again, health only where its time has come."""
        now = time.monotonic()
        self._said.clear()
        self._next_look = self._next_meta = 0.0
        self._next_health = max(self._next_health, now + HEALTH_FIRST * random.uniform(0.5, 1.0))

    def step(self, publish: Publish, room: int) -> None:
        """Say at most `room` of what is due. Raises `PublishError`, `StoreError`."""
        now = time.monotonic()
        self._hear_wishes(now)
        if now < self._next_look:
            return
        self._next_look = now + POLL
        for kind, body in self._due(now)[:room]:
            if kind == "discovery" and body:
                self._control.announced(True)  # first remembered, then said: never forgotten
            publish(kind, body)
            self._said[kind] = body
            if kind == "meta":
                self._next_meta = now + META_PAUSE
            elif kind == "discovery" and not body:
                self._control.announced(False)
        if now >= self._next_health and room:
            publish("health", to_json(self._heart()))
            self._next_health = now + self._interval * random.uniform(1.0, 1.0 + _JITTER)

    def _hear_wishes(self, now: float) -> None:
        commands = self._inbound.commands
        if commands.report_wanted:
            commands.report_wanted = False
            self._said.clear()
            self._next_look = self._next_meta = self._next_health = 0.0
        if self._inbound.birth_wanted and now >= self._next_round:
            self._inbound.birth_wanted = False
            self._next_round = now + AGAIN
            self._said.clear()
            self._next_look = self._next_meta = 0.0

    def _due(self, now: float) -> list[tuple[str, bytes]]:
        """What was not said yet over this connection as it is now. Raises `StoreError`."""
        found: list[tuple[str, bytes]] = []
        birth = said(self._outbox, Birth)
        if birth is not None and now >= self._next_meta:
            found.append(("meta", to_json(self._meta(birth[0]))))
        if self._settled(birth, now):
            found.append(("shadow/reported", to_json(self._control.reported)))
        if self._control.config.mqtt.discovery:
            found.append(("discovery", announcement(self._device, self._topics)))
        elif self._control.settings.announced:
            found.append(("discovery", b""))  # an empty retained message takes it away
        return [(kind, body) for kind, body in found if self._said.get(kind) != body]

    def _meta(self, birth: Birth) -> Meta:
        own = self._identity
        return Meta(birth=birth, uplink=own.cage, key=own.key, schemas=own.schemas)

    def _settled(self, birth: tuple[Birth, float] | None, now: float) -> bool:
        """Whether the seeing half has taken over the settings, or will not do so soon."""
        changed = self._control.changed_at
        if changed is None:
            return True
        since = now - changed
        if birth is None or fresh_vitals(self._outbox) is None:
            return since >= CAUGHT_UP_ABSENT
        seeing, age = birth
        caught_up = seeing.settings == self._control.settings.version and age < since
        return caught_up or since >= seeing.window + CAUGHT_UP
