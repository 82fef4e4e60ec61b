"""What is drawn out of dots."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.base.types import Face, Landmarks, Perceived, Pose
from agent.desk.aim.canvas import Canvas
from agent.desk.aim.face import scene, schematic
from agent.vision.faces.align import MEAN_SHAPE

EMPTY = "⠀"


def test_a_dot_lies_where_unicode_says() -> None:
    canvas = Canvas(1, 1, 2, 4)
    canvas.points(np.array([[1, 3]], np.float32))
    assert canvas.rows() == ["⢀"]


def test_a_line_has_no_gaps_and_both_ends() -> None:
    canvas = Canvas(20, 5, 40, 20)
    canvas.line(np.array([0, 0], np.float32), np.array([39, 19], np.float32))
    rows = canvas.rows()
    assert rows[0][0] != EMPTY
    assert rows[-1][-1] != EMPTY
    assert sum(bin(ord(char) - 0x2800).count("1") for row in rows for char in row) >= 40


@pytest.mark.parametrize("value", [math.nan, math.inf, -1e30, 1e30])
def test_what_is_no_place_is_not_drawn(value: float) -> None:
    canvas = Canvas(10, 5, 20, 20)
    canvas.path(np.array([[5, 5], [value, 5], [value, value]], np.float32), closed=True)
    canvas.points(np.array([[value, value]], np.float32))
    assert len(canvas.rows()) == 5


def test_a_picture_fills_the_canvas_whatever_its_shape() -> None:
    for width, height in ((640, 480), (480, 640), (1920, 300), (1, 1)):
        rows = scene(Perceived(0.0, (), size=(width, height)), 40, 20)
        assert {len(row) for row in rows} == {40}
        assert len(rows) == 20
        assert rows[0][0] != EMPTY


def test_a_tilted_face_is_drawn_as_the_upright_one() -> None:
    """The drawing says how a face looks, not where it is or how it is held."""
    upright = schematic(MEAN_SHAPE, 26, 13)
    turn = math.radians(30)
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    tilted = schematic((2.5 * MEAN_SHAPE @ matrix + 300).astype(np.float32), 26, 13)
    same = sum(a == b for a, b in zip("".join(upright), "".join(tilted), strict=True))
    assert same > 0.85 * 26 * 13


def test_a_face_without_extent_is_left_out() -> None:
    assert set("".join(schematic(np.zeros((68, 2), np.float32), 10, 5))) == {EMPTY}


def test_every_face_has_its_box() -> None:
    points = (MEAN_SHAPE + np.array([200, 100])).astype(np.float32)
    pose = Pose(0.0, 0.0, 0.0)
    faces = tuple(
        Face(n, np.array(box, np.float32), 1.0, Landmarks(points, 1.0), points, pose, True, None)
        for n, box in enumerate([(100, 100, 200, 200), (400, 200, 500, 300)])
    )
    alone = scene(Perceived(0.0, faces[:1], size=(640, 480)), 80, 30)
    both = scene(Perceived(0.0, faces, size=(640, 480)), 80, 30)
    assert sum(a != b for a, b in zip("".join(alone), "".join(both), strict=True)) > 20
