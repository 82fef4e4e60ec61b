"""One id for each box: MQTT lets the newest client with an id put the older one off (MQTT 5.0,
3.1.4), so two boxes with the same id take the broker from each other without end."""

from __future__ import annotations

import hashlib
import logging
import socket
from collections import deque
from pathlib import Path

from agent.base.addresses import is_loopback
from agent.base.config import AgentConfig, DeviceConfig
from agent.base.errors import ConfigError

log = logging.getLogger(__name__)

DEFAULT = DeviceConfig().id
_MACHINE = Path("/etc/machine-id")
_WINDOW = 3600.0
"""Seconds in which takeovers belong together."""
_REPEATED = 2
_FIRST, _LONGEST = 5.0, 600.0
"""Seconds to stay away after the first takeover, and at most."""


def suggested(machine: Path = _MACHINE) -> str:
    """An id that no other box has: of the hash of machine-id(5), which is not to be told itself, as
    `tools/install.sh` makes it; of the host's name where there is none."""
    try:
        known = machine.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        known = ""
    told = f"fleeting {known or socket.gethostname()}"
    return f"box-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def refuse_default(config: AgentConfig) -> None:
    """Raises `ConfigError` where the default id would go to a broker that others may use too."""
    if config.device.id == DEFAULT and not is_loopback(config.mqtt.host):
        raise ConfigError(
            f'device.id is "{DEFAULT}", with which every box begins, and the broker at '
            f"{config.mqtt.host} is not this machine: two boxes with one id put each other off. "
            f'Give this one its own: id = "{suggested()}" under [device].'
        )


class Takeovers:
    """How often another client with this id took the connection, and how long to stay away."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._times: deque[float] = deque()
        self._said = False

    def note(self, now: float) -> float:
        """One more, at `now`, monotonic seconds. Returns the seconds to stay away, doubled each
        time; the second time the log says why, once."""
        self._times.append(now)
        while now - self._times[0] > _WINDOW:
            self._times.popleft()
        count = len(self._times)
        if count >= _REPEATED and not self._said:
            self._said = True
            log.error(
                "Another client has the same device.id, %s: they put each other off. Give each box "
                "an id of its own under [device] of its settings.",
                self._device,
            )
        return min(_FIRST * 2.0 ** min(count - 1, 16), _LONGEST)
