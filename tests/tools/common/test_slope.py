"""Slopes and their intervals."""

from __future__ import annotations

import math
import random

import pytest

from tools.common.slope import slope


def _series(
    seed: int, likeness: float, growth: float, count: int = 60
) -> list[tuple[float, float]]:
    chance, level, found = random.Random(seed), 0.0, []
    for number in range(count):
        level = likeness * level + chance.gauss(0.0, 1.0)
        found.append((float(number), level + growth * number))
    return found


@pytest.mark.parametrize(("likeness", "least"), [(0.0, 0.9), (0.9, 0.85)])
def test_the_interval_holds_the_slope_as_often_as_it_says(likeness: float, least: float) -> None:
    found = [slope(_series(seed, likeness, 0.5)) for seed in range(200)]
    assert sum(each.low <= 0.5 <= each.high for each in found) >= 200 * least
    assert sum(each.low > 0 for each in found) >= 100


def test_series_have_levels_of_their_own() -> None:
    first = [(float(x), 5.0 * x) for x in range(10)]
    second = [(float(x), 1000.0 + 5.0 * x) for x in range(10)]
    found = slope(first, second)
    assert found.value == pytest.approx(5.0)
    assert found.times(2).low == pytest.approx(10.0, abs=1e-6)


def test_too_few_points_say_nothing() -> None:
    assert slope([(0.0, 1.0), (1.0, 2.0)]).high == math.inf
    assert slope().low == -math.inf


def test_more_confidence_is_a_wider_interval() -> None:
    points = _series(1, 0.0, 0.0)
    assert slope(points, confidence=0.998).high > slope(points).high
