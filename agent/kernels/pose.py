"""Head rotation from matched 2-D and 3-D points under scaled orthography."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]


@njit(nogil=True, cache=True)
def scaled_orthographic_pose(points: Float, inverse: Float) -> Float:  # pragma: no cover
    """Rotation and scale of a rigid shape from its picture.

    Parameters
    ----------
    points : float32[N, 2]
        Picture points, pixels, x right, y down.
    inverse : float32[3, N]
        Weighted pseudo-inverse of the centred 3-D shape (x right, y down, z away from the camera),
        columns summing to zero, so that the shift drops out.

    Returns
    -------
    float32[4]
        yaw, pitch, roll in degrees (signs as in `agent.types.Pose`) and scale in pixels per unit of
        the shape; all zero for points without extent.

    Notes
    -----
    O(N), one allocation. The first step of POSIT (DeMenthon & Davis, IJCV 15, 1995): the 2x3 affine
    camera by least squares, here followed by the nearest pair of orthonormal rows instead of their
    normalisation one by one. Perspective is ignored: below 1 degree for faces beyond 0.5 m.
    """
    a = np.zeros((2, 3))
    for i in range(points.shape[0]):
        for k in range(3):
            w = inverse[k, i]
            a[0, k] += points[i, 0] * w
            a[1, k] += points[i, 1] * w
    out = np.zeros(4, np.float32)
    n0 = np.sqrt(a[0, 0] ** 2 + a[0, 1] ** 2 + a[0, 2] ** 2)
    n1 = np.sqrt(a[1, 0] ** 2 + a[1, 1] ** 2 + a[1, 2] ** 2)
    if n0 < 1e-9 or n1 < 1e-9:
        return out
    # For unit rows p, q the sum and the difference are orthogonal; their unit vectors rotated by 45
    # degrees are the closest orthonormal pair.
    nu = 0.0
    nv = 0.0
    u = np.empty(3)
    v = np.empty(3)
    for k in range(3):
        u[k] = a[0, k] / n0 + a[1, k] / n1
        v[k] = a[0, k] / n0 - a[1, k] / n1
        nu += u[k] * u[k]
        nv += v[k] * v[k]
    if nu < 1e-12 or nv < 1e-12:
        return out
    nu = np.sqrt(2.0 * nu)
    nv = np.sqrt(2.0 * nv)
    r0 = np.empty(3)
    r1 = np.empty(3)
    for k in range(3):
        r0[k] = u[k] / nu + v[k] / nv
        r1[k] = u[k] / nu - v[k] / nv
    r2z = r0[0] * r1[1] - r0[1] * r1[0]
    # The face looks along -z of the shape.
    fx = -r0[2]
    fy = -r1[2]
    fz = -r2z
    degree = 180.0 / np.pi
    out[0] = np.arctan2(fx, -fz) * degree
    out[1] = np.arcsin(min(1.0, max(-1.0, fy))) * degree
    # R = turn(yaw) nod(pitch) tilt(roll): its second row is cos(pitch) (sin roll, cos roll, ..).
    out[2] = np.arctan2(r1[0], r1[1]) * degree
    out[3] = np.sqrt(n0 * n1)
    return out
