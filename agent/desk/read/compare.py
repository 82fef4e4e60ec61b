"""Whether visitors reacted differently to two contents, or to several.

Both contents have to have been on show at the same hours, or the hours are what is compared. So
windows are weighted: within each device and hour of the day the windows of both count as if both
had been on show equally long (harmonic mean, as in Mantel and Haenszel's estimate); hours in which
only one was shown are left out, and said. The weights follow the timetable, not the visitors, and
are free of noise.

The difference's interval comes from those of the two rates (MOVER: Zou and Donner, Statistics in
Medicine 27, 2008), which allow for the noise and for how days differ; p is the level at which it
just reaches 0. Several contents: every pair, with Holm's correction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.desk.read.adding import labels, unique
from agent.desk.read.errors import NothingToAddError, ReadError
from agent.desk.read.interval import Interval
from agent.desk.read.invert import ratio
from agent.desk.read.measure import Clusters, Measured, clustered, expected, measure
from agent.desk.read.rates import Form, Rate, form, rate_of
from agent.desk.read.student import normal_quantile

if TYPE_CHECKING:
    import pandas as pd

WITHIN = ("device", "hour")
POWER = 0.8
TELLING = 0.1
"""The difference that `days_to_tell` is about."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first content's rate less the second's."""

    first: str
    second: str
    rate: Rate
    rates: tuple[Measured, Measured]
    visitors: Interval
    """Between what these visitors did; at least its level, by adding up both errors."""
    population: Interval
    """Between what is to be expected."""
    p: float
    """Probability of a difference as large by noise and chance, where there is none."""
    days: int
    """Days with both."""
    left_out: int
    """Windows of hours in which only one was on show."""
    days_to_tell: int | None
    """Such days, all together, after which a true difference of `TELLING` would be told with the
    probability `POWER`; None where that cannot be said."""
    within: tuple[str, ...] = WITHIN

    @property
    def told(self) -> bool:
        """Whether there is a difference, with the level of `population`."""
        return self.p < 1 - self.population.level

    @property
    def sentence(self) -> str:
        """For a person."""
        mean = self.rate.kind == "mean"
        low, high = self.population.low, self.population.high
        if self.told:
            ends = _range(self.rate, *sorted((abs(low), abs(high))))
            up = self.population.value > 0
            said = (
                f"The {self.rate.about} was {'higher' if up else 'lower'}"
                if mean
                else f"{'More' if up else 'Fewer'} visits {self.rate.about}"
            )
            said += f" with {self.first} than with {self.second}: by {ends}"
        else:
            what = f"the {self.rate.about}" if mean else f"how many visits {self.rate.about}"
            said = (
                f"No difference can be told between {self.first} and {self.second} in {what} "
                f"({_range(self.rate, low, high)})"
            )
        said += f", p = {self.p:.2g}" if self.p >= 0.001 else ", p < 0.001"
        if self.within:
            said += f"; within the same {' and '.join(self.within)}"
        if not self.told and self.days_to_tell is not None:
            more_days = self.days_to_tell - self.days
            tell = _points(self.rate, TELLING)
            said += (
                f"; with about {more_days} more days like these {tell} could be told"
                if more_days > 0
                else f"; {tell} would have been told"
            )
        return said + "."


def _points(rate: Rate, value: float) -> str:
    if rate.least < 0:
        return f"{value:.2f}"
    return f"{100 * value:.3g} points"


def _range(rate: Rate, low: float, high: float) -> str:
    scale, unit = (1.0, "") if rate.least < 0 else (100.0, " points")
    digits = 2 if rate.least < 0 else 0 if high - low > 0.02 else 1
    return f"{scale * low:.{digits}f} to {scale * high:.{digits}f}{unit}"


