"""How a connection to a broker ends."""

from __future__ import annotations

from agent.base.errors import PublishError


class VersionError(PublishError):
    """The broker refuses this MQTT version (`certain`), or closed without a CONNACK."""

    def __init__(self, text: str, certain: bool) -> None:
        super().__init__(text)
        self.certain = certain


class OversizeError(PublishError):
    """The broker sent a packet longer than `MAX_PACKET_BYTES`."""


class CutError(PublishError):
    """The broker ended an accepted connection without saying why."""


class TakenOverError(CutError):
    """The broker said that another client with the same id has come."""
