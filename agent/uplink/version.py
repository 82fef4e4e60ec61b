"""Which version of MQTT to speak: 5.0 as configured, 3.1.1 where the broker knows no better."""

from __future__ import annotations

import logging
import time

from agent.base.config import AgentConfig
from agent.base.errors import PublishError
from agent.uplink.access import Access
from agent.uplink.client import Connection, VersionError

log = logging.getLogger(__name__)

_REMEMBER = 3600.0
"""Seconds after which a broker that said that it knows only 3.1.1 is asked again."""
_CLOSINGS = 2
"""Connections in a row closed without a word after which the older version is tried: some brokers
say no more than that."""


class Protocol:
    """Opens connections and remembers what the broker speaks."""

    def __init__(self, configured: str) -> None:
        """`configured`: "5" or "3.1.1"; with the latter nothing else is tried."""
        self._configured = configured
        self._older_until = float("-inf")
        self._closings = 0

    def open(self, config: AgentConfig, access: Access) -> Connection:
        """Raises `PublishError`."""
        spoken = self._configured
        if spoken == "5" and (time.monotonic() < self._older_until or self._closings >= _CLOSINGS):
            spoken = "3.1.1"
        try:
            connection = Connection(config, access, spoken)
        except VersionError as error:
            raise self._learn(spoken, error) from None
        self._closings = 0
        return connection

    def _learn(self, spoken: str, error: VersionError) -> PublishError:
        if spoken != "5":
            self._closings, self._older_until = 0, float("-inf")
            return error
        if error.certain:
            self._older_until = time.monotonic() + _REMEMBER
        self._closings += 1
        if error.certain or self._closings >= _CLOSINGS:
            return PublishError(f"{error} MQTT 3.1.1 is tried next.")
        return error
