"""The rigid mean shape: the frame it declares, and what a real face requires of it."""

import numpy as np

from agent.vision.faces.align import FLIP, MEAN_SHAPE
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

EYES, NOSE_TIP, JAW_ENDS, EARWARD_BROWS = [36, 45], 30, [0, 16], [17, 26]


def test_origin_and_unit_are_the_outer_eye_corners() -> None:
    left, right = MEAN_SHAPE_3D[EYES]
    np.testing.assert_allclose((left + right) / 2, 0, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(right - left), 1, atol=2e-3)


def test_mirrored_it_is_itself() -> None:
    np.testing.assert_allclose(MEAN_SHAPE_3D[FLIP] * [-1, 1, 1], MEAN_SHAPE_3D, atol=2e-3)


def test_nose_tip_is_nearest_and_jaw_ends_are_furthest() -> None:
    z = MEAN_SHAPE_3D[:, 2]
    assert z.argmin() == NOSE_TIP
    assert set(np.argsort(z)[-2:]) == set(JAW_ENDS)
    assert z[NOSE_TIP] < -0.4
    assert z[JAW_ENDS].min() > z[EARWARD_BROWS].max()


def test_seen_from_the_front_it_is_the_flat_mean_shape() -> None:
    gap = np.linalg.norm(MEAN_SHAPE_3D[:, :2] - MEAN_SHAPE, axis=1)
    assert gap.max() < 0.03
