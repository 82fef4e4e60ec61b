"""When the next receipt is due: once a day, robust to clock steps.

Wall clocks step and are not trusted after boot; the monotonic clock does not step but restarts at
boot. So the day follows from the last receipt's wall time plus the monotonic time elapsed, or, if
the machine has rebooted since, from the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86_400.0
CLOCK_TIMEOUT = 600.0
"""Seconds that the first receipt waits for a trusted clock."""


@dataclass(frozen=True, slots=True)
class Last:
    """Time of the last receipt."""

    end: int | None
    """UTC seconds of signing; None: the clock was not trusted."""
    elapsed: float | None
    """Seconds since then; None where unknown after a reboot."""
    at_least: float
    """Lower bound of the seconds since then."""


def is_due(last: Last | None, utc: float | None, waited: float) -> bool:
    """Whether to sign now. `utc`: None while the clock is not trusted. `waited`: seconds since the
    first call. The first receipt of a chain is due as soon as the clock is trusted."""
    if last is None:
        return utc is not None or waited >= CLOCK_TIMEOUT
    if utc is None:
        return last.at_least >= DAY
    if last.end is None:
        # The first trusted time also dates the last receipt.
        return last.elapsed is None or _day(utc) > _day(utc - last.elapsed)
    if last.elapsed is not None:
        midnight_passed = _day(last.end + last.elapsed) > _day(last.end)
        return midnight_passed and (_day(utc) != _day(last.end) or last.elapsed >= 2 * DAY)
    if _day(utc) < _day(last.end):
        return last.at_least >= DAY  # the wall clock has stepped back
    return _day(utc) > _day(last.end)


def _day(utc: float) -> int:
    return int(utc // DAY)
