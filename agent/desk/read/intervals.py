"""The interval of every single window, for whole columns at once."""

from __future__ import annotations

import numpy as np

from agent.desk.read import rounding
from agent.desk.read.distribution import Parts, quantiles
from agent.desk.read.figures import at_least_zero, factor, ranges
from agent.desk.read.interval import tails

MOST_MERGED = 255
"""`merged` says "or more" here: the noise of `visits` has no bound that is known."""


def rows(
    figure: str, values: np.ndarray, scale: np.ndarray, merged: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of what was there in each window; float64[N] both, NaN where there is no number.

    `scale`: b of the cell. `merged`: earlier windows whose visits are in this one. The bounds hold
    for at least the share `level` of all windows, published or not. A window is published because
    its noised visits were many enough, so among those just above k more than that share have a
    lower bound that is too high: do not choose windows by their visits, add them up.
    """
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    there = np.flatnonzero(~np.isnan(values))
    if not len(there):
        return low, high
    value, b = values[there], scale[there] * factor(figure)
    noises = merged[there] + 1 if figure == "visits" else np.ones(len(there))
    kinds, of = rounding.kinds(b, noises, rounding.half(ranges(figure), value))
    errors = np.array([_error(kind, level) for kind in kinds])[of]
    low[there], high[there] = value - errors[:, 1], value - errors[:, 0]
    least, most = rounding.is_open(ranges(figure), value)
    low[there[least]], high[there[most]] = -np.inf, np.inf
    if figure == "visits":
        unknown = there[merged[there] >= MOST_MERGED]
        low[unknown], high[unknown] = -np.inf, np.inf
    if at_least_zero(figure):
        low, high = np.maximum(low, 0.0), np.maximum(high, 0.0)
    return low, high


def _error(kind: np.ndarray, level: float) -> tuple[float, float]:
    """`kind`: b, noises, half of the rounding."""
    one = np.ones(1)
    b, noises, half = (one * each for each in kind)
    return quantiles(Parts(one, b, noises, one, half), *tails(level, "both"))
