"""Quantiles of the noise against the mechanism's own probabilities, added up exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.report import COUNT, SECONDS, SUM, quantize
from agent.base.report.base import Ranges
from agent.desk.read import distribution, rounding
from agent.desk.read.distribution import Parts, moments, quantiles
from agent.desk.read.student import t_cdf, t_quantile


def parts(*groups: Sequence[float]) -> Parts:
    """Of (weight, scale, noises, numbers, half)."""
    return Parts(*np.array(groups, float).T)


def masses(scale: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and probabilities of the sum of so many discrete Laplace numbers, by convolution."""
    reach = math.ceil(40 * scale) + 2
    z = np.arange(-reach, reach + 1)
    p = np.exp(-1 / scale)
    one = (1 - p) / (1 + p) * p ** np.abs(z)
    total = one
    for _ in range(count - 1):
        total = np.convolve(total, one)
    return np.arange(len(total)) - len(total) // 2, total


@settings(max_examples=60, deadline=None)
@given(st.floats(0.2, 30), st.integers(1, 12), st.floats(0.6, 0.999))
def test_the_range_holds_its_level_and_no_smaller_one_does(
    scale: float, count: int, level: float
) -> None:
    tail = (1 - level) / 2
    low, high = quantiles(parts((1, scale, count, count, 0)), tail, tail)
    z, mass = masses(scale, count)
    assert float(mass[z < low].sum()) <= tail + 1e-9
    assert float(mass[z > high].sum()) <= tail + 1e-9
    assert float(mass[z <= low].sum()) > tail - 1e-9
    assert float(mass[z >= high].sum()) > tail - 1e-9


def test_sums_of_unequal_scales() -> None:
    low, high = quantiles(parts((1, 2, 1, 1, 0), (1, 9, 2, 2, 0)), 0.05, 0.0)
    (a, one), (b, two) = masses(2, 1), masses(9, 2)
    both = np.convolve(one, two)
    z = np.arange(len(both)) + a[0] + b[0]
    assert math.isinf(high)
    assert float(both[z < low].sum()) <= 0.05 < float(both[z <= low].sum())


@pytest.mark.parametrize("count", [120, 250, 1000])
def test_the_expansion_agrees_with_the_exact_sum(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = parts((1, 5, count, count, 0))
    deviation = math.sqrt(moments(asked).weighted(asked.weight)[0])
    monkeypatch.setattr(distribution, "NEARLY_NORMAL", 1.0)
    for tail in (0.025, 0.005):
        near = quantiles(asked, tail, tail)
        monkeypatch.setattr(distribution, "NEARLY_NORMAL", 0.0)
        exact = quantiles(asked, tail, tail)
        monkeypatch.setattr(distribution, "NEARLY_NORMAL", 1.0)
        assert near[1] >= exact[1] - 0.5
        assert near[1] - exact[1] < 0.005 * deviation + 1.5


def test_weighted_sums_are_never_narrower_than_the_truth() -> None:
    rng = np.random.default_rng(5)
    p, q = np.exp(-1 / 5), np.exp(-1 / 10)
    n = 400_000
    one = rng.geometric(1 - p, n) - rng.geometric(1 - p, n)
    two = rng.geometric(1 - q, n) - rng.geometric(1 - q, n)
    drawn = 0.7 * one - 0.3 * two
    low, high = quantiles(parts((0.7, 5, 1, 1, 0), (-0.3, 10, 1, 1, 0)), 0.025, 0.025)
    assert np.mean(drawn < low) <= 0.0255
    assert np.mean(drawn > high) <= 0.0255
    assert np.mean((drawn > 0.93 * low) & (drawn < 0.93 * high)) < 0.95


@pytest.mark.parametrize("ranges", [COUNT, SUM, SECONDS])
def test_every_number_is_within_what_its_rounded_form_allows(ranges: Ranges) -> None:
    numbers = np.unique(np.concatenate([
        np.arange(-1300, 1300), np.random.default_rng(1).integers(-130_000, 130_000, 500)
    ]))  # fmt: skip
    published = np.array([quantize(ranges, int(each)) for each in numbers])
    half = rounding.half(ranges, published)
    least, most = rounding.is_open(ranges, published)
    assert np.all((published - half <= numbers) | least)
    assert np.all((numbers <= published + half) | most)
    inside = ~least & ~most
    assert np.all(half[inside & (np.abs(published) < 60)] == 0)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.3, 40), st.sampled_from([4, 16]), st.integers(0, 15))
def test_rounding_moves_the_mean_by_no_more_than_its_slack(
    scale: float, step: int, phase: int
) -> None:
    z, mass = masses(scale, 1)
    x = 1600 + phase % step + z
    rounded = step * np.round(x / step)
    off = abs(float(np.sum(mass * rounded)) - (1600 + phase % step))
    assert off <= rounding.slack(scale, step) + 1e-6


def test_numbers_without_noise_leave_only_their_rounding() -> None:
    assert quantiles(parts((1, 0, 1, 1, 0)), 0.025, 0.025) == (0, 0)
    low, high = quantiles(parts((1, 0, 3, 3, 2)), 0.025, 0.025)
    assert (low, high) == (-6, 6)


def test_students_t_at_tabulated_points() -> None:
    for probability, freedom, t in ((0.975, 1, 12.7062), (0.975, 4, 2.77645), (0.995, 30, 2.75),
                                    (0.8, 9, 0.883404)):  # fmt: skip
        assert t_quantile(probability, freedom) == pytest.approx(t, rel=1e-4)
        assert t_cdf(t_quantile(probability, freedom), freedom) == pytest.approx(probability)
    assert t_quantile(0.1, 9) == -t_quantile(0.9, 9)
