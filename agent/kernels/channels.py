"""Facial channels: landmark displacements with rigid head motion removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]
Flags = NDArray[np.bool_]


# Sums may be reordered, but NaN must propagate.
@kernel(fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy")
def face_channels(
    points: Float, inverse: Float, weights: Float, vertical: Flags, values: Float
) -> float:  # pragma: no cover
    """Channels and head pose of one face in one frame.

    Parameters
    ----------
    points : float32[N, 2]
        Landmarks, pixels, x right, y down.
    inverse : float32[4, N]
        Weighted pseudo-inverse of the rigid shape with a column of ones: landmarks to the affine
        camera (x, y, z, translation).
    weights : float32[C, N]
        Landmarks to channels: mean residual of the affine camera over the channel's points.
    vertical : bool[C]
        Whether the channel is the vertical component, else the horizontal one.
    values : float32[C + 6]
        Overwritten: the channels, per cent of the inter-ocular distance, in axes upright for the
        face; then yaw and pitch (about their sines, the camera's third column), roll in radians,
        log scale, and x and y translation in inter-ocular distances.

    Returns
    -------
    float
        Scale, pixels per inter-ocular distance (outer eye corners), without foreshortening by yaw.
        NaN where a landmark is not finite.

    Notes
    -----
    O(N C), no allocation. An affine camera on rigid points (Koenderink & van Doorn, JOSA A 8,
    1991) instead of a similarity, so that yaw and pitch leave no parallax.
    Twin: tests/kernels/naive_spotter.py.
    """
    channels = vertical.shape[0]
    n = points.shape[0]
    ax = np.float32(0)
    ay = np.float32(0)
    az = np.float32(0)
    at = np.float32(0)
    bx = np.float32(0)
    by = np.float32(0)
    bz = np.float32(0)
    bt = np.float32(0)
    for i in range(n):
        x = points[i, 0]
        y = points[i, 1]
        ax += inverse[0, i] * x
        ay += inverse[1, i] * x
        az += inverse[2, i] * x
        at += inverse[3, i] * x
        bx += inverse[0, i] * y
        by += inverse[1, i] * y
        bz += inverse[2, i] * y
        bt += inverse[3, i] * y
    scale = np.float32(0.5) * (
        np.sqrt(ax * ax + ay * ay + az * az) + np.sqrt(bx * bx + by * by + bz * bz)
    ) + np.float32(1e-6)
    roll = np.arctan2(bx - ay, ax + by)
    cos = np.float32(np.cos(roll)) / scale
    sin = np.float32(np.sin(roll)) / scale
    for c in range(channels):
        x = np.float32(0)
        y = np.float32(0)
        for i in range(n):
            x += weights[c, i] * points[i, 0]
            y += weights[c, i] * points[i, 1]
        if vertical[c]:
            values[c] = np.float32(100) * (cos * y - sin * x)
        else:
            values[c] = np.float32(100) * (cos * x + sin * y)
    values[channels] = cos * az + sin * bz
    values[channels + 1] = cos * bz - sin * az
    values[channels + 2] = roll
    values[channels + 3] = np.log(scale)
    values[channels + 4] = at / scale
    values[channels + 5] = bt / scale
    return scale
