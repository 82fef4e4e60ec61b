"""The noise has the distribution that the privacy argument needs, exactly."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from math import exp, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.privacy import noise
from agent.privacy.noise import discrete_laplace

DRAWS = 30_000


def pmf(value: int, scale: Fraction) -> float:
    """Canonne, Kamath & Steinke 2020, definition 1 of the discrete Laplace distribution."""
    q = exp(-1 / float(scale))
    return (1 - q) / (1 + q) * q ** abs(value)


def chi_squared(draws: list[int], scale: Fraction, reach: int) -> float:
    """Against the analytic probabilities of -reach..reach and both tails; in standard deviations
    of the statistic above its mean."""
    counts = Counter(max(-reach - 1, min(reach + 1, value)) for value in draws)
    chances = {value: pmf(value, scale) for value in range(-reach, reach + 1)}
    tail = (1 - sum(chances.values())) / 2
    chances[reach + 1] = chances[-reach - 1] = tail
    expected = {value: chance * len(draws) for value, chance in chances.items()}
    statistic = sum((counts[value] - mean) ** 2 / mean for value, mean in expected.items())
    freedom = len(chances) - 1
    return (statistic - freedom) / sqrt(2 * freedom)


@pytest.mark.parametrize(
    ("scale", "reach"),
    [(Fraction(1, 3), 2), (Fraction(1), 6), (Fraction(10, 3), 15), (Fraction(37, 2), 60)],
)
def test_draws_follow_the_analytic_distribution(scale: Fraction, reach: int) -> None:
    rng = random.Random(f"laplace {scale}")
    draws = [discrete_laplace(scale, rng) for _ in range(DRAWS)]
    assert abs(chi_squared(draws, scale, reach)) < 5


def test_the_test_notices_a_zero_that_is_counted_twice() -> None:
    """The classic mistake: sign and magnitude without rejecting minus zero."""
    rng, scale = random.Random(1), Fraction(10, 3)
    draws = [rng.choice((-1, 1)) * noise._geometric(scale, rng) for _ in range(DRAWS)]
    assert chi_squared(draws, scale, 15) > 20


def test_the_test_notices_a_scale_off_by_a_tenth() -> None:
    rng, scale = random.Random(2), Fraction(10, 3)
    draws = [discrete_laplace(scale * Fraction(11, 10), rng) for _ in range(DRAWS)]
    assert chi_squared(draws, scale, 15) > 20


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
