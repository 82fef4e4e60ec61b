"""The slope of a series with its confidence interval, where neighbouring readings resemble one
another, as those of memory do: an interval for independent ones would be far too narrow."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
"""x and y."""
_FEWEST = 4
"""Points of which a slope says anything."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of y for 1 of x, and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Slope:
        """In another unit of x; `factor` > 0."""
        return Slope(self.value * factor, self.low * factor, self.high * factor)


def slope(*series: Sequence[Point], confidence: float = 0.95) -> Slope:
    """Of one line's slope through several series at even distances in x, each with a level of its
    own. Infinite ends where there are too few points.

    Least squares; as many readings count as would be independent of one another, (1 - r) / (1 + r)
    of them, where r is the correlation of neighbouring residuals (Santer et al., J. Geophys. Res.
    105, 2000), corrected for what the fit takes of it (Kendall, Biometrika 41, 1954). The interval
    is Student's for their number. Residuals that wander, as a random walk's do, leave few.
    """
    centred = [_centred(each) for each in series if len(each) > 1]
    count = sum(map(len, centred))
    spread = sum(x * x for each in centred for x, _ in each)
    if count < _FEWEST or not spread:
        return Slope(0.0, -math.inf, math.inf)
    value = sum(x * y for each in centred for x, y in each) / spread
    rest = [[y - value * x for x, y in each] for each in centred]
    squares = sum(a * a for each in rest for a in each)
    if not squares:
        return Slope(value, value, value)
    pairs = sum(a * b for each in rest for a, b in itertools.pairwise(each))
    length = count / len(centred)
    likeness = (length * pairs / squares + 1) / max(1.0, length - 4)
    likeness = min(max(0.0, likeness), 1 - 2 / length)
    counted = count * (1 - likeness) / (1 + likeness)
    free = max(1.0, counted - len(centred) - 1)
    error = math.sqrt(squares / free / spread)
    reach = _quantile(free, confidence) * error
    return Slope(value, value - reach, value + reach)


def _quantile(free: float, confidence: float) -> float:
    """Of Student's t, two-sided, by its expansion around the normal's (Abramowitz and Stegun,
    26.7.5)."""
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(each / free**power for power, each in enumerate(terms))


def _centred(points: Sequence[Point]) -> list[Point]:
    x, y = (statistics.fmean(each[axis] for each in points) for axis in (0, 1))
    return [(each[0] - x, each[1] - y) for each in points]
