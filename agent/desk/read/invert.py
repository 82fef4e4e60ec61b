"""The values of a ratio that its noised halves do not contradict.

Of a ratio p = A / T the difference A - p T is noise alone, whatever A and T are, and its
distribution is known. The interval holds every p for which the difference that was published lies
within the noise's range (Fieller 1954, with the mechanism's own distribution in place of the normal
one). It covers the true ratio with its level for any counts, small ones too; where the visits could
as well be none, it is the whole range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agent.desk.read import distribution
from agent.desk.read.interval import Interval, Side, cut, tails
from agent.desk.read.rates import Form

_FINE, _COARSE = 401, 17
"""Values that are tried first: where the noise is nearly normal, and elsewhere."""
_REFINEMENTS = 14
"""Halvings of the step at each end."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """Moments of each group of numbers for a weight of 1."""

    variance: np.ndarray
    fourth: np.ndarray
    slack: np.ndarray


def ratio(form: Form, level: float, least: float, most: float, side: Side = "both") -> Interval:
    """What these visitors did: the range of their true ratio, cut to `least` .. `most`."""
    parts = form.parts
    each = [
        distribution.moments(
            parts.selected(np.arange(len(parts.weight)) == g).reweighted(np.ones(1))
        )
        for g in range(len(parts.weight))
    ]
    terms = _Terms(
        np.array([one.variance for one in each]),
        np.array([one.fourth for one in each]),
        np.array([one.slack for one in each]),
    )
    top, bottom = float(form.top.sum()), float(form.bottom.sum())
    below, above = tails(level, side)
    value = top / bottom if bottom > 0 else math.nan
    middle = min(max(value, least), most) if not math.isnan(value) else (least + most) / 2

    def outside(p: np.ndarray) -> np.ndarray:
        """How far the published difference lies outside of the noise's range, for each p; 0 or
        less: within."""
        return np.array([_outside(form, terms, top, bottom, float(x), below, above) for x in p])

    weights = np.abs(parts.weight - middle * form.bottom_weight)
    variance = float(np.sum(weights**2 * terms.variance))
    nearly = variance > 0 and abs(np.sum(weights**4 * terms.fourth)) < 0.02 * variance**2
    p = np.unique(np.append(np.linspace(least, most, _FINE if nearly else _COARSE), middle))
    within = np.flatnonzero(outside(p) <= 0)
    if not len(within):
        return cut(Interval(value, value, value, level), least, most) if (
            not least <= value <= most
        ) else Interval(value, value, value, level)  # fmt: skip
    low = _edge(outside, p, int(within[0]), -1)
    high = _edge(outside, p, int(within[-1]), 1)
    found = Interval(value, low, high, level)
    if bottom <= 0 or (low <= least and high >= most):
        return Interval(value, least, most, level, "the noise is as large as the visits")
    return cut(found, least, most)


def _outside(
    form: Form, terms: _Terms, top: float, bottom: float, p: float, below: float, above: float
) -> float:
    weight = form.parts.weight - p * form.bottom_weight
    variance = float(np.sum(weight**2 * terms.variance))
    difference = top - p * bottom
    off = float(np.sum(np.abs(weight) * terms.slack))
    if variance == 0:
        return abs(difference) - off - 1e-9
    kurtosis = float(np.sum(weight**4 * terms.fourth)) / variance**2
    if abs(kurtosis) < distribution.NEARLY_NORMAL:
        deviation = math.sqrt(variance)
        low = deviation * distribution.cornish_fisher(below, kurtosis) - off
        high = -deviation * distribution.cornish_fisher(above, kurtosis) + off
    else:
        low, high = distribution.quantiles(form.parts.reweighted(weight), below, above)
    return max(low - difference, difference - high)


def _edge(outside: object, p: np.ndarray, at: int, way: int) -> float:
    """Where the accepted values end, from p[at] in the direction `way`."""
    if not 0 <= at + way < len(p):
        return float(p[at])
    inner, outer = float(p[at]), float(p[at + way])
    for _ in range(_REFINEMENTS):
        middle = (inner + outer) / 2
        if outside(np.array([middle]))[0] <= 0:  # type: ignore[operator]
            inner = middle
        else:
            outer = middle
    return outer
