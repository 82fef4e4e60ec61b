"""How a broker is spoken to: MQTT 5.0 where configured, 3.1.1 where it does not support that, and
without what it refuses."""

from __future__ import annotations

import time

from agent.base.config import AgentConfig
from agent.base.errors import PublishError
from agent.uplink.abilities import Learnt
from agent.uplink.broken import VersionError
from agent.uplink.client import Credentials
from agent.uplink.connection import Connection
from agent.uplink.reason_codes import NO_RETAIN
from agent.uplink.resolver.lookup import Address

_RETRY_V5 = 3600.0
"""Seconds before a broker that supports only 3.1.1 is tried with 5.0 again."""
_MAX_SILENT_CLOSES = 2
"""Consecutive connections closed without a CONNACK before 3.1.1 is tried: some brokers reject 5.0
so."""


class VersionNegotiator:
    """Opens connections."""

    def __init__(self, configured: str) -> None:
        """`configured`: "5" or "3.1.1"; the latter is never changed."""
        self._configured = configured
        self._v311_until = float("-inf")
        self._silent_closes = 0
        self._silent_v311 = 0
        self._learnt = Learnt()

    def open(
        self, config: AgentConfig, credentials: Credentials, addresses: tuple[Address, ...]
    ) -> Connection:
        """Raises `PublishError`."""
        self._learnt.expire()
        version = self._configured
        if version == "5" and (
            time.monotonic() < self._v311_until or self._silent_closes >= _MAX_SILENT_CLOSES
        ):
            version = "3.1.1"
        try:
            connection = Connection(config, credentials, addresses, version, self._learnt)
        except VersionError as error:
            raise self._remember(version, error) from None
        self._silent_closes = self._silent_v311 = 0
        return connection

    def _remember(self, version: str, error: VersionError) -> PublishError:
        if version != "5":
            return self._silent(error)
        if error.certain:
            self._v311_until = time.monotonic() + _RETRY_V5
        self._silent_closes += 1
        if error.certain or self._silent_closes >= _MAX_SILENT_CLOSES:
            return PublishError(f"{error} MQTT 3.1.1 is tried next.")
        return error

    def _silent(self, error: VersionError) -> PublishError:
        """MQTT 3.1.1 was closed without a CONNACK, as brokers do that keep no retained messages and
        are shown a will that is to be retained: tried once without."""
        self._silent_v311 += 1
        if not error.certain and self._silent_v311 == _MAX_SILENT_CLOSES:
            self._learnt.refuse(NO_RETAIN, 0)
            return PublishError(f"{error} It is tried without retained messages next.")
        if error.certain or self._silent_v311 > _MAX_SILENT_CLOSES:
            self._learnt.renew()
            self._silent_v311 = self._silent_closes = 0
            self._v311_until = float("-inf")
        return error
