"""Where landmarks of the previous frame are expected in the crop of the next one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]

EARLIER, NETWORK, GUESS, START = range(4)
"""Rows of `in_crop`."""
# Duplicated in `kernels.fusion` (see the package docstring); a test compares them.


@kernel()
def _transformed(matrix: Float, points: Float) -> Float:  # pragma: no cover
    out = np.empty((points.shape[0], 2), np.float32)
    for i in range(points.shape[0]):
        x = points[i, 0]
        y = points[i, 1]
        out[i, 0] = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
        out[i, 1] = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return out


@kernel()
def _moved_by_similarity(source: Float, target: Float) -> Float:  # pragma: no cover
    """`source` transformed by the least-squares similarity to `target`, see `kernels.geometry`."""
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
    out = np.empty_like(source)
    for i in range(n):
        zx = source[i, 0] - ax
        zy = source[i, 1] - ay
        out[i, 0] = c * zx - s * zy + bx
        out[i, 1] = s * zx + c * zy + by
    return out


@kernel()
def predict_landmarks(
    matrix_before: Float,
    matrix_after: Float,
    earlier: Float,
    network: Float,
    iod: float,
    in_crop: Float,
) -> float:  # pragma: no cover
    """Starting points of the flow between two crops.

    Parameters
    ----------
    matrix_before, matrix_after : float32[2, 3]
        Frame to crop pixels of each.
    earlier : float32[N, 2]
        Landmarks in the older frame, frame pixels.
    network : float32[N, 2]
        The network's landmarks in the newer frame, frame pixels; only the initial guess.
    iod : float
        Inter-ocular distance, crop pixels.
    in_crop : float32[4, N, 2]
        Overwritten. START: `earlier` in pixels of the older crop. In those of the newer one,
        EARLIER and NETWORK: those points; GUESS: `earlier` moved to `network` by a similarity.

    Returns
    -------
    float
        Mean distance from `earlier` to the guess, inter-ocular distances; -1 where the network's
        points are 0.25 IOD away on average, which is a jump.
    """
    in_crop[EARLIER] = _transformed(matrix_after, earlier)
    in_crop[NETWORK] = _transformed(matrix_after, network)
    in_crop[GUESS] = _moved_by_similarity(in_crop[EARLIER], in_crop[NETWORK])
    in_crop[START] = _transformed(matrix_before, earlier)
    n = earlier.shape[0]
    apart = 0.0
    moved = 0.0
    for i in range(n):
        dx = in_crop[NETWORK, i, 0] - in_crop[EARLIER, i, 0]
        dy = in_crop[NETWORK, i, 1] - in_crop[EARLIER, i, 1]
        apart += np.sqrt(dx * dx + dy * dy)
        dx = in_crop[GUESS, i, 0] - in_crop[EARLIER, i, 0]
        dy = in_crop[GUESS, i, 1] - in_crop[EARLIER, i, 1]
        moved += np.sqrt(dx * dx + dy * dy)
    return moved / (iod * n) if apart <= 0.25 * iod * n else -1.0


@kernel()
def carry_landmarks(
    network: Float, answered: Float, before: Float, latest: Float, ahead: float
) -> Float:  # pragma: no cover
    """The network's latest answer, moved with the head since then and on into the next frame.

    Parameters
    ----------
    network : float32[N, 2]
        The answer, frame pixels.
    answered, before, latest : float32[N, 2]
        Landmarks in the frame of the answer, in the last frame but one, and in the last one.
    ahead : float
        Time to the next frame over that between the last two.

    Returns
    -------
    float32[N, 2]
        Shifted by the mean movement from `answered` to `latest`, and by the mean velocity. O(N).
    """
    n = network.shape[0]
    across = 0.0
    down = 0.0
    for i in range(n):
        across += latest[i, 0] - answered[i, 0] + ahead * (latest[i, 0] - before[i, 0])
        down += latest[i, 1] - answered[i, 1] + ahead * (latest[i, 1] - before[i, 1])
    across /= n
    down /= n
    out = np.empty((n, 2), np.float32)
    for i in range(n):
        out[i, 0] = network[i, 0] + across
        out[i, 1] = network[i, 1] + down
    return out
