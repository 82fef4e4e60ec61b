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
from agent.base.errors import AgentError, ConfigError
from agent.uplink.broken import CutError, TakenOverError

log = logging.getLogger(__name__)

DEFAULT = DeviceConfig().id
_MACHINE = Path("/etc/machine-id")
_WINDOW = 3600.0
"""Seconds in which takeovers belong together."""
_REPEATED = 2
"""Takeovers that the broker named as such, from which they are no accident."""
_BRIEF, _CUTS = 60.0, 4
"""Seconds of a connection that was cut without a word, and how many of them in `_WINDOW` are no
accident: MQTT 3.1.1 has no word for a takeover, and some brokers do not use that of 5.0."""
_FIRST, _LONGEST = 5.0, 600.0
"""Seconds to stay away at first, and at most."""


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
        self._named: deque[float] = deque()
        self._cut: deque[float] = deque()
        self._said = False

    def note(self, error: AgentError, now: float, lived: float) -> float:
        """A connection ended by `error` at `now`, monotonic seconds, after `lived` seconds. Returns
        the seconds to stay away: 0 where that may be an accident, else doubled each time; the log
        says why, once."""
        if not isinstance(error, CutError):
            return 0.0
        for times in (self._named, self._cut):
            while times and now - times[0] > _WINDOW:
                times.popleft()
        if isinstance(error, TakenOverError):
            self._named.append(now)
        elif lived < _BRIEF or len(self._cut) >= _CUTS:
            self._cut.append(now)
        beyond = max(len(self._named) - _REPEATED, len(self._cut) - _CUTS)
        if beyond < 0:
            return 0.0
        if not self._said:
            self._said = True
            if self._named:
                log.error(
                    "Another client has the same device.id, %s: they put each other off. Give each "
                    "box an id of its own under [device] of its settings.",
                    self._device,
                )
            else:
                log.error(
                    "The broker accepts this device and cuts it off soon, again and again: another "
                    "client may have the same device.id, %s. Give each box an id of its own under "
                    "[device] of its settings.",
                    self._device,
                )
        return min(_FIRST * 2.0 ** min(beyond, 16), _LONGEST)
