"""Which topics the broker is asked for, on whatever connection there is."""

from __future__ import annotations

import time
from typing import get_args

from agent.base.report.device import Command
from agent.uplink.connection import Connection
from agent.uplink.topics import HOME_ASSISTANT, Topics

SUBSCRIBE_COOLDOWN = 600.0
"""Seconds without subscriptions after an oversize packet: before MQTT 5.0 a broker would send a
retained one again on every connection, before any message could be published."""
MISSED_DELAY = 5.0
"""Seconds after a flood until the retained job is asked for again, which it may have hidden."""


class Subscriptions:
    """Brings the subscriptions up to date, step by step."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.active: set[str] = set()
        """Filters asked for on this connection."""
        self._resume_at = 0.0
        self._missed_at: float | None = None
        """When a message was dropped that may have been the newest job; None: none was."""

    def connected(self) -> None:
        """There is a new connection, without any."""
        self.active.clear()

    def refrain(self) -> None:
        """Ask for nothing for `SUBSCRIBE_COOLDOWN`: a packet was oversize."""
        self._resume_at = time.monotonic() + SUBSCRIBE_COOLDOWN

    def job_missed(self) -> None:
        """A message was dropped that may have been the newest job."""
        if self._missed_at is None:
            self._missed_at = time.monotonic()

    def step(self, connection: Connection, *, discovery: bool) -> bool:
        """Ask for what is wanted and no longer for what is not; `discovery`: also for Home
        Assistant's birth. Returns whether the retained job was let go of, to be asked for again
        with the next step. Raises `PublishError`."""
        wanted: dict[str, bool] = {}
        again = False
        if time.monotonic() >= self._resume_at:
            wanted[self._topics.desired] = True
            names = ("+",) if connection.abilities.wildcards else get_args(Command)
            wanted |= {f"{self._topics.commands}{name}": False for name in names}
            wanted[self._topics.job_next] = True
            if self._topics.defaults:
                wanted[self._topics.defaults] = True
            if discovery:
                wanted[HOME_ASSISTANT] = False
            if self._missed_at is not None and time.monotonic() - self._missed_at > MISSED_DELAY:
                self._missed_at = None
                again = True
                del wanted[self._topics.job_next]
        for topic in self.active - wanted.keys():
            connection.unsubscribe(topic)
        connection.subscribe(
            (topic, retained) for topic, retained in wanted.items() if topic not in self.active
        )
        self.active = set(wanted)
        return again
