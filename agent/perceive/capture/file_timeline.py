"""Times of a file's pictures: true gaps stay, what cannot be true is mended."""

from __future__ import annotations

import math

from agent.perceive.capture.source import MAX_FIRST

MAX_GAP = 24 * 3600.0 + 60.0
"""Seconds; a file whose next picture comes later states a wrong time. Time-lapse recordings and
those that a sensor triggers have gaps of any length below."""
_LEAST = 1.0 / 4000.0
"""Seconds; pictures closer than that come from a rate that is no rate."""
_WRAP = 2.0**33 / 90_000
"""Seconds after which the clock of MPEG program and transport streams begins anew (ISO/IEC 13818-1,
2.4.3.7)."""
_NEAR = 3600.0
"""Seconds between two pictures around such a beginning."""


class FileTimeline:
    """Makes a file's timestamps strictly increasing, seconds.

    Where a file states none the last one plus one nominal period is taken. So it is, and said to be
    wrong, where one repeats, goes back, follows at once, or jumps ahead alone or beyond `MAX_GAP`.
    Where a clock was set back later timestamps are shifted to continue.
    """

    def __init__(self, period: float) -> None:
        """`period`: nominal seconds between two pictures."""
        self._period = period
        self._shift = 0.0
        self._raw: float | None = None
        self._last: float | None = None

    def __call__(self, raw: float | None, following: float | None = None) -> tuple[float, bool]:
        """Corrected time, and whether what the file states was possible. `following`: what it
        states for the next picture."""
        stated = raw is not None and math.isfinite(raw)
        if self._last is None:
            good = raw is None or (stated and abs(raw) <= MAX_FIRST)
            self._raw = raw if good else None
            self._last = 0.0 if self._raw is None else self._raw
            return self._last, good
        if raw is None or not stated:
            self._last += self._period
            return self._last, raw is None
        if self._raw is None:  # the first one that states a time, or the first of a new round
            self._raw, self._last = raw, self._last + self._period
            self._shift = self._last - raw
            return self._last, True
        step = raw - self._raw
        if 0.0 <= step + _WRAP <= _NEAR:
            self._shift += _WRAP
            step += _WRAP
        time = raw + self._shift
        alone = following is not None and self._raw < following < raw
        good = _LEAST <= time - self._last <= MAX_GAP and not alone
        if not good and _LEAST <= step <= MAX_GAP and not alone:
            # the clock was set: keep the step, change the offset
            time = self._last + step
            good = True
            self._shift = time - raw
        if not good:
            time = self._last + self._period
        if not alone:
            self._raw = raw
        self._last = time
        return time, good

    def restart(self) -> None:
        """Map the next timestamp to one period after the last one."""
        self._raw = None
