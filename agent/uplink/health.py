"""The device's health, quantized coarsely: load would reveal presence."""

from __future__ import annotations

import os
import resource
import shutil
import time
from pathlib import Path
from typing import Literal

from agent.base.clock import WallClock
from agent.base.report import Birth, Health, Vitals
from agent.base.report.device import Perception
from agent.host.board import Board, Reading, Watch
from agent.host.health import Condition, of_report
from agent.wall.outbox import Outbox

_READ_INTERVAL = 60.0
"""Seconds between two looks at the board."""
_WAIT = 2.0
"""Seconds to wait for the first one."""
_AMPLE, _LOW = 0.10, 0.02
"""Free fractions of the disk."""
_BUCKETS: tuple[Literal[0, 1, 10, 100, 1000, 10_000], ...] = (0, 1, 10, 100, 1000, 10_000)


class HealthReporter:
    """Reads the current values when called."""

    def __init__(self, outbox: Outbox, folder: Path, board: Board | None = None) -> None:
        """`folder`: of the outbox; `board`: this machine's, if none is given."""
        self._outbox, self._folder = outbox, folder
        self.board = board or Board()
        self._watch = Watch(self.board, _READ_INTERVAL)
        self._clock = WallClock()

    def __call__(self) -> Health:
        """Raises `StoreError`."""
        condition, vitals = perceive(self._outbox)
        birth = self._outbox.latest.get(Birth)
        present = condition in ("well", "stalled")
        number, at, reading = self._watch.latest(_WAIT)
        if not number or time.monotonic() - at > 3 * _READ_INTERVAL:
            reading = Reading()  # a driver hangs
        return Health(
            boot=birth[0].boot if birth is not None and present else None,
            perception=perception(condition, vitals),
            fps=vitals.fps if vitals and condition == "well" else 0,
            temperature=temperature(reading),
            power=power(reading),
            memory=min(64 * round(_resident() / 2**26), 1024),
            disk=disk(self._folder),
            waiting=waiting(self._outbox.depth()),
            trimmed=min(self._outbox.evicted, 1023),
            clock=self._clock().trust,
        )


def perceive(outbox: Outbox) -> tuple[Condition, Vitals | None]:
    """Whether the perceive process is well, by what it said last, and that. Raises `StoreError`."""
    found = outbox.latest.get(Vitals)
    if found is None:
        return of_report(None, moves=False), None
    vitals, age = found
    return of_report(age, moves=vitals.perception != "stalled"), vitals


def is_present(outbox: Outbox) -> bool:
    """Whether there is a perceive process that will read its settings. Raises `StoreError`."""
    return perceive(outbox)[0] in ("well", "stalled")


def perception(condition: Condition, vitals: Vitals | None) -> Perception:
    """As a health message names it."""
    if condition == "well" and vitals is not None:
        return vitals.perception
    return "stalled" if condition == "stalled" else "absent"


def temperature(reading: Reading) -> int | None:
    """Degrees Celsius in tens; None where it is unknown."""
    if reading.temperature is None:
        return None
    return min(max(10 * round(reading.temperature / 10), -40), 120)


def power(reading: Reading) -> Literal["good", "undervolt", "throttled", "unknown"]:
    """The worst state since boot; `unknown` where it is not measured."""
    if reading.undervolt is None and reading.throttled is None:
        return "unknown"
    if reading.undervolt_before:
        return "undervolt"
    return "throttled" if reading.throttled_before else "good"


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
