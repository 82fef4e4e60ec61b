"""Quantiles of Student's t and of the normal distribution, by the incomplete beta function."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300


def normal_quantile(probability: float) -> float:
    """z with P(Z <= z) = probability; plus or minus infinity at 1 and 0."""
    if not 0 < probability < 1:
        return math.inf if probability >= 1 else -math.inf
    return _NORMAL.inv_cdf(probability)


def normal_cdf(z: float) -> float:
    return _NORMAL.cdf(z)


def t_cdf(t: float, freedom: float) -> float:
    """P(T <= t) with `freedom` > 0 degrees of freedom."""
    if math.isinf(t):
        return float(t > 0)
    tail = 0.5 * _beta(freedom / (freedom + t * t), freedom / 2, 0.5)
    return 1 - tail if t > 0 else tail


@lru_cache(maxsize=1024)
def t_quantile(probability: float, freedom: float) -> float:
    """t with P(T <= t) = probability, to 1e-10."""
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < probability:
        if high > 1e12:
            return math.inf
        low, high = high, 2 * high
    while high - low > 1e-10 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, freedom) < probability else (low, middle)
    return high


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b): continued fraction 8.17.22 of the NIST
    Digital Library of Mathematical Functions, evaluated by Lentz's method."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + numerator * d)
            c = _away(1 + numerator / c)
            total *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * total


def _away(value: float) -> float:
    """From zero."""
    return value if abs(value) > _TINY else _TINY
