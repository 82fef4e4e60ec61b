"""The schematic face is nobody's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agent.base.types import ACTION_UNITS, MICRO_ACTION_UNITS
from agent.desk.review.face import HALVES, displacements, drawing
from agent.vision.faces.align import FLIP
from agent.vision.faces.shape3d import MEAN_SHAPE_3D


def test_every_unit_that_is_estimated_is_drawn() -> None:
    assert {*ACTION_UNITS, *MICRO_ACTION_UNITS} <= HALVES.keys()
    assert not displacements("AU99").any()


@pytest.mark.parametrize("unit", HALVES)
def test_units_move_both_sides_alike_and_by_what_is_said(unit: str) -> None:
    moved = displacements(unit)
    np.testing.assert_allclose(moved[FLIP] * (-1, 1), moved, atol=1e-6)
    size, half = HALVES[unit]
    most = max(np.hypot(*share) for share in half.values())
    assert np.hypot(*moved.T).max() == pytest.approx(size * most, rel=1e-5)
    assert np.hypot(*moved.T).max() < 0.25


@pytest.mark.parametrize(
    ("unit", "point", "way"), [("AU01", 21, -1), ("AU04", 21, 1), ("AU12", 48, -1), ("AU15", 54, 1),
                               ("AU26", 8, 1), ("AU45", 37, 1), ("AU05", 44, -1)],
)  # fmt: skip
def test_they_move_the_right_way(unit: str, point: int, way: int) -> None:
    assert np.sign(displacements(unit)[point, 1]) == way


def test_the_drawing_is_the_mean_shape() -> None:
    found = json.loads(json.dumps(drawing()))
    np.testing.assert_allclose(found["points"], MEAN_SHAPE_3D, atol=1e-3)
    assert sorted(n for part, _ in found["outlines"] for n in part) == list(range(68))
