"""The crops that the landmark network learns from, on made-up faces whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np

from agent.vision.faces.align import FLIP, LANDMARK_CROP, MEAN_SHAPE, apply
from tests.tools.packs import noise_faces as _faces
from tools.train.landmarks import crops as landmarks_crops
from tools.train.landmarks.data import SIZE, Faces, about_centre, back, valid_crop


def test_drawn_crops_hold_their_points() -> None:
    faces = _faces()
    crops = landmarks_crops.Crops(faces, faces.pictures, 1)
    rng = np.random.default_rng(8)
    drawn = [crops.draw(rng) for _ in range(200)]
    there = [item for item in drawn if item[3] == 1]
    assert 150 < len(there) < 200
    for crop, points, weight, _ in there:
        assert crop.shape == (SIZE, SIZE)
        assert crop.dtype == np.uint8
        assert (weight > 0).all()
        # upright or mirrored, the eyes stay left and right, and about in place
        assert points[36, 0] < points[45, 0]
        assert np.abs(points * SIZE - LANDMARK_CROP.place(MEAN_SHAPE)).mean() < 25
    for _, _, weight, _ in (item for item in drawn if item[3] == 0):
        assert not weight.any()


def test_clean_crops_show_the_same_spot_under_every_point() -> None:
    """Cutting and mirroring move picture and points together."""
    faces = _faces(1)
    label = faces.points[0]
    dots = np.zeros((140, 130), np.uint8)
    for x, y in label[[36, 45, 48]]:
        cv2.circle(dots, (round(float(x)), round(float(y))), 3, 255, -1)
    faces = Faces([dots], faces.points, faces.weight, faces.source, faces.yaw, faces.share)
    crops = landmarks_crops.Crops(faces, [dots], 1)
    rng = np.random.default_rng(9)
    hits = []
    for _ in range(150):
        crop, points, weight, _ = crops.draw(rng)
        if weight.any():
            # mirrored, point 48 is what was 54, where there is no dot
            x, y = (points[[36, 45]] * SIZE).round().astype(int).T
            inside = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)
            hits += list(crop[y[inside], x[inside]] > np.median(crop))
    assert np.mean(hits) > 0.9
    assert sorted(FLIP[[36, 45]]) == [36, 45]


def test_back_undoes_the_crop() -> None:
    label = _faces(1).points[0]
    matrix = valid_crop(label, about_centre(9, 0.8, np.array([3, 1], np.float32)))
    np.testing.assert_allclose(back(matrix, apply(matrix, label)), label, atol=1e-3)
