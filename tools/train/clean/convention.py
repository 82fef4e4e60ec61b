"""Conventions of landmarks: where the renderer has them, and where the teachers put them."""

from __future__ import annotations

import numpy as np

from agent.base.types import Float
from agent.vision.faces.align import MEAN_SHAPE, similarity

# Where the teachers put each point, less where the face space has it: medians over 64 rendered
# near-frontal faces, made symmetric, thousandths of the IOD in the mean shape's frame. Rendered and
# SFHQ labels then mean the same; FaceMesh agrees to 2.2 % of the IOD with the moved points.
_SHIFT: Float = np.array(
    [
        *[(-27, 38), (-15, 10), (-15, -4), (-15, -11), (-31, -56), (-62, -86), (-42, -50)],
        *[(-23, -29), (0, -36), (23, -29), (42, -50), (62, -86), (31, -56), (15, -11)],
        *[(15, -4), (15, 10), (27, 38), (-15, -32), (-27, -7), (-35, -7), (-63, -2)],
        *[(-23, -18), (23, -18), (63, -2), (35, -7), (27, -7), (15, -32), (0, -2), (0, 36)],
        *[(0, 58), (0, 8), (6, -41), (-11, -14), (0, -21), (11, -14), (-6, -41), (-6, 5)],
        *[(7, 3), (0, 6), (10, 12), (-1, 23), (15, 24), (-10, 12), (0, 6), (-7, 3), (6, 5)],
        *[(-15, 24), (1, 23), (14, 4), (36, -7), (5, 2), (0, 11), (-5, 2), (-36, -7)],
        *[(-14, 4), (-52, 27), (-37, 12), (0, 5), (37, 12), (52, 27), (5, 2), (52, -6)],
        *[(0, -7), (-52, -6), (-5, 2), (-59, 10), (0, 6), (59, 10)],
    ],
    np.float32,
) * np.float32(0.001)


def as_labelled(points: Float, yaw: Float) -> Float:
    """Rendered points float32[N, 68, 2] moved to where the teachers of SFHQ would put them.

    `yaw` float32[N], degrees.
    """
    moved = points.copy()
    for k, one in enumerate(points):
        moved[k] = one + _step(one, float(yaw[k]))
    return moved


def as_rendered(points: Float, yaw: float = 0.0) -> Float:
    """The teachers' points float32[68, 2] moved to where the renderer would have them."""
    return (points - _step(points, yaw)).astype(np.float32)


def _step(points: Float, yaw: float) -> Float:
    linear = similarity(MEAN_SHAPE[17:], points[17:])[:, :2]
    shift = _SHIFT * np.array([np.cos(np.radians(yaw)), 1.0], np.float32)
    return np.asarray(shift @ linear.T, np.float32)
