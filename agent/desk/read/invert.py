"""The values of a ratio that its noised halves do not contradict.

Of a ratio p = A / T the difference A - p T is noise alone, whatever A and T are, and its
distribution is known. The interval holds every p for which the difference that was published lies
within the noise's range (Fieller 1954, with the mechanism's own distribution in place of the normal
one). It covers the true ratio with its level for any counts, small ones too; where the visits could
as well be none, it is the whole range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from agent.desk.read import distribution
from agent.desk.read.distribution import Moments
from agent.desk.read.interval import Interval, Side, cut, tails
from agent.desk.read.rates import Form

_FINE, _COARSE = 401, 17
"""Values that are tried first: where the noise is nearly normal, and elsewhere."""
_REFINEMENTS = 14
"""Halvings of the step at each end."""
_NOTHING = "the noise is as large as the visits"


def ratio(form: Form, level: float, least: float, most: float, side: Side = "both") -> Interval:
    """What these visitors did: the range of their true ratio, cut to `least` .. `most`."""
    known = distribution.moments(form.parts)
    top, bottom = float(form.top.sum()), float(form.bottom.sum())
    below, above = tails(level, side)
    if bottom <= 0:
        return Interval(math.nan, least, most, level, _NOTHING)
    value = top / bottom
    middle = min(max(value, least), most)

    def outside(p: float) -> float:
        """How far the published difference lies outside of the noise's range; 0 or less: within."""
        return _outside(form, known, top - p * bottom, p, below, above)

    variance, fourth, _ = known.weighted(form.parts.weight - middle * form.bottom_weight)
    nearly = variance > 0 and abs(fourth) < 0.7 * distribution.NEARLY_NORMAL * variance**2
    p = np.unique(np.append(np.linspace(least, most, _FINE if nearly else _COARSE), middle))
    within = np.flatnonzero([outside(float(each)) <= 0 for each in p])
    if not len(within):  # the noise was larger than the level allows for
        return cut(Interval(value, value, value, level), least, most)
    low, high = _edge(outside, p, int(within[0]), -1), _edge(outside, p, int(within[-1]), 1)
    if low <= least and high >= most:
        return Interval(value, least, most, level, _NOTHING)
    return Interval(value, low, high, level)


def _outside(
    form: Form, known: Moments, difference: float, p: float, below: float, above: float
) -> float:
    weight = form.parts.weight - p * form.bottom_weight
    variance, fourth, off = known.weighted(weight)
    if variance == 0:
        return abs(difference) - off - 1e-9
    kurtosis = fourth / variance**2
    if abs(kurtosis) < distribution.NEARLY_NORMAL:
        deviation = math.sqrt(variance)
        low = deviation * distribution.cornish_fisher(below, kurtosis) - off
        high = -deviation * distribution.cornish_fisher(above, kurtosis) + off
    else:
        low, high = distribution.quantiles(form.parts.reweighted(weight), below, above)
    return max(low - difference, difference - high)


def _edge(outside: Callable[[float], float], p: np.ndarray, at: int, way: int) -> float:
    """Where the accepted values end, from p[at] in the direction `way`."""
    if not 0 <= at + way < len(p):
        return float(p[at])
    inner, outer = float(p[at]), float(p[at + way])
    for _ in range(_REFINEMENTS):
        middle = (inner + outer) / 2
        if outside(middle) <= 0:
            inner = middle
        else:
            outer = middle
    return outer
