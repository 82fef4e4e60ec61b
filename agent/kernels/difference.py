"""Feature differencing on facial channels: how one frame stands out from those around it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]


@njit(nogil=True, cache=True)
def bump_at(
    values: Float, middle: int, half: int, noise: Float
) -> tuple[int, float, float, int, int]:  # pragma: no cover
    """The strongest onset-apex-offset movement around one frame.

    Parameters
    ----------
    values : float32[T, C]
        Channels over time, oldest first; inter-ocular distances.
    middle : int
        The frame asked about, half <= middle < T - half.
    half : int
        Half the window, frames, at least 2.
    noise : float32[C]
        Standard deviation of each channel's difference at rest, inter-ocular distances.

    Returns
    -------
    channel : int
    height : float
        Displacement at `middle` from the straight line through both ends, signed.
    score : float
        |height| over the noise.
    start, end : int
        Frames at which the channel has come down to a third of `height`; -1 where it does not
        inside the window.

    Notes
    -----
    O(C * half) time, no allocation. After Moilanen, Zhao & Pietikäinen, ICPR 2014, who compare
    appearance histograms; ours differences landmark channels, against a line through the mean of
    three frames at each end rather than through two single frames, so that a steady drift gives 0
    and the reference is less noisy. Twin: tests/kernels/naive_difference.py.
    """
    best = 0
    best_score = -1.0
    best_height = 0.0
    for c in range(values.shape[1]):
        before = (
            values[middle - half, c] + values[middle - half + 1, c] + values[middle - half + 2, c]
        ) / 3.0
        after = (
            values[middle + half, c] + values[middle + half - 1, c] + values[middle + half - 2, c]
        ) / 3.0
        height = values[middle, c] - (before + after) / 2.0
        score = abs(height) / noise[c]
        if score > best_score:
            best = c
            best_score = score
            best_height = height
    c = best
    before = (
        values[middle - half, c] + values[middle - half + 1, c] + values[middle - half + 2, c]
    ) / 3.0
    after = (
        values[middle + half, c] + values[middle + half - 1, c] + values[middle + half - 2, c]
    ) / 3.0
    slope = (after - before) / (2.0 * half - 2.0)
    start = -1
    end = -1
    for k in range(1, half + 1):
        level = values[middle - k, c] - (before + after) / 2.0 + slope * k
        if level * best_height <= best_height * best_height / 3.0:
            start = middle - k
            break
    for k in range(1, half + 1):
        level = values[middle + k, c] - (before + after) / 2.0 - slope * k
        if level * best_height <= best_height * best_height / 3.0:
            end = middle + k
            break
    return best, best_height, best_score, start, end


@njit(nogil=True, cache=True)
def facial_channels(aligned: Float) -> Float:  # pragma: no cover
    """Twelve channels of one aligned face.

    Parameters
    ----------
    aligned : float32[68, 2]
        Landmarks aligned to the mean shape, inter-ocular distances, y down.

    Returns
    -------
    float32[12]
        Heights (up is positive): inner brow left, right, outer brow left, right, lip corner left,
        right, upper lip, lower lip; outward: lip corner left, right; eye opening left, right
        (picture sides).
    """
    out = np.empty(12, np.float32)
    out[0] = -(aligned[20, 1] + aligned[21, 1]) / 2
    out[1] = -(aligned[22, 1] + aligned[23, 1]) / 2
    out[2] = -(aligned[17, 1] + aligned[18, 1] + aligned[19, 1]) / 3
    out[3] = -(aligned[24, 1] + aligned[25, 1] + aligned[26, 1]) / 3
    out[4] = -(aligned[48, 1] + aligned[60, 1]) / 2
    out[5] = -(aligned[54, 1] + aligned[64, 1]) / 2
    out[6] = -(aligned[50, 1] + aligned[51, 1] + aligned[52, 1]) / 3
    out[7] = -(aligned[56, 1] + aligned[57, 1] + aligned[58, 1]) / 3
    out[8] = -(aligned[48, 0] + aligned[60, 0]) / 2
    out[9] = (aligned[54, 0] + aligned[64, 0]) / 2
    out[10] = (aligned[40, 1] + aligned[41, 1] - aligned[37, 1] - aligned[38, 1]) / 2
    out[11] = (aligned[46, 1] + aligned[47, 1] - aligned[43, 1] - aligned[44, 1]) / 2
    return out
