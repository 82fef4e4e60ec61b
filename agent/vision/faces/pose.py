"""Head pose from landmarks: the rigid mean shape fitted under scaled orthography."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agent.base.types import Float, Pose
from agent.kernels import pose as kernel
from agent.vision.faces.landmarks import FOREHEAD
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

_WEIGHTS = np.full(68, 0.3)
_WEIGHTS[[27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45]] = 1.0
# The jaw and the lips move with the expression, the brows a little.
_WEIGHTS[5:12] = 0.1
_WEIGHTS[48:68] = 0.1


def _pseudo_inverse() -> Float:
    """`inverse` of `agent.kernels.pose.scaled_orthographic_pose`."""
    w = _WEIGHTS / _WEIGHTS.sum()
    centred = MEAN_SHAPE_3D.astype(np.float64) - w @ MEAN_SHAPE_3D
    solve = np.linalg.inv(centred.T @ (centred * w[:, None])) @ (centred * w[:, None]).T
    return np.ascontiguousarray(solve, np.float32)


_PSEUDO_INVERSE = _pseudo_inverse()


class Head(NamedTuple):
    """Pose, box and size of one head."""

    points: Float
    """float32[68, 2], landmarks, frame pixels."""
    pose: Pose
    box: Float
    """float32[4], as `agent.vision.faces.landmarks.face_box`."""
    facing: float
    """Cosine of the angle between the face's normal and the direction to the camera."""
    interocular: float
    """As `agent.vision.faces.landmarks.interocular`."""


def measure_head(points: Float) -> Head:
    """Pose, box and size from landmarks float32[68, 2], frame pixels."""
    box = np.empty(4, np.float32)
    yaw, pitch, roll, facing, interocular = kernel.measure_head(
        points, _PSEUDO_INVERSE, FOREHEAD, box
    )
    return Head(points, Pose(yaw, pitch, roll), box, facing, interocular)
