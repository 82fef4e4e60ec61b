"""The wall clock and whether it can be trusted.

Single-board computers often have no battery-backed clock and start weeks in the past, so wall time
is used only while the clock is trusted (NTP or RTC).
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path

from agent.base.vocabulary import Trust

_PLAUSIBLE_UTC = 1_700_000_000, 4_102_000_000
"""UTC seconds (November 2023, December 2099); a clock before or after is wrong, and no message
could say its time."""
_SLACK, _DRIFT = 5.0, 5e-4
"""Seconds, and seconds a second, by which a clock that nobody synchronises may go wrong; the kernel
regulates by 500 ppm at most (adjtimex(2)). One that is further off has been set by hand."""
_RTC = Path("/sys/class/rtc/rtc0")
_RTC_DRIFT = 120
"""Seconds between the system clock and the real-time clock that it was set from."""
_QUARTER = 900
"""Seconds; a real-time clock in local time differs by whole quarters of an hour, up to `_ZONES`."""
_ZONES = 14 * 3600
_LIBC = ctypes.CDLL(None)
"""Each one made is a class of its own, which only the garbage collector removes."""
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The trust in the wall clock, and its offset, at one instant."""

    trust: Trust
    """`ntp`: synchronised now; `holdover`: synchronised earlier in this process, and not set since;
    `rtc`: set from a battery-backed clock; `none`: unknown, or recorded data."""
    utc_offset: float | None
    """UTC minus the monotonic clock, seconds; None where the clock is not trusted."""

    def utc(self, monotonic: float) -> float | None:
        """UTC seconds of an instant on the monotonic clock; None where the clock is not trusted."""
        return None if self.utc_offset is None else monotonic + self.utc_offset


FILE_CLOCK = ClockReading("none", None)
"""The reading for recorded frames."""


class WallClock:
    """Reads the system clock and its trust; remembers when it was last synchronised."""

    def __init__(self) -> None:
        self._synchronised: tuple[float, float] | None = None
        """When, on CLOCK_BOOTTIME, and the wall clock less that; None: never in this process, or
        the clock was set by hand since."""

    def __call__(self) -> ClockReading:
        now = time.time()
        utc_offset = now - time.monotonic()
        if not _PLAUSIBLE_UTC[0] <= now <= _PLAUSIBLE_UTC[1]:
            return ClockReading("none", None)
        if _synchronised():
            self._synchronised = self._boottime(now)
            return ClockReading("ntp", utc_offset)
        if self._synchronised is not None:
            (then, offset), (at, found) = self._synchronised, self._boottime(now)
            if abs(found - offset) <= _SLACK + _DRIFT * (at - then):
                return ClockReading("holdover", utc_offset)
            self._synchronised = None
        return ClockReading("rtc", utc_offset) if _set_from_rtc(now) else ClockReading("none", None)

    @staticmethod
    def _boottime(now: float) -> tuple[float, float]:
        boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
        return boottime, now - boottime

    def utc(self) -> float | None:
        """UTC seconds, or None while the clock is not trusted."""
        return time.time() if self().utc_offset is not None else None


def _synchronised() -> bool:
    """By systemd-timesyncd's marker file, else by the kernel (adjtimex(2): STA_UNSYNC is clear)."""
    return Path("/run/systemd/timesync/synchronized").exists() or _kernel_synchronised()


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)), padded beyond its size on every platform."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def _kernel_synchronised() -> bool:
    answer = _Timex()
    try:
        state = _LIBC.adjtimex(ctypes.byref(answer))
    except (AttributeError, OSError):
        return False
    return 0 <= state < _TIME_ERROR and not answer.status & _STA_UNSYNC


def _set_from_rtc(now: float) -> bool:
    """Whether the kernel set the system clock from a real-time clock at start, and the two still
    agree: one without a battery starts in 1970, and the time then comes from a file instead, which
    may be weeks old. `now`: of the system clock, UTC seconds."""
    try:
        if (_RTC / "hctosys").read_text().strip() != "1":
            return False
        apart = now - int((_RTC / "since_epoch").read_text())
    except (OSError, ValueError):
        return False
    beyond_zone = (apart + _QUARTER / 2) % _QUARTER - _QUARTER / 2
    return abs(apart) <= _ZONES + _RTC_DRIFT and abs(beyond_zone) <= _RTC_DRIFT
