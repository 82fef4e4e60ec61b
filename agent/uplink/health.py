"""The device's health, quantized coarsely: load would reveal presence."""

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
"""Raspberry Pi firmware: hex bits 0-3 about now, 16-19 since boot
(raspberrypi.com/documentation/computers/os.html#get_throttled)."""
SENSOR_PATHS = (THERMAL, Path("/sys/devices/virtual/thermal"), THROTTLED)
"""Files that this module reads beside /proc."""
_UNDERVOLT, _SLOWED = 0x10001, 0xE000E
_AMPLE, _LOW = 0.10, 0.02
"""Free fractions of the disk."""
_BUCKETS: tuple[Literal[0, 1, 10, 100, 1000, 10_000], ...] = (0, 1, 10, 100, 1000, 10_000)


class HealthReporter:
    """Reads the current values when called."""

    def __init__(
        self, outbox: Outbox, folder: Path, *, thermal: Path = THERMAL, throttled: Path = THROTTLED
    ) -> None:
        """`folder`: of the outbox."""
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
        """Boot id of the perceive process; None while it is absent. Raises `StoreError`."""
        birth = self._outbox.latest.get(Birth)
        present = fresh_vitals(self._outbox) is not None
        return birth[0].boot if birth is not None and present else None


def fresh_vitals(outbox: Outbox) -> Vitals | None:
    """The vitals of the perceive process, None while it is absent. Raises `StoreError`."""
    found = outbox.latest.get(Vitals)
    return found[0] if found is not None and found[1] <= ABSENT_AFTER else None


def temperature(folder: Path) -> int | None:
    """Of the hottest thermal zone, degrees Celsius in tens; None where there is none."""
    found = []
    for zone in sorted(folder.glob("thermal_zone*/temp")):
        try:
            found.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):
            continue
    return min(max(10 * round(max(found) / 10), -40), 120) if found else None


def power(file: Path) -> Literal["good", "undervolt", "throttled", "unknown"]:
    """The worst state since boot; `unknown` where it is not measured."""
    try:
        bits = int(file.read_text().strip().removeprefix("0x"), 16)
    except (OSError, ValueError):
        return "unknown"
    if bits & _UNDERVOLT:
        return "undervolt"
    return "throttled" if bits & _SLOWED else "good"


def disk(folder: Path) -> Literal["ample", "low", "full", "unknown"]:
    """Free space of the file system of `folder`."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return "unknown"
    share = usage.free / max(usage.total, 1)
    return "ample" if share >= _AMPLE else "low" if share >= _LOW else "full"


def waiting(depth: int) -> Literal[0, 1, 10, 100, 1000, 10_000]:
    """`depth` rounded down to a power of ten."""
    return next(bucket for bucket in reversed(_BUCKETS) if depth >= bucket)


def _resident() -> int:
    """Resident set size of this process, bytes; its peak where /proc is not readable."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
