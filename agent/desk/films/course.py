"""A film's course in constant memory: sums over equal steps of time, which double when the room for
them is used up."""

from __future__ import annotations

import numpy as np

from agent.base.types import ACTION_UNITS, EXPRESSIONS, TONES, UNSURE, Float

STEPS = 8192
"""Steps that there is room for; even."""
FIRST_STEP = 0.1
"""Seconds of a step at the beginning: 13 minutes fit, then each is .2 s, and so on; of three hours
each is 1.6 s."""
LANES = 6
"""Faces at a time whose course is kept one by one; further ones count in the sums."""
REFUSALS = ("fps_too_low", "face_too_small", "too_noisy", "no_evidence")
LABELS = (*EXPRESSIONS, UNSURE)
VOICES = (*TONES, UNSURE)
SUMS: dict[str, int] = {
    "frames": 1,
    "faces": 1,  # summed over frames, as are the next ones
    "attentive": 1,
    "size": 1,  # inter-ocular distance, pixels
    "analysed": 1,  # for micro-expressions
    "refused": len(REFUSALS),
    "estimates": 1,
    "labels": len(LABELS),  # estimates by what they name
    "peaks": len(EXPRESSIONS),  # probabilities of the estimates that name the class
    "valence": 1,  # summed over estimates, as are the next ones
    "arousal": 1,
    "units": len(ACTION_UNITS),
    "speech": 1,  # probability, summed over the frames that somebody listened in
    "listened": 1,
    "measured": 1,  # exposures
    "bright": 1,  # 95th percentile of the luma
    "clipped": 1,  # share of white pixels
    "dark": 1,  # measured and found dark
}
"""Columns of a step and their widths; each is a sum."""
LANE = {"seen": 1, "attentive": 1, "labels": len(LABELS)}
"""Of one face in one step, in frames; `labels`: of its newest estimate."""


def _places(columns: dict[str, int]) -> tuple[dict[str, slice], int]:
    at, found = 0, {}
    for name, width in columns.items():
        found[name] = slice(at, at + width)
        at += width
    return found, at


_AT, _WIDTH = _places(SUMS)
_LANE_AT, _LANE_WIDTH = _places(LANE)


class Course:
    """Sums by step of time since `start`; `step` seconds each, `used` of them.

    4 MB, whatever the film's length.
    """

    def __init__(self, start: float = 0.0, steps: int = STEPS) -> None:
        self.start, self.step, self.used = start, FIRST_STEP, 0
        self._sums = np.zeros((steps, _WIDTH), np.float32)
        self._lanes = np.zeros((steps, LANES, _LANE_WIDTH), np.float32)
        self._most = np.zeros(steps, np.float32)

    def at(self, time: float) -> int:
        """The step of a time, made where it is not there yet. A time before the start is the
        first step's."""
        place = max(0, int((time - self.start) / self.step))
        while place >= len(self._sums):
            self._fold()
            place = int((time - self.start) / self.step)
        self.used = max(self.used, place + 1)
        return place

    def row(self, place: int) -> Float:
        """float32[...] of a step, to be added to; see `into`."""
        row: Float = self._sums[place]
        return row

    def lane(self, place: int, lane: int) -> Float:
        cell: Float = self._lanes[place, lane]
        return cell

    def crowd(self, place: int, faces: int) -> None:
        """At least so many faces were in view at once."""
        self._most[place] = max(self._most[place], faces)

    def move(self, start: float, source: int, target: int) -> None:
        """Move what lane `source` has from a time on to `target`."""
        place = self.at(start)
        self._lanes[place:, target] += self._lanes[place:, source]
        self._lanes[place:, source] = 0

    def sums(self, name: str) -> Float:
        """float32[used] or [used, width]: a column of `SUMS`."""
        found = self._sums[: self.used, _AT[name]]
        return found[:, 0] if SUMS[name] == 1 else found

    def lanes(self, name: str) -> Float:
        """float32[used, LANES] or [used, LANES, width]: a column of `LANE`."""
        found = self._lanes[: self.used, :, _LANE_AT[name]]
        return found[:, :, 0] if LANE[name] == 1 else found

    @property
    def most(self) -> Float:
        """float32[used]: most faces in view at once."""
        return self._most[: self.used]

    @property
    def times(self) -> Float:
        """float64[used]: each step's middle, seconds."""
        return np.asarray(self.start + (np.arange(self.used) + 0.5) * self.step)

    def folded(self, most: int, step: float = 0.0) -> Course:
        """A copy with at most so many steps of at least `step` seconds, for a picture of that many
        columns."""
        copy = Course(self.start, 0)
        copy.step, copy.used = self.step, self.used
        copy._sums, copy._lanes = self._sums.copy(), self._lanes.copy()
        copy._most = self._most.copy()
        while copy.used > most or copy.step < step:
            copy._fold()
        return copy

    def _fold(self) -> None:
        """Make one step of each two."""
        half = len(self._sums) // 2
        for array in (self._sums, self._lanes):
            array[:half] = array[0::2] + array[1::2]
            array[half:] = 0
        self._most[:half] = np.maximum(self._most[0::2], self._most[1::2])
        self._most[half:] = 0
        self.step *= 2
        self.used = (self.used + 1) // 2


def into(name: str) -> slice:
    """Where a column of `SUMS` stands in a row."""
    return _AT[name]


def into_lane(name: str) -> slice:
    """Where a column of `LANE` stands in a cell."""
    return _LANE_AT[name]


def ratio(over: Float, under: Float) -> Float:
    """Elementwise quotient, NaN where `under` is 0."""
    under = under if over.ndim == under.ndim else under[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(under > 0, over / under, np.nan).astype(np.float32)
