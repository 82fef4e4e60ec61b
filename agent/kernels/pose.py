"""Head pose, bounding box and size of a face from its landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]


@kernel()
def scaled_orthographic_pose(
    points: Float, inverse: Float
) -> tuple[float, float, float, float]:  # pragma: no cover
    """Rotation of a rigid shape under scaled orthographic projection.

    Parameters
    ----------
    points : float32[N, 2]
        Image points, pixels, x right, y down.
    inverse : float32[3, N]
        Weighted pseudo-inverse of the centred 3-D shape (x right, y down, z away from the camera),
        rows summing to zero, so that translation cancels.

    Returns
    -------
    yaw, pitch, roll : float
        Degrees, signs as in `agent.base.types.Pose`; zero for coincident points.
    facing : float
        Cosine of the angle between the face and the direction to the camera; 1 for coincident
        points.

    Notes
    -----
    O(N), no allocation. The first step of POSIT (DeMenthon & Davis, IJCV 15, 1995): the 2x3 affine
    camera by least squares; ours takes the nearest orthonormal rows instead of normalising each.
    The error from neglecting perspective is below 1 degree for faces beyond 0.5 m.
    """
    ax = 0.0
    ay = 0.0
    az = 0.0
    bx = 0.0
    by = 0.0
    bz = 0.0
    for i in range(points.shape[0]):
        x = points[i, 0]
        y = points[i, 1]
        ax += x * inverse[0, i]
        ay += x * inverse[1, i]
        az += x * inverse[2, i]
        bx += y * inverse[0, i]
        by += y * inverse[1, i]
        bz += y * inverse[2, i]
    length_a = np.sqrt(ax * ax + ay * ay + az * az)
    length_b = np.sqrt(bx * bx + by * by + bz * bz)
    if length_a < 1e-9 or length_b < 1e-9:
        return 0.0, 0.0, 0.0, 1.0
    # For unit rows p, q the sum and difference are orthogonal; rotated by 45 degrees and
    # normalised they are the nearest orthonormal pair.
    ux = ax / length_a + bx / length_b
    uy = ay / length_a + by / length_b
    uz = az / length_a + bz / length_b
    vx = ax / length_a - bx / length_b
    vy = ay / length_a - by / length_b
    vz = az / length_a - bz / length_b
    length_u = np.sqrt(2.0 * (ux * ux + uy * uy + uz * uz))
    length_v = np.sqrt(2.0 * (vx * vx + vy * vy + vz * vz))
    if length_u < 1e-6 or length_v < 1e-6:
        return 0.0, 0.0, 0.0, 1.0
    ax = ux / length_u + vx / length_v
    ay = uy / length_u + vy / length_v
    az = uz / length_u + vz / length_v
    bx = ux / length_u - vx / length_v
    by = uy / length_u - vy / length_v
    bz = uz / length_u - vz / length_v
    # The face looks along -z of the shape: (-az, -bz, -facing) in the camera frame.
    facing = ax * by - ay * bx
    degree = 180.0 / np.pi
    yaw = np.arctan2(-az, facing) * degree
    pitch = np.arcsin(min(1.0, max(-1.0, -bz))) * degree
    # R = R(yaw) R(pitch) R(roll): its second row is cos(pitch) (sin roll, cos roll, ..).
    roll = np.arctan2(bx, by) * degree
    return yaw, pitch, roll, facing


@kernel()
def measure_head(
    points: Float, inverse: Float, forehead: float, box: Float
) -> tuple[float, float, float, float, float]:  # pragma: no cover
    """Pose, bounding box and size of one head.

    Parameters
    ----------
    points : float32[68, 2]
        Landmarks, pixels.
    inverse : float32[3, 68]
        As in `scaled_orthographic_pose`.
    forehead : float
        Extension of the box above the landmarks, share of their height.
    box : float32[4]
        Overwritten: xyxy of the landmarks and the forehead.

    Returns
    -------
    yaw, pitch, roll, facing : float
        As `scaled_orthographic_pose`.
    interocular : float
        Distance between the outer eye corners, pixels.
    """
    left = points[0, 0]
    top = points[0, 1]
    right = left
    bottom = top
    for i in range(1, points.shape[0]):
        left = min(left, points[i, 0])
        top = min(top, points[i, 1])
        right = max(right, points[i, 0])
        bottom = max(bottom, points[i, 1])
    box[0] = left
    box[1] = top - np.float32(forehead) * (bottom - top)
    box[2] = right
    box[3] = bottom
    yaw, pitch, roll, facing = scaled_orthographic_pose(points, inverse)
    interocular = np.hypot(points[45, 0] - points[36, 0], points[45, 1] - points[36, 1])
    return yaw, pitch, roll, facing, interocular
