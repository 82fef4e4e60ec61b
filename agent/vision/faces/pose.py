"""Head pose from landmarks: the rigid mean shape fitted under scaled orthography."""

from __future__ import annotations

import numpy as np

from agent.base.types import Float, Pose
from agent.vision.faces.landmarks import FOREHEAD
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from agent.vision.kernels.pose import measure_head, scaled_orthographic_pose

_WEIGHTS = np.full(68, 0.3)
_WEIGHTS[[27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45]] = 1.0
# The jaw and the lips move with the expression, the brows a little.
_WEIGHTS[5:12] = 0.1
_WEIGHTS[48:68] = 0.1


def _inverse() -> Float:
    w = _WEIGHTS / _WEIGHTS.sum()
    centred = MEAN_SHAPE_3D.astype(np.float64) - w @ MEAN_SHAPE_3D
    solve = np.linalg.inv(centred.T @ (centred * w[:, None])) @ (centred * w[:, None]).T
    return np.ascontiguousarray(solve, np.float32)


_INVERSE = _inverse()


def head_pose(points: Float) -> Pose:
    """Pose of one face from its landmarks float32[68, 2], frame pixels."""
    yaw, pitch, roll, _ = scaled_orthographic_pose(points, _INVERSE)
    return Pose(yaw, pitch, roll)


def head_geometry(points: Float, box: Float) -> tuple[float, float, float, float, float]:
    """Pose, box and size of one face in one call.

    Parameters
    ----------
    points : float32[68, 2]
        Landmarks, frame pixels.
    box : float32[4]
        Overwritten: as `agent.vision.faces.landmarks.face_box`.

    Returns
    -------
    yaw, pitch, roll : float
        Degrees, as `agent.base.types.Pose`.
    facing : float
        Cosine of the angle to the direction of the camera.
    interocular : float
        As `agent.vision.faces.landmarks.interocular`.
    """
    geometry: tuple[float, float, float, float, float] = measure_head(
        points, _INVERSE, FOREHEAD, box
    )
    return geometry
