from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.vision.faces.align import (
    FLIP,
    LANDMARK_CROP,
    MEAN_FIVE,
    MEAN_SHAPE,
    apply,
    cut,
    five_points,
    invert,
    similarity,
)


def test_mirroring_the_mean_shape_gives_the_mean_shape() -> None:
    np.testing.assert_allclose(MEAN_SHAPE[FLIP] * [-1, 1], MEAN_SHAPE, atol=2e-3)
    assert sorted(FLIP) == list(range(68))
    np.testing.assert_array_equal(FLIP[FLIP], np.arange(68))


def test_the_unit_is_the_outer_eye_distance() -> None:
    assert MEAN_SHAPE[45, 0] - MEAN_SHAPE[36, 0] == pytest.approx(1.0)
    np.testing.assert_allclose(MEAN_FIVE, five_points(MEAN_SHAPE))


def test_the_whole_mean_face_lies_inside_the_landmark_crop() -> None:
    points = LANDMARK_CROP.place(MEAN_SHAPE)
    assert points.min() > 8
    assert points.max() < LANDMARK_CROP.size - 8


def test_inverse_undoes() -> None:
    turned = MEAN_SHAPE[:, ::-1] * np.array([-20, 20], np.float32)
    matrix = similarity(MEAN_SHAPE, turned + np.float32(3))
    there = apply(matrix, MEAN_SHAPE)
    np.testing.assert_allclose(apply(invert(matrix), there), MEAN_SHAPE, atol=1e-4)


@pytest.mark.parametrize("scale", [2.0, 1.0, 0.6, 0.45, 0.2, 0.05])
def test_a_crop_maps_points_by_its_matrix(scale: float) -> None:
    """Also when the picture is shrunk by area first: a soft dot must not move."""
    side = int(80 / scale)
    dot = np.array([side * 0.55, side * 0.4])
    y, x = np.mgrid[:side, :side]
    spread = 4.0 / scale
    picture = 255 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * spread**2))
    matrix = np.array([[scale, 0, 3.0], [0, scale, 5.0]], np.float32)
    crop = cut(picture.astype(np.uint8), matrix, 96).astype(float)
    v, u = np.mgrid[:96, :96]
    centre = np.array([(crop * u).sum(), (crop * v).sum()]) / crop.sum()
    expected = apply(matrix, dot[None].astype(np.float32))[0]
    np.testing.assert_allclose(centre, expected, atol=0.15)


def test_shrinking_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (400, 200))
    crop = cut(stripes, np.array([[0.25, 0, 0], [0, 0.25, 0]], np.float32), 96)
    assert np.ptp(crop[4:-4, 4:-4].astype(int)) < 20
    assert cv2.mean(crop[4:-4, 4:-4])[0] == pytest.approx(127, abs=4)
