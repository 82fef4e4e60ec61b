"""Portraits that are cut out and tilted: which, and where they lie then."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from agent.base.types import Float, Grey
from agent.vision.faces.align import MEAN_SHAPE, five_points
from tools.eval.data import Faces
from tools.eval.detector import tilt
from tools.eval.detector.tilt import HEIGHT, SIZE, Portrait, cut_out, on_face, tilted

BEHIND = np.full((100, 160), 40, np.uint8)


def portrait(size: int = 140, iod: float = 50.0) -> Portrait:
    """White points on grey where the landmarks are; the eyes are larger."""
    points = (MEAN_SHAPE * np.float32(iod) + size / 2 - [0, 20]).astype(np.float32)
    picture = np.full((size, size), 120, np.uint8)
    for x, y in five_points(points)[:2]:
        cv2.circle(picture, (round(float(x)), round(float(y))), 5, 255, -1)
    return Portrait(picture, points, 3)


def faces(*portraits: Portrait) -> Faces:
    count = len(portraits)
    points: Float = np.stack([each.points for each in portraits])
    none: Any = np.zeros(count)
    return Faces(
        [each.picture for each in portraits], none, points, points, none,
        np.array([each.person for each in portraits]), ["ytf"] * count,
        none, none, none, none, none, none,
    )  # fmt: skip


def test_only_faces_with_room_around_them_are_cut_out() -> None:
    roomy, tight = portrait(), portrait(iod=85.0)
    (found,) = cut_out(faces(tight, roomy))
    assert found.picture is roomy.picture
    assert found.person == 3


@pytest.mark.parametrize("degrees", [0, 45, -45, 90, 180])
def test_the_face_lies_in_the_middle_turned_clockwise(degrees: float) -> None:
    shown = tilted(portrait(), BEHIND, degrees)
    assert shown.picture.shape == SIZE[::-1]
    assert (shown.picture[:20] == 40).all(), "what is behind stays"
    ys, xs = np.nonzero(shown.picture > 200)
    away = np.array([xs.mean() - SIZE[0] / 2, ys.mean() - SIZE[1] / 2])
    # the eyes stand above the middle of an upright face, right of it after a quarter turn
    angle = np.degrees(np.arctan2(away[0], -away[1]))
    assert abs((angle - degrees + 180) % 360 - 180) < 4
    x0, y0, x1, y1 = shown.box
    assert x0 < xs.mean() < x1
    assert y0 < ys.mean() < y1
    if degrees == 0:
        assert y1 - y0 == pytest.approx(HEIGHT, abs=1)


def test_a_listed_face_counts_where_it_lies_on_the_portrait() -> None:
    shown = tilted(portrait(), BEHIND, 30)
    off = {"box": [0.0, 0.0, 40.0, 40.0]}
    on = {"box": [float(v) for v in shown.box]}
    assert on_face(shown, []) is None
    assert on_face(shown, [off]) is None
    assert on_face(shown, [off, on]) is on


def test_the_table_has_a_row_for_each_tilt() -> None:
    share = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}
    rows = [{"degrees": each, **dict.fromkeys(tilt.COLUMNS, share)} for each in (0, 60)]
    text = tilt.section({"portraits": 120, "filmed": 40, "tilts": rows})
    assert text.count("50 % (25 to 75)") == 2 * len(tilt.COLUMNS)
    assert "| 60 | 50 %" in text
    assert "120 unseen portraits" in text


def test_a_picture_is_never_changed_in_place() -> None:
    given = portrait()
    before: Grey = given.picture.copy()
    tilted(given, BEHIND, 60)
    assert (given.picture == before).all()