def compare(
    frame: pd.DataFrame,
    rate: str | Rate,
    first: Any,
    second: Any,
    *,
    by: str = "slot",
    within: Sequence[str] = WITHIN,
    level: float = 0.95,
    timezone: str = "UTC",
    names: Mapping[Any, str] | None = None,
) -> Difference:
    """Two contents, or two groups of windows.

    Parameters
    ----------
    first, second
        Values of the column `by`: two slots, devices, groups.
    within
        What both must share, of `adding.KEYS`; empty: all windows count as they are. Windows whose
        start is not known have no hour and are left out.
    names
        What the sentence calls them, by their values.

    Raises
    ------
    ReadError
        `NothingToAddError`: one has no windows with the rate, or none at the hours of the other.
    """
    asked = rate_of(rate)
    pair = paired(frame, asked, first, second, by, within, timezone)
    rates = [
        measure(part, asked, level=level, timezone=timezone, weight=weight)
        for part, weight in pair.windows
    ]
    called = names or {}
    population = between(pair.sides, asked, level)
    days = _days(pair, timezone)
    return Difference(
        called.get(first, f"{by} {first}"), called.get(second, f"{by} {second}"), asked,
        (rates[0], rates[1]),
        _apart(pair.sides, asked, level), population, _p(pair.sides, asked), days, pair.left_out,
        _days_to_tell(population, days, asked), pair.within,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Both sides of a comparison."""

    windows: list[tuple[pd.DataFrame, np.ndarray]]
    """Of each side, with their weights."""
    sides: list[tuple[Form, Clusters]]
    left_out: int
    within: tuple[str, ...]


def paired(
    frame: pd.DataFrame,
    rate: Rate,
    first: Any,
    second: Any,
    by: str = "slot",
    within: Sequence[str] = WITHIN,
    timezone: str = "UTC",
) -> Pair:
    """The windows of both, weighted to the same hours. Raises as `compare`."""
    windows = unique(frame).reset_index(drop=True)
    if by not in windows:
        raise ReadError(f"The windows have no column {by!a}.")
    of = [np.asarray(windows[by] == value) for value in (first, second)]
    shared = tuple(key for key in within if key != by)
    for value, chosen in zip((first, second), of, strict=True):
        if not chosen.any():
            raise NothingToAddError(f"No window has {by} {value}.")
    weight, left_out = _weights(windows, of, shared, timezone)
    parts = [(windows[chosen], weight[chosen]) for chosen in of]
    sides = []
    for value, (part, each) in zip((first, second), parts, strict=True):
        if not (each > 0).any():
            raise NothingToAddError(
                f"{by} {value} was never on show within the same {' and '.join(shared)} as the "
                "other."
            )
        found = form(part, rate, each)
        sides.append((found, clustered(part, found, timezone)))
    return Pair(parts, sides, left_out, shared)


def _weights(
    windows: pd.DataFrame, of: list[np.ndarray], within: tuple[str, ...], timezone: str
) -> tuple[np.ndarray, int]:
    """Of each window, and how many have none although they are of one of the two."""
    if not within:
        return np.ones(len(windows)), 0
    marks = labels(windows, within, timezone)
    groups = marks.groupby(list(within), observed=True).ngroup()
    strata = groups.fillna(-1).to_numpy().astype(np.int64)  # -1: without a known start
    shown = [np.bincount(strata[each & (strata >= 0)], minlength=strata.max() + 1) for each in of]
    weight = np.zeros(len(windows))
    with np.errstate(invalid="ignore", divide="ignore"):
        both = np.where(shown[0] * shown[1] > 0, shown[0] * shown[1] / (shown[0] + shown[1]), 0.0)
    for chosen, count in zip(of, shown, strict=True):
        at = chosen & (strata >= 0)
        weight[at] = (both / np.maximum(count, 1))[strata[at]]
    either = of[0] | of[1]
    if weight[either].max(initial=0.0) > 0:
        weight /= weight[either].max()
    return weight, int(np.sum(either & (weight == 0)))


Sides = list[tuple[Form, Clusters]]


def _apart(sides: Sides, rate: Rate, level: float) -> Interval:
    """Of what these visitors did: each side's interval with half of the error."""
    one, two = (ratio(found, (1 + level) / 2, rate.least, rate.most) for found, _ in sides)
    return Interval(one.value - two.value, one.low - two.high, one.high - two.low, level)


def between(sides: Sides, rate: Rate, level: float) -> Interval:
    """The difference to be expected."""
    one, two = (expected(clusters, found, rate, level) for found, clusters in sides)
    if math.isnan(one.value + two.value):
        return Interval(math.nan, rate.least - rate.most, rate.most - rate.least, level, one.note)
    inside = [min(max(each.value, each.low), each.high) for each in (one, two)]
    value = inside[0] - inside[1]
    low = value - math.hypot(inside[0] - one.low, two.high - inside[1])
    high = value + math.hypot(one.high - inside[0], inside[1] - two.low)
    span = rate.most - rate.least
    return Interval(value, max(low, -span), min(high, span), level, one.note)


def _p(sides: Sides, rate: Rate) -> float:
    """1 less the greatest level whose interval does not hold 0, to 1e-4 of itself."""
    if math.isnan(between(sides, rate, 0.5).value):
        return 1.0
    low, high = -12.0, 0.0  # of log10
    while high - low > 4e-5:
        middle = (low + high) / 2
        if 0 in between(sides, rate, 1 - 10**middle):
            low = middle
        else:
            high = middle
    return 10**high


def _days(pair: Pair, timezone: str) -> int:
    found = [labels(part[weight > 0], ("day",), timezone)["day"] for part, weight in pair.windows]
    return len(set(found[0].dropna()) | set(found[1].dropna()))


def _days_to_tell(found: Interval, days: int, rate: Rate) -> int | None:
    if not days or not math.isfinite(found.width) or found.width <= 0:
        return None
    if found.width >= 1.9 * (rate.most - rate.least):
        return None
    error = found.width / 2 / normal_quantile((1 + found.level) / 2)
    needed = normal_quantile((1 + found.level) / 2) + normal_quantile(POWER)
    return math.ceil(days * (needed * error / TELLING) ** 2)


def compare_all(
    frame: pd.DataFrame, rate: str | Rate, values: Sequence[Any] = (), *, by: str = "slot",
    within: Sequence[str] = WITHIN, level: float = 0.95, timezone: str = "UTC",
    names: Mapping[Any, str] | None = None,
) -> list[Difference]:  # fmt: skip
    """Every pair of contents (all of the column `by`, or those of `values`), the clearest first; p
    is corrected by Holm's method, so that with the probability `level` no difference is told where
    there is none. Pairs never shown within the same hours are left out. Raises as `compare`."""
    asked = list(values) or sorted(unique(frame)[by].unique())
    found = []
    for first, second in itertools.combinations(asked, 2):
        try:
            found.append(compare(frame, rate, first, second, by=by, within=within, level=level,
                                 timezone=timezone, names=names))  # fmt: skip
        except NothingToAddError:
            continue
    return holm(found)


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """Sorted by p, with each p corrected (Holm 1979, Scandinavian Journal of Statistics 6)."""
    ordered = sorted(differences, key=lambda each: each.p)
    corrected, most = [], 0.0
    for place, each in enumerate(ordered):
        most = max(most, min(1.0, each.p * (len(ordered) - place)))
        corrected.append(replace(each, p=most))
    return corrected
