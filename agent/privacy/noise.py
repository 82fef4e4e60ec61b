"""Exact discrete Laplace noise: integer arithmetic only, from the operating system's generator.

Floating-point Laplace noise leaks the value that it hides through the gaps between floats
(Mironov, CCS 2012), so nothing of our own here ever touches a float.

Source: Canonne, Kamath & Steinke, The Discrete Gaussian for Differential Privacy, NeurIPS 2020,
arXiv:2004.00010, algorithms 1 and 2. OpenDP, where it is asked for, draws the same distribution.
"""

from __future__ import annotations

import functools
import importlib
import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

from agent.base.errors import ConfigError

SYSTEM = random.SystemRandom()
"""The operating system's generator; `randrange` draws exactly uniform integers."""

Draw = Callable[[Fraction], int]
"""Noise of a scale (sensitivity over epsilon), an integer."""
Engine = Literal["own", "opendp"]


def sampler(engine: Engine, rng: random.Random = SYSTEM) -> Draw:
    """Where noise comes from, as `privacy.engine` says.

    `rng`: for the own sampler, tests only; OpenDP draws from a generator of its own. Raises
    `ConfigError` where OpenDP is asked for and not installed, or is another than we know.
    """
    if engine == "own":
        return functools.partial(discrete_laplace, rng=rng)
    return _open_dp()


def discrete_laplace(scale: Fraction, rng: random.Random = SYSTEM) -> int:
    """One integer z with probability proportional to exp(-|z| / scale).

    Parameters
    ----------
    scale
        Sensitivity over epsilon, exact and > 0; the noise then gives that epsilon.
    rng
        Only tests pass anything but the operating system's generator.

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


def _open_dp() -> Draw:
    """OpenDP's discrete Laplace (docs.opendp.org, `make_laplace` over integers)."""
    try:
        dp: Any = importlib.import_module("opendp.prelude")
        dp.enable_features("contrib")
        measure = functools.lru_cache(64)(functools.partial(_measurement, dp))
        measure(1.0)(0)
    except ImportError:
        raise ConfigError(
            'privacy.engine is "opendp", but OpenDP is not installed here. Install it '
            '(pip install "fleeting[opendp]"), or set privacy.engine = "own".'
        ) from None
    except Exception as error:
        raise ConfigError(
            f"OpenDP is installed but does not work as known ({type(error).__name__}). Install the "
            'version that pip install "fleeting[opendp]" chooses, or set privacy.engine = "own".'
        ) from None

    def draw(scale: Fraction) -> int:
        if scale <= 0:
            raise ValueError(f"the scale of the noise must be positive, not {scale}")
        return int(measure(_float_above(scale))(0))

    return draw


def _measurement(dp: Any, scale: float) -> Any:
    integers = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
    return dp.m.make_laplace(*integers, scale=scale)


def _float_above(scale: Fraction) -> float:
    """The closest float that is not below: rounding must not spend more than the budget."""
    near = float(scale)
    return near if Fraction(near) >= scale else math.nextafter(near, math.inf)
