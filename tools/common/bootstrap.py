"""Confidence intervals: whole pictures, or people, are drawn again with replacement.

Percentile bootstrap (Efron 1979, Annals of Statistics 7, 1-26) over independent units. Whatever is
compared is drawn with the same weights, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """One figure and its value in every resample; subtract two for their paired difference."""

    value: float
    """On the data as they are; NaN where there is nothing to measure."""
    resampled: Array
    """float64[R]; NaN where a resample held nothing to measure."""
    count: int
    """How many items (faces, pictures, answers) the figure rests on."""
    exact: tuple[float, float] | None = None
    """Interval to give instead, where nothing or everything was hit: resamples are all alike then,
    and an interval of no width would claim too much."""

    def __sub__(self, other: Draws) -> Draws:
        return Draws(
            self.value - other.value, self.resampled - other.resampled, min(self.count, other.count)
        )

    def interval(self) -> tuple[float, float]:
        """Lower and upper end of the 95 % interval; NaN where no resample gave a value."""
        if self.exact is not None:
            return self.exact
        if not np.isfinite(self.resampled).any():
            return float("nan"), float("nan")
        edge = 50 * (1 - LEVEL)
        low, high = np.nanpercentile(self.resampled, [edge, 100 - edge])
        return float(low), float(high)

    def figure(self, digits: int = 4) -> dict[str, Any]:
        """For a report: value, low, high, n; None where there is nothing to measure."""
        low, high = self.interval()
        return {
            "value": _plain(self.value, digits),
            "low": _plain(low, digits),
            "high": _plain(high, digits),
            "n": self.count,
        }


def beside(draws: Mapping[str, Draws], base: str, digits: int = 4) -> dict[str, dict[str, Any]]:
    """Everybody's figure; those of others than `base` with the paired difference `ours_minus`."""
    return {
        name: figure.figure(digits)
        | ({} if name == base else {"ours_minus": (draws[base] - figure).figure(digits)})
        for name, figure in draws.items()
    }


class Resampler:
    """A fixed set of resamples of N items that come in independent units.

    Parameters
    ----------
    units
        int[N]: which picture or person each item belongs to; any numbers.
    resamples
        How often the units are drawn.
    seed
        The same units and seed give the same resamples.
    """

    def __init__(self, units: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> None:
        given = np.asarray(units)
        _, self.place = np.unique(given, return_inverse=True)
        self.count = int(self.place.max()) + 1 if len(given) else 0
        rng = np.random.default_rng(seed)
        share = np.full(max(self.count, 1), 1.0 / max(self.count, 1))
        drawn = rng.multinomial(self.count, share, size=resamples)
        self.weights: Array = drawn[:, : self.count].astype(np.float64)
        """float64[R, U]: how often each unit is in each resample."""

    def totals(self, values: ArrayLike) -> tuple[Array, Array]:
        """Sums of per-item values float[N, ...]: over all, float64[...], and float64[R, ...]."""
        given = np.asarray(values, np.float64)
        by_unit = np.zeros((self.count, *given.shape[1:]))
        np.add.at(by_unit, self.place, given)
        flat = by_unit.reshape(self.count, -1)
        return by_unit.sum(0), (self.weights @ flat).reshape(-1, *given.shape[1:])

    def ratio(self, above: ArrayLike, below: ArrayLike, count: int | None = None) -> Draws:
        """Sum of `above` over sum of `below`, both float[N]: a mean, a recall, a rate."""
        top, tops = self.totals(above)
        bottom, bottoms = self.totals(below)
        items = int(np.count_nonzero(np.asarray(below))) if count is None else count
        return Draws(_over(top, bottom), _over_all(tops, bottoms), items)

    def mean(self, values: ArrayLike, chosen: ArrayLike | None = None) -> Draws:
        """Mean of the finite values float[N], of those `chosen` bool[N] where given."""
        given = np.asarray(values, np.float64)
        valid = np.isfinite(given)
        if chosen is not None:
            valid &= np.asarray(chosen, bool)
        return self.ratio(np.where(valid, given, 0.0), valid)

    def share(self, hits: ArrayLike, chosen: ArrayLike | None = None) -> Draws:
        """Share of true values bool[N] among those `chosen` bool[N].

        Where it is 0 or 1 the interval is Clopper and Pearson's (1934, Biometrika 26, 404-413) for
        as many trials as there are units.
        """
        found = self.mean(np.asarray(hits, np.float64), chosen)
        among = np.ones(len(self.place), bool) if chosen is None else np.asarray(chosen, bool)
        least = ((1 - LEVEL) / 2) ** (1 / max(len(np.unique(self.place[among])), 1))
        if found.value == 0.0:
            return Draws(0.0, found.resampled, found.count, (0.0, 1.0 - least))
        if found.value == 1.0:
            return Draws(1.0, found.resampled, found.count, (least, 1.0))
        return found

    def statistic(
        self, sums: ArrayLike, function: Callable[[Array], Array], count: int | None = None
    ) -> Draws:
        """Any function of sums: `function` takes float64[K, S] and gives float64[K].

        `sums` float[N, S] are what each item adds. Correlations, calibration errors and averages of
        recalls all are such functions.
        """
        given = np.asarray(sums, np.float64)
        total, totals = self.totals(given)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = float(function(total[None])[0])
            return Draws(value, function(totals), len(given) if count is None else count)

    def median(self, values: ArrayLike) -> Draws:
        """Weighted median of the finite values float[N]."""
        given = np.asarray(values, np.float64)
        rows = np.flatnonzero(np.isfinite(given))
        if not len(rows):
            return Draws(float("nan"), np.full(len(self.weights), np.nan), 0)
        rows = rows[np.argsort(given[rows], kind="stable")]
        weight = np.cumsum(self.weights[:, self.place[rows]], axis=1)
        at = (weight < weight[:, -1:] / 2).sum(1)
        found = given[rows][np.minimum(at, len(rows) - 1)]
        found = np.where(weight[:, -1] > 0, found, np.nan)
        return Draws(float(np.median(given[rows])), found, len(rows))


def mean_of(parts: list[Draws]) -> Draws:
    """The plain mean of several figures of the same resamples, for instance a macro average."""
    return Draws(
        float(np.mean([part.value for part in parts])),
        np.mean([part.resampled for part in parts], axis=0),
        sum(part.count for part in parts),
    )


def correlation(moments: Array) -> Array:
    """Pearson's r float64[K] of float64[K, 6]: counts and sums of x, y, x x, y y, x y."""
    n, x, y, xx, yy, xy = moments.T
    spread = (n * xx - x * x) * (n * yy - y * y)
    return np.asarray((n * xy - x * y) / np.sqrt(np.where(spread > 0, spread, np.nan)))


def moments(x: ArrayLike, y: ArrayLike) -> Array:
    """What each pair adds to the sums that `correlation` reads, float64[N, 6]."""
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], 1)


def _over(top: Any, bottom: Any) -> float:
    return float(top) / float(bottom) if bottom else float("nan")


def _over_all(tops: Array, bottoms: Array) -> Array:
    return np.divide(tops, bottoms, out=np.full_like(tops, np.nan), where=bottoms > 0)


def _plain(value: float, digits: int) -> float | None:
    return round(value, digits) if np.isfinite(value) else None


def spearman(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Rank correlation; ties share their mean rank; 0 where one of both does not move."""
    a, b = ranks_of(x), ranks_of(y)
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def ranks_of(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks float64[N] from 0."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    return np.asarray((last - (counts - 1) / 2)[place], np.float64)
