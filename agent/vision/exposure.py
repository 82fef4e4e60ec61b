"""How a picture is exposed, and levels that show what is left in a badly exposed one.

One measure for all who ask: the pipeline (which pictures it stretches before it looks at them, and
the flag `low_light`), the check of a camera, and what tells darkness from a covered lens.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Frame, Grey

DARK_BELOW = 48
"""Grey level: a picture is dark where 95 % of its pixels lie below. At an eighth of the light (95th
percentile 24) a face was found less surely, at a sixteenth no more."""
OVER_FROM = 235
"""Grey level from which a pixel counts as clipped: white of cameras that give limited range."""
OVER_SHARE = 0.5
"""Share of clipped pixels above which a picture is overexposed."""
FLAT_BELOW = 48
"""Grey levels between the 1st and the 99th percentile below which contrast is too low: fog, a
smeared lens, ten bits read as sixteen. Faces were missed from 31 downwards."""
_LEAST_RANGE = 2
"""The same where there is nothing to stretch."""
_PIXELS = 2048
"""About so many pixels are counted: the percentiles are then right to a level or two of 255."""

_EVERY = 0.5
"""Seconds between two measurements of a film."""
_STEADY = 0.15
"""Share of the range by which its percentiles may wander before its levels are set anew."""

State = Literal["good", "dark", "over", "flat"]


class Exposure(NamedTuple):
    """Of one picture; grey levels 0 to 255 of its luma."""

    state: State
    """`dark`, `over` (exposed) or `flat` (low contrast); the first that holds, in this order."""
    low: int
    """1st percentile."""
    bright: int
    """95th percentile: what `dark` is judged by."""
    high: int
    """99th percentile."""
    clipped: float
    """Share of pixels from `OVER_FROM` on."""


def exposure(luma: Grey) -> Exposure:
    """Exposure of a picture uint8[H, W]; one without pixels is dark.

    Some 30 microseconds whatever its size: it counts a sample of evenly spaced pixels.
    """
    return _judged(_histogram(luma))


def levels(luma: Grey) -> tuple[Exposure, Grey | None]:
    """Exposure of a picture uint8[H, W] and a table uint8[256] for `cv2.LUT` that makes more of it;
    None where it is well exposed, or shows nothing.

    Dark and flat pictures are stretched from the 1st to the 99th percentile, linearly, so that
    faces look as they do in better light. In an overexposed one the histogram is equalised: of
    what is clipped nothing comes back, the rest is spread.
    """
    counts = _histogram(luma)
    found = _judged(counts)
    if found.state == "good" or found.high - found.low < _LEAST_RANGE:
        return found, None
    if found.state == "over":
        below = np.cumsum(counts) - counts[0]
        return found, np.asarray(np.round(below * (255.0 / max(below[-1], 1))), np.uint8)
    # a dark picture's black stays black: what lies below its 1st percentile is noise of the sensor
    ramp = (np.arange(256) - found.low) * (255.0 / (found.high - found.low))
    return found, np.clip(np.round(ramp), 0, 255).astype(np.uint8)


def _histogram(luma: Grey) -> NDArray[np.int64]:
    """int64[256] of a sample of pixels."""
    step = max(int((luma.size / _PIXELS) ** 0.5), 1)
    return np.bincount(luma[::step, ::step].ravel(), minlength=256)


def _judged(counts: NDArray[np.int64]) -> Exposure:
    total = int(counts.sum())
    if not total:
        return Exposure("dark", 0, 0, 0, 0.0)
    below = np.cumsum(counts)
    low, bright, high = (
        int(v) for v in np.searchsorted(below, np.array([0.01, 0.95, 0.99]) * total)
    )
    clipped = float(counts[OVER_FROM:].sum()) / total
    state: State = "good"
    if bright < DARK_BELOW:
        state = "dark"
    elif clipped > OVER_SHARE:
        state = "over"
    elif high - low < FLAT_BELOW:
        state = "flat"
    return Exposure(state, low, bright, high, clipped)


def adjusted(luma: Grey, table: Grey | None) -> Grey:
    """The picture at the levels of a table from `levels`; itself for None."""
    return luma if table is None else np.asarray(cv2.LUT(luma, table), np.uint8)


class FilmLevels:
    """Levels for the pictures of one film, held while its exposure stays much the same: a table
    that changed with every picture would look like movement.

    An overexposed film is looked at as it is and equalised in turn until somebody is in view, since
    either may show more: a white wall behind a face that is well exposed, or a face in the sun.
    """

    def __init__(self) -> None:
        self._due = -math.inf
        self._table: Grey | None = None
        self._found: Exposure | None = None
        """What the table was made for."""
        self._equalises = False
        self.dark = False
        """Whether the latest measured picture was dark."""

    @property
    def guessed(self) -> bool:
        """Whether the pictures are equalised: what a face shows is then half lost."""
        return self._equalises and self._table is not None

    def __call__(self, frame: Frame, shown: Frame, in_view: bool) -> Frame:
        """A frame at the levels of the film.

        Parameters
        ----------
        frame : Frame
            Is measured, every `_EVERY` seconds.
        shown : Frame
            The same with masks painted over; is returned with other levels.
        in_view : bool
            Whether somebody is.
        """
        if frame.time >= self._due or frame.time < self._due - _EVERY:
            self._due = frame.time + _EVERY
            self._measure(frame.luma, in_view)
        return (
            shown if self._table is None else Frame(shown.time, adjusted(shown.luma, self._table))
        )

    def _measure(self, luma: Grey, in_view: bool) -> None:
        found, table = levels(luma)
        self.dark = found.state == "dark"
        if found.state == "over":
            again = self._found is not None and self._found.state == "over"
            if not in_view:
                self._equalises = again and not self._equalises
            elif self._equalises and self._table is not None:
                return
            table = table if self._equalises else None
        else:
            self._equalises = False
        before = self._found
        if table is not None and self._table is not None and before is not None:
            moved = abs(found.low - before.low) + abs(found.high - before.high)
            if found.state == before.state and moved <= _STEADY * (before.high - before.low):
                return
        self._table, self._found = table, found
