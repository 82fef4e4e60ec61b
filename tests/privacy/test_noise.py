"""The distribution of the noise."""

from __future__ import annotations

import json
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from math import erfc, exp, factorial, sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.privacy import noise
from agent.privacy.noise import discrete_laplace

DRAWS = 20_000
SCALES = [
    Fraction(1, 3), Fraction(1), Fraction(10, 3), Fraction(37, 2), Fraction(1000, 7),
    Fraction(12_345), Fraction(10**9 + 7, 10**4),
]  # fmt: skip


def beyond(value: int, scale: Fraction) -> float:
    """P(z > value), value >= 0, of the discrete Laplace distribution (Canonne, Kamath & Steinke
    2020, definition 1): the sum of a geometric series."""
    q = exp(-1 / float(scale))
    return q ** (value + 1) / (1 + q)


def bins(scale: Fraction) -> list[int]:
    """The last value of each bin but the last: bins of about an eighth of the scale, with 20 of
    `DRAWS` or more expected in each; both ends take the rest."""
    width = max(1, int(scale / 8))
    upper = [width - 1]  # bins from 0 on; those below 0 are their mirror
    while DRAWS * beyond(upper[-1] + width, scale) > 20:
        upper.append(upper[-1] + width)
    return [-edge - 1 for edge in reversed(upper)] + upper


def sorted_into(edges: list[int], draws: Iterable[int]) -> list[int]:
    counts = Counter(bisect_left(edges, draw) for draw in draws)
    return [counts[place] for place in range(len(edges) + 1)]


def tail(statistic: float, freedom: int) -> float:
    """P(chi-squared > statistic), after Wilson & Hilferty (1931)."""
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / sqrt(spread)
    return erfc(z / sqrt(2)) / 2


def fit(draws: list[int], scale: Fraction) -> float:
    """The p-value of Pearson's chi-squared test of draws against their distribution."""
    edges, number = bins(scale), len(draws)
    below = [beyond(-e - 1, scale) if e < 0 else 1 - beyond(e, scale) for e in edges]
    expected = [number * (b - a) for a, b in zip([0.0, *below], [*below, 1.0], strict=True)]
    counts = sorted_into(edges, draws)
    parts = ((a - b) ** 2 / b for a, b in zip(counts, expected, strict=True))
    return tail(sum(parts), len(edges))


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_draws_follow_the_analytic_distribution(scale: Fraction) -> None:
    rng = random.Random(f"laplace {scale}")
    assert fit([discrete_laplace(scale, rng) for _ in range(DRAWS)], scale) > 1e-3


OPENDP = json.loads((Path(__file__).parents[1] / "golden" / "opendp.json").read_text())
"""How often OpenDP's sampler hit each bin, by scale; made by `tests/golden/make_opendp.py`."""


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_opendp_draws_from_the_same_distribution(scale: Fraction) -> None:
    """Chi-squared test of homogeneity."""
    rng = random.Random(f"oracle {scale}")
    ours = sorted_into(bins(scale), (discrete_laplace(scale, rng) for _ in range(OPENDP["draws"])))
    theirs = OPENDP["counts"][str(scale)]
    parts = ((a - b) ** 2 / max(1, a + b) for a, b in zip(ours, theirs, strict=True))
    assert tail(sum(parts), len(theirs) - 1) > 1e-3


def test_the_default_generator_is_the_operating_systems() -> None:
    assert isinstance(noise.SYSTEM, random.SystemRandom)
    scale = Fraction(20, 3)
    assert fit([discrete_laplace(scale) for _ in range(5000)], scale) > 1e-9


FLAWS: list[Callable[[Fraction, random.Random], int]] = [
    # sign and magnitude without rejecting minus zero
    lambda scale, rng: rng.choice((-1, 1)) * noise._geometric(scale, rng),
    lambda scale, rng: abs(discrete_laplace(scale, rng)) * (1 if rng.random() < 0.54 else -1),
    lambda scale, rng: discrete_laplace(scale * Fraction(11, 10), rng),
    lambda scale, rng: discrete_laplace(scale, rng) + (rng.random() < 0.3),
    lambda scale, rng: max(-60, min(60, discrete_laplace(Fraction(37, 2), rng))),
]


@pytest.mark.parametrize("flaw", range(len(FLAWS)))
def test_the_test_notices_noise_that_is_a_little_wrong(flaw: int) -> None:
    rng = random.Random(flaw)
    scale = Fraction(37, 2) if flaw == 4 else Fraction(10, 3)
    assert fit([FLAWS[flaw](scale, rng) for _ in range(DRAWS)], scale) < 1e-6


class Script(random.Random):
    """A generator whose first `low` draws are the minimum and the others the maximum; records the
    ranges."""

    def __init__(self, low: int) -> None:
        super().__init__(0)
        self._low, self.ranges = low, list[int]()

    def randrange(self, stop: int, *_: int) -> int:  # type: ignore[override]
        self.ranges.append(stop)
        return 0 if len(self.ranges) <= self._low else stop - 1


@pytest.mark.parametrize(
    "x", [Fraction(1, 7), Fraction(1, 2), Fraction(22, 23), Fraction(1)], ids=str
)
def test_the_coin_is_exact(x: Fraction) -> None:
    """Enumerate all outcomes and add up their exact probabilities: e^-x, up to the depth of the
    enumeration."""
    heads, walked = Fraction(0), Fraction(0)
    for low in range(24):
        rng = Script(low)
        fell = noise._bernoulli_exp(x.numerator, x.denominator, rng)
        parts = [Fraction(x.numerator, stop) for stop in rng.ranges]
        *lows, last = parts
        worth = 1 - last
        for part in lows:
            worth *= part
        walked += worth
        heads += worth if fell else 0
    series = sum((-x) ** n / Fraction(factorial(n)) for n in range(60))
    assert 1 - walked < Fraction(1, 10**20)
    assert abs(heads - series) < Fraction(1, 10**20)


def test_a_coin_that_never_falls_is_one() -> None:
    assert noise._bernoulli_exp(0, 5, random.Random(0))


@pytest.mark.parametrize("scale", [Fraction(0), Fraction(-1, 2)])
def test_a_scale_that_adds_no_noise_is_refused(scale: Fraction) -> None:
    with pytest.raises(ValueError, match="positive"):
        discrete_laplace(scale)


@given(
    numerator=st.integers(1, 10**9), denominator=st.integers(1, 10**9), seed=st.integers(0, 10**6)
)
def test_every_scale_gives_an_integer(numerator: int, denominator: int, seed: int) -> None:
    value = discrete_laplace(Fraction(numerator, denominator), random.Random(seed))
    assert type(value) is int
