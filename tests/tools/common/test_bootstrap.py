"""Intervals that cover what they should, and statistics that agree with NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from tools.common.bootstrap import Resampler, correlation, mean_of, moments


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        sample = rng.exponential(2.0, 60)
        low, high = Resampler(range(60), 300, seed=trial).mean(sample).interval()
        covered += low <= 2.0 <= high
    assert 0.88 <= covered / 200 <= 0.985


def test_items_of_one_person_are_drawn_together() -> None:
    rng = np.random.default_rng(2)
    people = np.repeat(np.arange(20), 10)
    values = rng.normal(0, 1, 20)[people]  # ten copies of twenty numbers say no more than twenty
    together = Resampler(people).mean(values)
    apart = Resampler(range(200)).mean(values)
    assert together.value == pytest.approx(values.mean())
    wide, narrow = (np.ptp(draws.interval()) for draws in (together, apart))
    assert wide > 2.0 * narrow


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(0, 5, 100)
    drawn = Resampler(range(100))
    better, worse = drawn.mean(base), drawn.mean(base + 1.0 + rng.normal(0, 0.1, 100))
    low, high = (worse - better).interval()
    assert 0.9 < low <= high < 1.1
    assert better.interval()[1] > worse.interval()[0]  # each alone would not tell them apart


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(4).random(50)
    first, second = (Resampler(range(50), seed=7).mean(values).figure() for _ in range(2))
    assert first == second
    assert Resampler(range(50), seed=8).mean(values).figure() != first


def test_nothing_hit_is_not_certainty() -> None:
    none = Resampler(range(96)).share(np.zeros(96, bool))
    low, high = none.interval()
    assert none.value == low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 96))  # Clopper and Pearson, 0 of 96
    every = Resampler(range(10)).share(np.ones(10, bool))
    assert every.interval() == pytest.approx((0.025**0.1, 1.0))


def test_means_leave_out_what_is_unknown() -> None:
    values = np.array([1.0, np.nan, 3.0, 100.0])
    drawn = Resampler(range(4))
    found = drawn.mean(values, [True, True, True, False])
    assert (found.value, found.count) == (2.0, 2)
    nothing = drawn.mean(values, [False] * 4)
    assert nothing.figure() == {"value": None, "low": None, "high": None, "n": 0}


def test_statistics_agree_with_numpy() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(0, 1, 80)
    y = 0.6 * x + rng.normal(0, 1, 80)
    drawn = Resampler(range(80))
    r = drawn.statistic(moments(x, y), correlation)
    assert r.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    low, high = r.interval()
    assert low < r.value < high
    assert drawn.median(x).value == pytest.approx(np.median(x))
    rows = np.repeat(np.arange(80), drawn.weights[0].astype(int))
    assert r.resampled[0] == pytest.approx(np.corrcoef(x[rows], y[rows])[0, 1])
    assert drawn.mean(x).resampled[0] == pytest.approx(x[rows].mean())
    constant = drawn.statistic(moments(np.ones(80), y), correlation)
    assert constant.figure()["value"] is None


def test_macro_average() -> None:
    hits = np.array([1, 1, 0, 0, 0, 1], bool)
    kinds = np.array([0, 0, 1, 1, 1, 1])
    drawn = Resampler(range(6))
    both = mean_of([drawn.share(hits, kinds == k) for k in (0, 1)])
    assert both.value == pytest.approx((1.0 + 0.25) / 2)
    assert both.count == 6
