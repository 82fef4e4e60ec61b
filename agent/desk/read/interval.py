"""A number with the range that holds the truth, from the mechanism that noised it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agent.base.report import COUNT
from agent.desk.read import rounding
from agent.desk.read.distribution import Parts, quantiles
from agent.desk.read.errors import ReadError

Side = Literal["both", "low", "high"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with bounds that hold the truth with the probability `level`."""

    value: float
    low: float
    """Minus infinity where nothing bounds it."""
    high: float
    level: float
    note: str = ""
    """What is to be said beside it; empty: nothing."""

    @property
    def width(self) -> float:
        return self.high - self.low

    def __contains__(self, truth: float) -> bool:
        return self.low <= truth <= self.high

    def __str__(self) -> str:
        said = f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}, {100 * self.level:.4g} %)"
        return f"{said}; {self.note}" if self.note else said


def tails(level: float, side: Side) -> tuple[float, float]:
    """Probabilities left below and above. Raises `ReadError`."""
    if not 0.5 <= level < 1:
        raise ReadError(f"{level:g} is no level; give one from 0.5 to below 1.")
    if side == "both":
        return (1 - level) / 2, (1 - level) / 2
    if side not in ("low", "high"):
        raise ReadError(f'{side!a} is no side; choose "both", "low" or "high".')
    # a lower bound of the truth is the sum less an upper bound of the noise
    return (0.0, 1 - level) if side == "low" else (1 - level, 0.0)


def around(
    value: float,
    parts: Parts,
    level: float = 0.95,
    side: Side = "both",
    least: float = -math.inf,
    most: float = math.inf,
    unbounded: tuple[bool, bool] = (False, False),
) -> Interval:
    """The truth behind a published sum.

    Parameters
    ----------
    value
        As published.
    parts
        What it is the sum of.
    least, most
        The truth cannot be outside; the interval is cut there. Where nothing of it would be left,
        it is the bound itself, and `note` says that the noise was larger than `level` allows for.
    unbounded
        Whether rounding left the truth without a bound below, above (`rounding.is_open`).
    """
    low_error, high_error = quantiles(parts, *tails(level, side))
    low = -math.inf if unbounded[0] else value - high_error
    high = math.inf if unbounded[1] else value - low_error
    return cut(Interval(value, low, high, level), least, most)


def cut(found: Interval, least: float, most: float) -> Interval:
    """An interval's part from `least` to `most`, never empty."""
    low, high, note = max(found.low, least), min(found.high, most), found.note
    if low > high:
        low = high = least if found.high < least else most
        said = "the noise was larger than the level allows for; the bound itself is given"
        note = f"{note}; {said}" if note else said
    return Interval(found.value, low, high, found.level, note)


def single(value: float, scale: float, *, level: float = 0.95, side: Side = "both",
           noises: int = 1, count: bool = True) -> Interval:  # fmt: skip
    """One number as released: `scale` is b of its noise, `noises` how many of it were added (of
    `visits`: the merged windows and one). `count`: the truth is 0 or more, and the number is
    rounded as a count is; else it is taken as it stands."""
    values = np.array([float(value)])
    half = rounding.half(COUNT, values) if count else np.zeros(1)
    one = np.ones(1)
    parts = Parts(one, one * scale, one * noises, one, half * one)
    ends = rounding.is_open(COUNT, values) if count else (np.zeros(1), np.zeros(1))
    unbounded = (bool(ends[0][0]), bool(ends[1][0]))
    return around(value, parts, level, side, 0.0 if count else -math.inf, unbounded=unbounded)
