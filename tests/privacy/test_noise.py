"""The noise has the distribution that the privacy argument needs, exactly."""

from __future__ import annotations

import importlib.util
import random
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from math import erfc, exp, factorial, sqrt
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import ConfigError
from agent.privacy import noise
from agent.privacy.noise import Draw, Engine, discrete_laplace, sampler

DRAWS = 20_000
SCALES = [
    Fraction(1, 3), Fraction(1), Fraction(10, 3), Fraction(37, 2), Fraction(1000, 7),
    Fraction(12_345), Fraction(10**9 + 7, 10**4),
]  # fmt: skip
NEEDS_OPENDP = pytest.mark.skipif(
    importlib.util.find_spec("opendp") is None, reason="OpenDP is not installed"
)
ENGINES = ["own", pytest.param("opendp", marks=NEEDS_OPENDP)]


def pmf(value: int, scale: Fraction) -> float:
    """Canonne, Kamath & Steinke 2020, definition 1 of the discrete Laplace distribution."""
    q = exp(-1 / float(scale))
    return (1 - q) / (1 + q) * q ** abs(value)


def chance(draws: Iterable[int], scale: Fraction) -> float:
    """How likely draws of that scale fit it as badly as these, by Pearson's chi-squared test.

    Values are sorted into bins of about an eighth of the scale, with 20 draws or more expected in
    each; both ends take the rest. The tail of chi-squared after Wilson & Hilferty (1931).
    """
    draws = list(draws)
    width = max(1, int(scale / 8))
    upper = [width - 1]  # bins from 0 on; those below 0 are their mirror
    q = exp(-1 / float(scale))

    def beyond(value: int) -> float:
        """P(z > value), value >= 0: the sum of a geometric series."""
        return q ** (value + 1) / (1 + q)

    while len(draws) * beyond(upper[-1] + width) > 20:
        upper.append(upper[-1] + width)
    edges = [-edge - 1 for edge in reversed(upper)] + upper  # a bin ends with its edge
    below = [beyond(-edge - 1) if edge < 0 else 1 - beyond(edge) for edge in edges]
    expected = [b - a for a, b in zip([0.0, *below], [*below, 1.0], strict=True)]
    counts = Counter(bisect_left(edges, draw) for draw in draws)
    statistic = sum(
        (counts[place] - part * len(draws)) ** 2 / (part * len(draws))
        for place, part in enumerate(expected)
    )
    freedom = len(edges)
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / sqrt(spread)
    return erfc(z / sqrt(2)) / 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_draws_follow_the_analytic_distribution(engine: Engine, scale: Fraction) -> None:
    draw = sampler(engine, random.Random(f"laplace {scale}"))
    # The own draws are the same every time; OpenDP's are not, and fail once in a billion runs.
    assert chance((draw(scale) for _ in range(DRAWS)), scale) > (1e-3 if engine == "own" else 1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_so_do_those_of_the_operating_system(engine: Engine) -> None:
    draw, scale = sampler(engine), Fraction(20, 3)
    assert chance((draw(scale) for _ in range(5000)), scale) > 1e-9


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_mean_spread_and_symmetry(scale: Fraction) -> None:
    rng = random.Random(f"moments {scale}")
    draws = [discrete_laplace(scale, rng) for _ in range(DRAWS)]
    q = exp(-1 / float(scale))
    variance = 2 * q / (1 - q) ** 2
    assert abs(sum(draws) / DRAWS) < 4 * sqrt(variance / DRAWS)
    assert sum(z * z for z in draws) / DRAWS == pytest.approx(variance, rel=0.1)
    assert sum(map(abs, draws)) / DRAWS == pytest.approx(2 * q / (1 - q * q), rel=0.05)
    above, under = sum(z > 0 for z in draws), sum(z < 0 for z in draws)
    assert abs(above - under) < 4 * sqrt(above + under)


FLAWS: list[Callable[[Fraction, random.Random], int]] = [
    # sign and magnitude without rejecting minus zero
    lambda scale, rng: rng.choice((-1, 1)) * noise._geometric(scale, rng),
    lambda scale, rng: discrete_laplace(scale * Fraction(11, 10), rng),
    lambda scale, rng: discrete_laplace(scale, rng) + (rng.random() < 0.3),
    lambda scale, rng: max(-60, min(60, discrete_laplace(Fraction(37, 2), rng))),
]


@pytest.mark.parametrize("flaw", range(len(FLAWS)))
def test_the_test_notices_noise_that_is_a_little_wrong(flaw: int) -> None:
    rng = random.Random(flaw)
    scale = Fraction(37, 2) if flaw == 3 else Fraction(10, 3)
    draws = [FLAWS[flaw](scale, rng) for _ in range(DRAWS)]
    assert chance(draws, scale) < 1e-6


class Script(random.Random):
    """A generator whose first answers are below any number, and the next above: it counts how
    many there were to choose from."""

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
    """Walk every way that the coin can fall and add up what each is worth, as fractions: e^-x, to
    as many digits as the depth of the walk allows."""
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


def test_neighbouring_counts_are_as_hard_to_tell_apart_as_epsilon_says() -> None:
    """The ratio of the chances of one output from n and from n + 1 visits stays within e^eps."""
    epsilon = Fraction(3, 10)
    for output in range(-40, 41):
        ratio = pmf(output, 1 / epsilon) / pmf(output - 1, 1 / epsilon)
        assert exp(-0.3) - 1e-12 <= ratio <= exp(0.3) + 1e-12


def test_the_default_generator_is_the_operating_systems() -> None:
    assert isinstance(noise.SYSTEM, random.SystemRandom)
    scale = Fraction(50)
    assert len({discrete_laplace(scale) for _ in range(200)}) > 50


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scale", [Fraction(0), Fraction(-1, 2)])
def test_a_scale_that_adds_no_noise_is_refused(engine: Engine, scale: Fraction) -> None:
    draw: Draw = sampler(engine)
    with pytest.raises(ValueError, match="positive"):
        draw(scale)


@given(
    numerator=st.integers(1, 10**9), denominator=st.integers(1, 10**9), seed=st.integers(0, 10**6)
)
def test_every_scale_gives_an_integer(numerator: int, denominator: int, seed: int) -> None:
    value = discrete_laplace(Fraction(numerator, denominator), random.Random(seed))
    assert type(value) is int


@given(st.fractions(min_value=Fraction(1, 10**6), max_value=10**9))
def test_rounding_to_a_float_never_takes_noise_away(scale: Fraction) -> None:
    near = noise._float_above(scale)
    assert Fraction(near) >= scale
    assert near <= float(scale) * (1 + 1e-15)


def test_an_engine_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)
    with pytest.raises(ConfigError, match=r"not installed.*fleeting\[opendp\]"):
        sampler("opendp")


def test_an_engine_of_another_make_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opendp.prelude", ModuleType("opendp.prelude"))
    with pytest.raises(ConfigError, match="does not work as known"):
        sampler("opendp")
