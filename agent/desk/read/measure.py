"""A rate with two intervals, for two questions.

`visitors`: *what did these visitors do?* Only the noise is in doubt; it is known exactly, and the
interval covers what the device counted (`invert`).

`population`: *what is to be expected of visitors like these, next time?* Visitors differ, and days
do. The interval comes from how much the rate varied between days (or windows, where there are fewer
than five days): Fieller's interval for a ratio with Student's t, whose variance has the noise in it
already. Where there are fewer than five windows it supposes that visitors decide independently of
each other, and says so. It is never the narrower one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from agent.desk.read import distribution
from agent.desk.read.adding import labels, unique, waiting
from agent.desk.read.interval import Interval
from agent.desk.read.invert import ratio
from agent.desk.read.rates import Form, Rate, form, rate_of
from agent.desk.read.student import normal_quantile, t_quantile

if TYPE_CHECKING:
    import pandas as pd

MIN_CLUSTERS = 5
"""Fewer days, or windows, say too little of how they vary."""
Unit = Literal["days", "windows", "visits"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A rate over some windows."""

    rate: Rate
    visitors: Interval
    """What these visitors did."""
    population: Interval
    """What is to be expected of visitors like these."""
    visits: float
    """That it is out of; noised."""
    windows: int
    """In it; others lack its numbers or wait."""
    waiting: int
    units: int
    """Independent pieces that `population` was computed from."""
    unit: Unit

    def __str__(self) -> str:
        return (
            f"{self.rate.name}: {_said(self.visitors)} of these visitors; "
            f"{_said(self.population)} to be expected"
        )


def _said(found: Interval) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Sums by day or window, float64[C] both."""

    top: np.ndarray
    bottom: np.ndarray
    unit: Unit


def measure(
    frame: pd.DataFrame,
    rate: str | Rate,
    *,
    level: float = 0.95,
    timezone: str = "UTC",
    weight: np.ndarray | None = None,
) -> Measured:
    """A rate (a name of `RATES`) over all windows of a frame.

    Parameters
    ----------
    timezone
        Whose midnights part the days.
    weight
        Of each window, float64 of the frame's length; see `compare`.

    Raises
    ------
    ReadError
        Unknown rate or time zone; `ConflictError`, `NothingToAddError` as for `total`.
    """
    asked = rate_of(rate)
    windows = unique(frame) if weight is None else frame
    found = form(windows, asked, weight)
    visitors = ratio(found, level, asked.least, asked.most)
    clusters = clustered(windows, found, timezone)
    population = expected(clusters, found, asked, level)
    low, high = min(visitors.low, population.low), max(visitors.high, population.high)
    return Measured(
        asked,
        visitors,
        Interval(population.value, low, high, level, population.note),
        float(found.bottom.sum()),
        len(found.rows),
        waiting(windows),
        len(clusters.top),
        clusters.unit,
    )


def clustered(frame: pd.DataFrame, found: Form, timezone: str) -> Clusters:
    """By device and day; by window where that gives fewer than `MIN_CLUSTERS`."""
    rows = frame.iloc[found.rows]
    marks = labels(rows, ("device", "day"), timezone)
    days = marks.groupby(["device", "day"], observed=True, dropna=False).ngroup().to_numpy()
    if len(np.unique(days)) >= MIN_CLUSTERS:
        return Clusters(np.bincount(days, found.top), np.bincount(days, found.bottom), "days")
    unit: Unit = "windows" if len(rows) >= MIN_CLUSTERS else "visits"
    return Clusters(found.top, found.bottom, unit)


def expected(clusters: Clusters, found: Form, rate: Rate, level: float) -> Interval:
    """The interval of the underlying rate, not cut by that of `visitors`."""
    top, bottom = float(clusters.top.sum()), float(clusters.bottom.sum())
    value = top / bottom if bottom > 0 else math.nan
    if bottom <= 0:
        return Interval(value, rate.least, rate.most, level, "the noise is as large as the visits")
    count = len(clusters.top)
    if clusters.unit == "visits":
        p = min(max(value, rate.least), rate.most)
        weight = found.parts.weight - p * found.bottom_weight
        noise = distribution.moments(found.parts).weighted(weight)[0]
        spread = (p - rate.least) * (rate.most - p) * bottom
        half = normal_quantile((1 + level) / 2) * math.sqrt(noise + max(spread, 0)) / bottom
        low, high, note = value - half, value + half, "supposes that visitors do not copy others"
    else:
        low, high = fieller(clusters, t_quantile((1 + level) / 2, count - 1))
        note = ""
    return Interval(value, max(low, rate.least), min(high, rate.most), level, note)


def fieller(clusters: Clusters, t: float) -> tuple[float, float]:
    """All p for which the mean of top - p bottom over clusters is within t standard errors of 0;
    infinite where that is no bounded range."""
    count = len(clusters.top)
    aa, at, _, tt = (np.cov(clusters.top, clusters.bottom) * count).ravel()
    top, bottom = clusters.top.sum(), clusters.bottom.sum()
    # (top - p bottom)^2 <= t^2 (aa - 2 p at + p^2 tt)
    a, b, c = bottom**2 - t**2 * tt, top * bottom - t**2 * at, top**2 - t**2 * aa
    root = b * b - a * c
    if a <= 0 or root < 0:
        return -math.inf, math.inf
    return (b - math.sqrt(root)) / a, (b + math.sqrt(root)) / a
