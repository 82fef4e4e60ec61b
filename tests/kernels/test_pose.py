from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import Pose
from agent.vision.faces.pose import measure_head
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from tests.vision.rotation import rotation


@pytest.mark.parametrize(
    "angles",
    [(0, 0, 0), (30, 0, 0), (-30, 0, 0), (0, 20, 0), (0, -20, 0), (0, 0, 25), (25, -10, 15)],
)
def test_angles_of_a_turned_shape_are_found_again(angles: tuple[float, float, float]) -> None:
    turned = MEAN_SHAPE_3D @ rotation(*angles).T
    points = (turned[:, :2] * 80 + [320, 240]).astype(np.float32)
    pose = measure_head(points).pose
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx(angles, abs=0.5)


def test_signs_are_those_a_person_would_see() -> None:
    nose, middle = 30, 27
    right = MEAN_SHAPE_3D @ rotation(30, 0, 0).T
    assert right[nose, 0] > right[middle, 0], "yaw > 0: the nose points to the right edge"
    down = MEAN_SHAPE_3D @ rotation(0, 30, 0).T
    level = MEAN_SHAPE_3D
    assert down[nose, 1] - down[middle, 1] > level[nose, 1] - level[middle, 1]


def test_points_without_extent_have_no_pose() -> None:
    assert measure_head(np.zeros((68, 2), np.float32)).pose == Pose(0.0, 0.0, 0.0)


@pytest.mark.parametrize("angles", [(0, 0, 60), (20, 0, 0), (16, -16, 0), (-25, 10, 30)])
def test_facing_is_the_cosine_to_the_camera(angles: tuple[float, float, float]) -> None:
    """Attention is a cone: rolling the head does not leave it."""
    turned = MEAN_SHAPE_3D @ rotation(*angles).T
    points = (turned[:, :2] * 80 + [320, 240]).astype(np.float32)
    yaw, pitch, _ = np.radians(angles)
    assert measure_head(points).facing == pytest.approx(np.cos(yaw) * np.cos(pitch), abs=0.01)
