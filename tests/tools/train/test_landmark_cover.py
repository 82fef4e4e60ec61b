"""What covers a face in training: where it lies, and what it hides."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import Float, Grey
from agent.vision.faces.align import LANDMARK_CROP, MEAN_SHAPE
from tools.train.landmarks import cover

POINTS = LANDMARK_CROP.place(MEAN_SHAPE)
SHAPE = (LANDMARK_CROP.size, LANDMARK_CROP.size)
DRAWS = 40


def _under(area: Grey, points: Float) -> np.ndarray:
    x, y = np.clip(np.round(points).astype(int), 0, SHAPE[0] - 1).T
    return np.asarray(area[y, x] > 0)


def test_masks_hide_the_mouth_and_never_the_eyes() -> None:
    rng = np.random.default_rng(1)
    hidden = np.mean(
        [_under(cover.mask_area(SHAPE, POINTS, rng), POINTS) for _ in range(DRAWS)], axis=0
    )
    assert hidden[48:68].min() > 0.95
    assert hidden[36:48].max() == 0
    assert 0.3 < hidden[cover.NOSE_TIP] < 1
    assert hidden[17:27].max() == 0


def test_glasses_hide_both_eyes_and_not_the_mouth() -> None:
    rng = np.random.default_rng(2)
    for _ in range(DRAWS):
        hidden = _under(cover.glasses_area(SHAPE, POINTS, LANDMARK_CROP.iod, rng), POINTS)
        assert hidden[[37, 41, 43, 47]].all()
        assert not hidden[48:68].any()


@pytest.mark.parametrize("draw", [cover.hand_area, cover.hair_area])
def test_hands_and_hair_hide_a_part_of_the_face(draw: object) -> None:
    rng = np.random.default_rng(3)
    shares = [
        _under(draw(SHAPE, POINTS, LANDMARK_CROP.iod, rng), POINTS).mean()  # type: ignore[operator]
        for _ in range(DRAWS)
    ]
    assert 0.02 < np.mean(shares) < 0.5
    assert max(shares) < 0.9


def test_a_cover_changes_the_crop_where_it_hides_points_and_nowhere_else_far_away() -> None:
    rng = np.random.default_rng(4)
    hid = np.zeros(68, int)
    for _ in range(DRAWS):
        face = rng.integers(90, 130, SHAPE, dtype=np.uint8)
        crop = face.copy()
        hidden = cover.cover(crop, POINTS, lambda: np.zeros(SHAPE, np.uint8), rng)
        hid += hidden
        changed = crop != face
        assert 0.005 < changed.mean() < 0.7
        x, y = np.round(POINTS[hidden]).astype(int).T
        if len(x):
            assert changed[y, x].mean() > 0.7
    # all parts of the face are hidden now and then, none always
    assert (hid > 0).mean() > 0.6
    assert hid.max() < DRAWS


def test_hard_light_has_a_dark_and_a_bright_side() -> None:
    rng = np.random.default_rng(5)
    face = np.full(SHAPE, 120, np.uint8)
    for _ in range(DRAWS):
        lit = cover.hard_light(face, POINTS, rng)
        assert lit.dtype == np.uint8
        assert lit.min() < 80
        assert lit.max() > 110
