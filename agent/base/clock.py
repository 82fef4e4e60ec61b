"""How far the wall clock can be trusted, and what it says.

Single-board computers often have no battery-backed clock and start weeks in the past, so a wall
time is used only while somebody vouches for it.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path

from agent.base.vocabulary import Trust

_PLAUSIBLE = 1_700_000_000
"""UTC seconds; a clock before this is certainly wrong."""
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the wall clock is worth at one instant."""

    trust: Trust
    """`ntp`: synchronised now; `holdover`: was, earlier in this process; `rtc`: set from a
    battery-backed clock; `none`: unknown, or the data's time is not the present (a file)."""
    ahead: float | None
    """Seconds that UTC is ahead of the monotonic clock; None where there is no trust."""


FILE_CLOCK = ClockReading("none", None)
"""The clock of recorded frames."""


class WallClock:
    """Reads the system clock together with its trust; remembers that it was once synchronised."""

    def __init__(self) -> None:
        self._was_synchronised = False

    def __call__(self) -> ClockReading:
        now = time.time()
        ahead = now - time.monotonic()
        if now < _PLAUSIBLE:
            return ClockReading("none", None)
        if _synchronised():
            self._was_synchronised = True
            return ClockReading("ntp", ahead)
        if self._was_synchronised:
            return ClockReading("holdover", ahead)
        return ClockReading("rtc", ahead) if _battery_backed() else ClockReading("none", None)

    def utc(self) -> float | None:
        """UTC seconds, or None while nobody vouches for them."""
        return time.time() if self().ahead is not None else None


def _synchronised() -> bool:
    """systemd-timesyncd's mark, else the kernel's own word (adjtimex(2): STA_UNSYNC is clear)."""
    return Path("/run/systemd/timesync/synchronized").exists() or _kernel_synchronised()


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)); padded beyond its full size on every platform."""

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
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(answer))
    except (AttributeError, OSError):
        return False
    return 0 <= state < _TIME_ERROR and not answer.status & _STA_UNSYNC


def _battery_backed() -> bool:
    """Whether the kernel set the system clock from a real-time clock at start."""
    try:
        return Path("/sys/class/rtc/rtc0/hctosys").read_text().strip() == "1"
    except OSError:
        return False
