"""Fewer visits than usual: a span of time against the same hours of the weeks before. Pure, and for
many devices at once.

What differs from week to week without meaning anything is counted in: the noise of the numbers
(known), visitors who come by chance (Poisson), weeks that are not alike (what the weeks before
show, and no less than `WEEKS_DIFFER`), and visits that may wait in withheld windows. Where the
noise of a day hides even an empty shop, three days or seven are looked at.

The share of false alarms is measured: `python -m tools.fleet.alerts false-alarms`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agent.desk.read.student import normal_quantile
from tools.fleet.alerts import waiting

SPANS = (1, 3, 7)
"""Days, the shortest first."""
WEEKS, LEAST_WEEKS = 8, 4
"""That are compared with, and how many of them must be there."""
CHANCE = 1e-5
"""Probability that a span without any change is called out, each time that it is looked at."""
WEEKS_DIFFER = 0.15
"""Standard deviation of a week's visits over their mean, at least."""
FEWER, ENOUGH = 0.5, 0.75
"""Of what is usual: raised below the one, ended above the other."""
COVERED = 0.9
"""Of the usual windows must have come; else it is not the visitors that are missing."""
USUAL, BETWEEN, IS_FEWER = 0, 1, 2
"""Verdicts."""
Waiting = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Rows of devices, and how many windows wait there, to the visits that these hold at most, and the
variance of their noise. Asked for spans only that have few visits."""
_LEAST = 20
"""Visits: of fewer nothing is said."""
_Z = -normal_quantile(CHANCE)
_Z_END = 2.0
_WEEK = 7 * 24
_BEFORE = np.arange(1, WEEKS + 1) * _WEEK


class Series:
    """Hours of N devices, so that any span of them is added up at once."""

    def __init__(
        self, windows: np.ndarray, withheld: np.ndarray, visits: np.ndarray, variance: np.ndarray,
        slots: np.ndarray,
    ) -> None:  # fmt: skip
        """Numbers of each hour, [N, H]; `variance`: of the noise of `visits`; `slots`: contents of
        each device, int64[N]."""
        self._windows, self._visits = _sums(windows, np.int64), _sums(visits, np.int64)
        self._variance = _sums(variance, np.float64)
        self._slots = slots
        self.waiting = waiting.windows(windows.astype(np.int64), withheld.astype(np.int64), slots)
        """Windows that wait at the end of each hour, at most: int64[N, H + 1]."""

    def windows(self, rows: np.ndarray, first: np.ndarray, length: int) -> np.ndarray:
        """Of the spans of so many hours, from each first one on."""
        return _between(self._windows, rows, first, length)

    def visits(self, rows: np.ndarray, first: np.ndarray, length: int) -> np.ndarray:
        return _between(self._visits, rows, first, length)

    def variance(self, rows: np.ndarray, first: np.ndarray, length: int) -> np.ndarray:
        return _between(self._variance, rows, first, length)


def _sums(values: np.ndarray, kind: type) -> np.ndarray:
    found = np.zeros((values.shape[0], values.shape[1] + 1), kind)
    np.cumsum(values, axis=1, out=found[:, 1:])
    return found


def _between(sums: np.ndarray, rows: np.ndarray, first: np.ndarray, length: int) -> np.ndarray:
    last = sums.shape[1] - 1
    return np.asarray(
        sums[rows, np.clip(first + length, 0, last)] - sums[rows, np.clip(first, 0, last)]
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """Of M spans, arrays [M]."""

    days: np.ndarray
    """Length; 0: there is too little to compare with."""
    visits: np.ndarray
    """As published."""
    usual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    """95 % of spans without a change lie between them."""
    verdict: np.ndarray


def judge(series: Series, rows: np.ndarray, ends: np.ndarray, wait: Waiting) -> Judged:
    """Of the spans of each row that end with the hour `ends` (left out): the first that has fewer
    visits than usual, else the last that can be judged."""
    number = len(rows)
    none, nothing = np.zeros(number, np.int64), np.zeros(number)
    found = Judged(
        none, none.copy(), nothing, nothing.copy(), nothing.copy(), np.full(number, USUAL)
    )
    for days in SPANS:
        made, known = _compare(series, rows, ends, days, wait)
        take = known & (found.verdict != IS_FEWER)
        take &= (made.verdict == IS_FEWER) | (found.verdict == USUAL)
        for name in Judged.__slots__:
            getattr(found, name)[take] = getattr(made, name)[take]
    return found


def _compare(
    series: Series, rows: np.ndarray, ends: np.ndarray, days: int, wait: Waiting
) -> tuple[Judged, np.ndarray]:
    """Spans against the same ones of the weeks before; and which can be judged, bool[M]."""
    length = 24 * days
    first = ends - length
    before = (rows[:, None], first[:, None] - _BEFORE, length)
    windows, visits = series.windows(*before), series.visits(*before).astype(np.float64)
    most = windows.max(axis=1)
    whole = (windows > 0) & (windows >= COVERED * most[:, None])
    number = np.maximum(whole.sum(axis=1), 1)
    usual = np.where(whole, visits, 0.0).sum(axis=1) / number
    known = (number >= LEAST_WEEKS) & (usual >= _LEAST)
    known &= series.windows(rows, first, length) >= COVERED * most
    now = series.visits(rows, first, length)
    spread = np.where(whole, (visits - usual[:, None]) ** 2, 0.0).sum(axis=1)
    variance = series.variance(rows, first, length)
    there = now.astype(np.float64)
    few = np.flatnonzero(known & (now < ENOUGH * usual))
    if len(few):
        more, noise = wait(rows[few], series.waiting[rows[few], ends[few]])
        there[few] += more
        variance[few] += noise
    expected = variance + usual + (WEEKS_DIFFER * usual) ** 2
    deviation = np.sqrt(np.maximum(spread / np.maximum(number - 1, 1), expected) * (1 + 1 / number))
    missing = usual - there
    verdict = np.where((there < ENOUGH * usual) & (missing > _Z_END * deviation), BETWEEN, USUAL)
    verdict[(there < FEWER * usual) & (missing > _Z * deviation)] = IS_FEWER
    low = np.maximum(0.0, usual - 1.96 * deviation)
    high = usual + 1.96 * deviation
    return Judged(np.full(len(rows), days), now, usual, low, high, verdict), known
