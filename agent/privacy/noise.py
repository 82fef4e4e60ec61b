"""Exact discrete Laplace noise in integer arithmetic, from the operating system's generator.

Floating-point Laplace noise leaks the protected value through the spacing of floats (Mironov, CCS
2012).

Source: Canonne, Kamath & Steinke, The Discrete Gaussian for Differential Privacy, NeurIPS 2020,
arXiv:2004.00010, algorithms 1 and 2. The tests compare it with OpenDP's sampler.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

SYSTEM = random.SystemRandom()
"""The operating system's generator; `randrange` draws exactly uniform integers."""

Draw = Callable[[Fraction], int]
"""Noise of a scale (sensitivity over epsilon), an integer."""


def discrete_laplace(scale: Fraction, rng: random.Random = SYSTEM) -> int:
    """One integer z with probability proportional to exp(-|z| / scale).

    Parameters
    ----------
    scale
        Sensitivity over epsilon, exact and > 0; the noise then gives that epsilon.
    rng
        Other generators are for tests only.

    Raises
    ------
    ValueError
        The scale is not positive.
    """
    if scale <= 0:
        raise ValueError(f"the scale of the noise must be positive, not {scale}")
    while True:
        magnitude = _geometric(scale, rng)
        negative = bool(rng.randrange(2))
        if magnitude or not negative:  # zero must not be counted twice
            return -magnitude if negative else magnitude


def _geometric(scale: Fraction, rng: random.Random) -> int:
    """k >= 0 with probability proportional to exp(-k / scale)."""
    whole, part = scale.numerator, scale.denominator
    while True:
        remainder = rng.randrange(whole)
        if not _bernoulli_exp(remainder, whole, rng):
            continue
        laps = 0
        while _bernoulli_exp(1, 1, rng):
            laps += 1
        return (remainder + whole * laps) // part


def _bernoulli_exp(numerator: int, denominator: int, rng: random.Random) -> bool:
    """True with probability exp(-numerator / denominator), the ratio in [0, 1]."""
    step = 1
    while rng.randrange(denominator * step) < numerator:
        step += 1
    return step % 2 == 1
