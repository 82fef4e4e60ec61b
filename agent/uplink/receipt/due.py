"""When the next receipt is due: once a day, whatever the clocks do.

Wall clocks step and are unknown after a start; the monotonic clock does neither, but begins anew
with the machine. So the day is that of the last receipt's wall time, carried on by the monotonic
clock where one machine start saw both, and of the wall clock where not.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

DAY = 86_400.0
CLOCK_TIMEOUT = 600.0
"""Seconds that the very first receipt waits for a trusted clock."""


@dataclass(frozen=True, slots=True)
class Last:
    """What is known of the last receipt."""

    end: int | None
    """UTC seconds when it was signed; None: nobody vouched for the clock."""
    elapsed: float | None
    """Seconds since then; None where the machine may have been off meanwhile."""
    at_least: float
    """Seconds that must have passed since then."""


def is_due(last: Last | None, utc: float | None, waited: float) -> bool:
    """Whether to sign now.

    `utc`: None while nobody vouches for the clock. `waited`: seconds since this process began to
    ask. The first receipt is due at once: it begins the chain.
    """
    if last is None:
        return utc is not None or waited >= CLOCK_TIMEOUT
    if utc is None:
        return last.at_least >= DAY
    if last.end is None:
        # The first sync dates what nobody could date.
        return last.elapsed is None or _day(utc) > _day(utc - last.elapsed)
    if last.elapsed is not None:
        midnight_passed = _day(last.end + last.elapsed) > _day(last.end)
        return midnight_passed and (_day(utc) != _day(last.end) or last.elapsed >= 2 * DAY)
    if _day(utc) < _day(last.end):
        return last.at_least >= DAY  # the clock was ahead, or is behind: it does not count
    return _day(utc) > _day(last.end)


def _day(utc: float) -> int:
    return int(utc // DAY)


def machine_start() -> str:
    """The kernel's name for this start of the machine (random(4)); empty where it is hidden."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""
