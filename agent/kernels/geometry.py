"""Least-squares similarities and bounding boxes of point sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]


@kernel()
def fit_similarity(source: Float, target: Float) -> Float:  # pragma: no cover
    """Least-squares similarity (rotation, uniform scale, shift) between matched points.

    Parameters
    ----------
    source, target : float32[N, 2]
        Matching points, any unit.

    Returns
    -------
    float32[2, 3]
        Source to target; the identity scaled to zero when all source points coincide.

    Notes
    -----
    O(N), one allocation. Umeyama, IEEE TPAMI 13(4), 1991, in complex form: with z and w the centred
    points as complex numbers the best linear part is sum(conj(z) w) / sum(|z|^2); we never reflect.
    Twin: `agent.vision.faces.align.similarity`.
    """
    n = source.shape[0]
    ax = 0.0
    ay = 0.0
    bx = 0.0
    by = 0.0
    for i in range(n):
        ax += source[i, 0]
        ay += source[i, 1]
        bx += target[i, 0]
        by += target[i, 1]
    ax /= n
    ay /= n
    bx /= n
    by /= n
    real = 0.0
    imag = 0.0
    norm = 1e-12
    for i in range(n):
        zx = source[i, 0] - ax
        zy = source[i, 1] - ay
        wx = target[i, 0] - bx
        wy = target[i, 1] - by
        real += zx * wx + zy * wy
        imag += zx * wy - zy * wx
        norm += zx * zx + zy * zy
    c = real / norm
    s = imag / norm
    out = np.empty((2, 3), np.float32)
    out[0, 0] = c
    out[0, 1] = -s
    out[1, 0] = s
    out[1, 1] = c
    out[0, 2] = bx - (c * ax - s * ay)
    out[1, 2] = by - (s * ax + c * ay)
    return out


@kernel()
def landmarks_in_frame(
    matrix: Float, relative: Float, logit: Float, size: float, points: Float
) -> float:  # pragma: no cover
    """Landmark network outputs transformed from crop to frame coordinates.

    Parameters
    ----------
    matrix : float32[2, 3]
        Similarity, frame to crop pixels.
    relative : float32[1, 2 N]
        x and y of each point, relative to the crop size.
    logit : float32[1, 1]
        Face presence.
    size : float
        Crop size, pixels.
    points : float32[N, 2]
        Overwritten, frame pixels; all zero where the matrix has no inverse.

    Returns
    -------
    float
        Probability of presence.
    """
    a = float(matrix[0, 0])
    c = float(matrix[1, 0])
    area = a * a + c * c
    if area > 1e-18:
        for i in range(points.shape[0]):
            x = size * relative[0, 2 * i] - matrix[0, 2]
            y = size * relative[0, 2 * i + 1] - matrix[1, 2]
            points[i, 0] = (a * x + c * y) / area
            points[i, 1] = (a * y - c * x) / area
    else:
        points[:] = 0
    return 1.0 / (1.0 + np.exp(-float(logit[0, 0])))


@kernel()
def extent(points: Float) -> Float:  # pragma: no cover
    """Axis-aligned bounding box float32[4], xyxy, of points float32[N, 2], N >= 1. O(N)."""
    out = np.empty(4, np.float32)
    out[0] = out[2] = points[0, 0]
    out[1] = out[3] = points[0, 1]
    for i in range(1, points.shape[0]):
        out[0] = min(out[0], points[i, 0])
        out[1] = min(out[1], points[i, 1])
        out[2] = max(out[2], points[i, 0])
        out[3] = max(out[3], points[i, 1])
    return out
