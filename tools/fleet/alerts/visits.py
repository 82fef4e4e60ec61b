"""Fewer visits than usual: a span of time against the same hours of the weeks before. Pure.

What differs from week to week without meaning anything is counted in: the noise of the numbers
(known), visitors who come by chance (Poisson), and weeks that are not alike (what the weeks before
show, and no less than `WEEKS_DIFFER`). Where the noise of a day hides even an empty shop, three
days or seven are looked at.

The share of false alarms is measured: `python -m tools.fleet.alerts false-alarms`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.desk.read.student import normal_quantile
from tools.fleet.alerts.hours import Raw

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
_LEAST = 20
"""Visits: of fewer nothing is said."""
_Z = -normal_quantile(CHANCE)
_Z_END = 2.0
_WEEK = 7 * 24
_NAMES = [str(hour) for hour in range(24)]


@dataclass(frozen=True, slots=True)
class Sum:
    """Of a span."""

    windows: int
    visits: int
    variance: float


@dataclass(frozen=True, slots=True)
class Judged:
    """Of a span that can be judged."""

    days: int
    visits: int
    usual: float
    low: float
    high: float
    """95 % of spans without a change lie between them."""
    verdict: Literal["fewer", "between", "usual"]


class Series:
    """A device's hours, so that any span of them is added up at once."""

    def __init__(self, days: Mapping[int, Raw]) -> None:
        """`days`: by number since 1970."""
        self._first = 24 * min(days, default=0)
        windows = visits = 0
        variance = 0.0
        self._sums = [(0, 0, 0.0)]
        for day in range(self._first // 24, max(days, default=-1) + 1):
            hours = days[day]["hours"] if day in days else {}
            for name in _NAMES:
                each = hours.get(name)
                if each is not None:
                    windows += each[0]
                    visits += each[2]
                    variance += each[3]
                self._sums.append((windows, visits, variance))

    def add(self, first: int, length: int) -> Sum:
        """`length` hours from `first` on."""
        last = len(self._sums) - 1
        begin = self._sums[min(max(first - self._first, 0), last)]
        end = self._sums[min(max(first + length - self._first, 0), last)]
        return Sum(end[0] - begin[0], end[1] - begin[1], end[2] - begin[2])


def judge(hours: Series, end: int) -> Judged | None:
    """The spans that end with the hour `end` (left out): the first that has fewer visits than
    usual, else the last that can be judged. None: there is too little to compare with."""
    return judge_by(hours.add, end)


def judge_by(add: Callable[[int, int], Sum], end: int) -> Judged | None:
    """The same. `add`: of a first hour and a number of hours."""
    found: Judged | None = None
    for days in SPANS:
        length = 24 * days
        before = [add(end - length - week * _WEEK, length) for week in range(1, WEEKS + 1)]
        judged = compare(days, add(end - length, length), before)
        if judged is None:
            continue
        if judged.verdict == "fewer":
            return judged
        if found is None or found.verdict == "usual":
            found = judged
    return found


def compare(days: int, now: Sum, before: Sequence[Sum]) -> Judged | None:
    """A span against the same one of the weeks before."""
    most = max((each.windows for each in before), default=0)
    whole = [each for each in before if each.windows and each.windows >= COVERED * most]
    if len(whole) < LEAST_WEEKS or now.windows < COVERED * most:
        return None
    number = len(whole)
    usual = sum(each.visits for each in whole) / number
    if usual < _LEAST:
        return None
    seen = sum((each.visits - usual) ** 2 for each in whole) / (number - 1)
    expected = now.variance + usual + (WEEKS_DIFFER * usual) ** 2
    deviation = math.sqrt(max(seen, expected) * (1 + 1 / number))
    missing = usual - now.visits
    verdict: Literal["fewer", "between", "usual"] = "usual"
    if now.visits < FEWER * usual and missing > _Z * deviation:
        verdict = "fewer"
    elif now.visits < ENOUGH * usual and missing > _Z_END * deviation:
        verdict = "between"
    return Judged(
        days, now.visits, usual, max(0.0, usual - 1.96 * deviation), usual + 1.96 * deviation,
        verdict,
    )  # fmt: skip
