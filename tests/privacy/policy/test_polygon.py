"""Invalid zones are refused with the reason."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.config import Polygon
from agent.base.errors import ConfigError
from agent.privacy.policy.polygon import check_polygons


def problem(*corners: tuple[float, float]) -> str:
    with pytest.raises(ConfigError) as refused:
        check_polygons([((0.0, 0.0), (0.5, 0.0), (0.0, 0.5)), corners], "here")
    assert str(refused.value).startswith("here[1] is no zone: ")
    return str(refused.value).removeprefix("here[1] is no zone: ")


def test_honest_shapes_pass() -> None:
    shapes: list[Polygon] = [
        ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
        ((0.1, 0.1), (0.1, 0.9), (0.9, 0.5)),  # the other way round
        ((0.1, 0.1), (0.5, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)),  # a corner on a straight edge
        ((0.0, 0.0), (0.9, 0.0), (0.9, 0.9), (0.6, 0.9), (0.6, 0.3), (0.0, 0.3)),  # an L
    ]
    check_polygons(shapes, "here")


def test_a_bow_tie_is_refused() -> None:
    assert "edge 0 meets its edge 2" in problem((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9))


def test_a_corner_on_a_far_edge_is_refused() -> None:
    assert "meets its edge" in problem((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.0), (0.0, 1.0))


def test_an_edge_that_runs_back_is_refused() -> None:
    assert "edge 0 meets its edge 1" in problem((0.1, 0.1), (0.9, 0.1), (0.5, 0.1), (0.5, 0.9))
    assert "meets" in problem((0.1, 0.1), (0.5, 0.1), (0.9, 0.1))


def test_too_little_is_refused() -> None:
    assert "2 corners" in problem((0.1, 0.1), (0.2, 0.2))
    assert "stands twice" in problem((0.1, 0.1), (0.1, 0.1), (0.9, 0.9))
    assert "stands twice" in problem((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.1))
    assert "covers" in problem((0.1, 0.1), (0.102, 0.1), (0.1, 0.102))


@pytest.mark.parametrize("bad", [-0.01, 1.01, math.nan, math.inf])
def test_outside_the_picture_is_refused(bad: float) -> None:
    assert "outside the picture" in problem((0.1, 0.1), (bad, 0.1), (0.1, 0.9))


@given(st.integers(3, 32), st.floats(0.1, 0.45), st.floats(0, 6.28))
def test_every_regular_polygon_passes(corners: int, radius: float, turn: float) -> None:
    angles = [turn + 2 * math.pi * i / corners for i in range(corners)]
    shape = tuple((0.5 + radius * math.cos(a), 0.5 + radius * math.sin(a)) for a in angles)
    check_polygons([shape], "here")


@given(st.integers(2, 15))
def test_every_star_drawn_in_one_stroke_is_refused(half: int) -> None:
    corners, step = 2 * half + 1, half
    if corners < 5:
        return
    angles = [2 * math.pi * step * i / corners for i in range(corners)]
    shape = tuple((0.5 + 0.4 * math.cos(a), 0.5 + 0.4 * math.sin(a)) for a in angles)
    with pytest.raises(ConfigError, match="meets"):
        check_polygons([shape], "here")
