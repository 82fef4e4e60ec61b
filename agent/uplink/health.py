"""How the device is doing, coarse on purpose: load would betray presence."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import Literal

from agent.base.clock import WallClock
from agent.base.report import Birth, Health, Vitals
from agent.wall.outbox import Outbox

ABSENT_AFTER = 180.0
"""Seconds without vitals of the perceive process after which it counts as absent."""
THERMAL = Path("/sys/class/thermal")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""The Pi's firmware: hex bits, of which 0-3 are about now and 16-19 about the time since the start
(raspberrypi.com/documentation/computers/os.html#get_throttled)."""
SOURCES = (THERMAL, Path("/sys/devices/virtual/thermal"), THROTTLED)
"""What this module reads beside /proc."""
_UNDERVOLT, _SLOWED = 0x10001, 0xE000E
_AMPLE, _LOW = 0.10, 0.02
"""Shares of the disk that are free."""
_BUCKETS: tuple[Literal[0, 1, 10, 100, 1000, 10_000], ...] = (0, 1, 10, 100, 1000, 10_000)


class HealthReporter:
    """Reads the values when asked; remembers nothing but whether the clock was ever right."""

    def __init__(
        self, outbox: Outbox, folder: Path, *, thermal: Path = THERMAL, throttled: Path = THROTTLED
    ) -> None:
        """`folder`: where the outbox lies."""
        self._outbox, self._folder = outbox, folder
        self._thermal, self._throttled = thermal, throttled
        self._clock = WallClock()

    def __call__(self) -> Health:
        """Raises `StoreError`."""
        boot, vitals = self.boot, fresh_vitals(self._outbox)
        return Health(
            boot=boot,
            perception=vitals.perception if vitals else "absent",
            fps=vitals.fps if vitals else 0,
            temperature=temperature(self._thermal),
            power=power(self._throttled),
            memory=min(64 * round(_resident() / 2**26), 1024),
            disk=disk(self._folder),
            waiting=waiting(self._outbox.depth()),
            trimmed=min(self._outbox.evicted, 1023),
            clock=self._clock().trust,
        )

    @property
    def boot(self) -> str | None:
        """Of the perceive process; None while there is none. Raises `StoreError`."""
        birth = self._outbox.latest.get(Birth)
        present = fresh_vitals(self._outbox) is not None
        return birth[0].boot if birth is not None and present else None


def fresh_vitals(outbox: Outbox) -> Vitals | None:
    """Those of a perceive process that runs, else None. Raises `StoreError`."""
    found = outbox.latest.get(Vitals)
    return found[0] if found is not None and found[1] <= ABSENT_AFTER else None


def temperature(folder: Path) -> int | None:
    """Degrees Celsius, in tens, of the hottest thermal zone; None where there is none."""
    found = []
    for zone in sorted(folder.glob("thermal_zone*/temp")):
        try:
            found.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):
            continue
    return min(max(10 * round(max(found) / 10), -40), 120) if found else None


def power(file: Path) -> Literal["good", "undervolt", "throttled", "unknown"]:
    """The worst since the machine started; `unknown` where nobody measures it."""
    try:
        bits = int(file.read_text().strip().removeprefix("0x"), 16)
    except (OSError, ValueError):
        return "unknown"
    if bits & _UNDERVOLT:
        return "undervolt"
    return "throttled" if bits & _SLOWED else "good"


def disk(folder: Path) -> Literal["ample", "low", "full", "unknown"]:
    """How much is free where the outbox lies."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return "unknown"
    share = usage.free / max(usage.total, 1)
    return "ample" if share >= _AMPLE else "low" if share >= _LOW else "full"


def waiting(depth: int) -> Literal[0, 1, 10, 100, 1000, 10_000]:
    """The largest of a few numbers that `depth` reaches."""
    return next(bucket for bucket in reversed(_BUCKETS) if depth >= bucket)


def _resident() -> int:
    """Bytes of memory that this process holds; at their peak where /proc is out of reach."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
