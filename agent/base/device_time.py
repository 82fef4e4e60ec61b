"""Time elapsed on this device, which no step of the wall clock can lengthen.

Within one start of the machine CLOCK_BOOTTIME counts (clock_gettime(2)), which goes on while the
machine is suspended or this process is not running. Between two starts the wall clock counts, where
it was synchronised at both ends, at most `MAX_GAP`; else only the time since the last start.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from agent.base.clock import WallClock

MAX_GAP = 30 * 86_400
"""Seconds credited at most for a time in which the machine was off, or its clock could be wrong."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A reading, to be stored. Rounded so that no time is ever counted twice."""

    elapsed: int
    """Seconds on this clock."""
    machine: str
    """Start of the machine, see `machine_start`."""
    boottime: int
    """Seconds of CLOCK_BOOTTIME."""
    utc: int | None
    """Seconds; None where the wall clock was not synchronised."""
    open: bool = False
    """Whether `utc` still dates from before the machine's last start: the gap is not counted."""


class DeviceTime:
    """A clock that goes on from a stored reading and never goes back."""

    def __init__(
        self,
        stored: Instant | None,
        *,
        machine: str | None = None,
        boottime: Callable[[], float] | None = None,
        utc: Callable[[], float | None] | None = None,
    ) -> None:
        """`stored`: the last reading, None: begin at 0. The others replace the system's clocks."""
        self._machine = machine_start() if machine is None else machine
        self._boottime = boottime or _boottime
        self._utc = utc or _Synchronised()
        self._gap_from: Instant | None = None
        """Last reading before the machine's last start, until the gap after it is known."""
        now = self._boottime()
        self._zero = -now
        if stored is not None:
            same = stored.machine == self._machine != ""
            known = stored.machine != "" != self._machine
            # Since the machine's start at least all of its time has passed.
            since = max(0.0, now - stored.boottime) if same else now if known else 0.0
            self._zero = stored.elapsed + since - now
            if stored.utc is not None and (stored.open or not same):
                self._gap_from = stored

    @property
    def complete(self) -> bool:
        """Whether no time is missing that a synchronised clock would still add."""
        return self._gap_from is None

    def __call__(self) -> float:
        """Seconds elapsed."""
        now = self._boottime()
        before = self._gap_from
        if before is not None and before.utc is not None:
            utc = self._utc()
            if utc is not None:
                gap = min(max(0.0, utc - before.utc), MAX_GAP)
                self._zero = max(self._zero, before.elapsed + gap - now)
                self._gap_from = None
        return self._zero + now

    def instant(self) -> Instant:
        """The present reading; while a gap is open it keeps the old end of it."""
        elapsed, now = int(self()), ceil(self._boottime())
        before = self._gap_from
        if before is not None and before.utc is not None:
            # The next process may close the gap: the old wall time, moved by what is counted.
            utc = before.utc + elapsed - before.elapsed
            return Instant(elapsed, self._machine, now, utc, open=True)
        found = self._utc()
        return Instant(elapsed, self._machine, now, None if found is None else ceil(found))


def machine_start() -> str:
    """The kernel's boot id (random(4)); empty where it is not readable."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def machine_number(machine: str) -> int:
    """A start of the machine as a number of 32 bits, for where only numbers may be stored."""
    return int.from_bytes(hashlib.sha256(machine.encode()).digest()[:4], "big")


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class _Synchronised:
    """UTC seconds while the clock is, or was in this process, synchronised; a battery-backed clock
    alone may have been set by anybody."""

    def __init__(self) -> None:
        self._wall = WallClock()

    def __call__(self) -> float | None:
        return time.time() if self._wall().trust in ("ntp", "holdover") else None
