"""Feature differencing on facial channels: how one frame stands out from those around it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]
Indices = NDArray[np.int64]


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
def facial_channels(
    points: Float, mean: Float, rigid: Indices, channels: Float
) -> None:  # pragma: no cover
    """Twelve channels of one face, head motion taken out.

    Parameters
    ----------
    points : float32[68, 2]
        Landmarks, pixels, y down.
    mean : float32[68, 2]
        The mean shape, inter-ocular distances.
    rigid : int64[R]
        Points that expressions do not move. The similarity that brings them to their places in the
        mean shape (least squares, as in `kernels.geometry`) aligns the face.
    channels : float32[12]
        Overwritten, inter-ocular distances. Heights (up is positive): inner brow left, right, outer
        brow left, right, lip corner left, right, upper lip, lower lip; outward: lip corner left,
        right; eye opening left, right (picture sides).
    """
    n = rigid.shape[0]
    ax = 0.0
    ay = 0.0
    bx = 0.0
    by = 0.0
    for i in rigid:
        ax += points[i, 0]
        ay += points[i, 1]
        bx += mean[i, 0]
        by += mean[i, 1]
    ax /= n
    ay /= n
    bx /= n
    by /= n
    real = 0.0
    imag = 0.0
    norm = 1e-12
    for i in rigid:
        zx = points[i, 0] - ax
        zy = points[i, 1] - ay
        wx = mean[i, 0] - bx
        wy = mean[i, 1] - by
        real += zx * wx + zy * wy
        imag += zx * wy - zy * wx
        norm += zx * zx + zy * zy
    c = real / norm
    s = imag / norm
    aligned = np.empty((68, 2), np.float32)
    for i in range(68):
        zx = points[i, 0] - ax
        zy = points[i, 1] - ay
        aligned[i, 0] = c * zx - s * zy + bx
        aligned[i, 1] = s * zx + c * zy + by
    out = channels
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


@njit(nogil=True, cache=True)
def observe(
    points: Float,
    mean: Float,
    rigid: Indices,
    values: Float,
    times: NDArray[np.float64],
    count: int,
    time: float,
    reach: float,
    noise: Float,
) -> tuple[float, int, int, int, float, float, int, int]:  # pragma: no cover
    """Append one frame to a face's past, and look for a movement in the middle of the newest part.

    Parameters
    ----------
    points, mean, rigid : as in `facial_channels`
    values : float32[T, 12]
        Channels, of which the first `count` frames are filled, count < T; the next one is written.
    times : float64[T]
        Likewise, seconds.
    time : float
        Of this frame, seconds.
    reach : float
        Seconds between the frame asked about and the newest.
    noise : float32[12]
        As in `bump_at`.

    Returns
    -------
    size : float
        Distance between the outer eye corners in this frame, pixels.
    middle, half : int
        The frame asked about and half the window, frames; -1 where the past is too short for it.
    channel, height, score, start, end
        As `bump_at`.
    """
    facial_channels(points, mean, rigid, values[count])
    times[count] = time
    size = np.hypot(points[45, 0] - points[36, 0], points[45, 1] - points[36, 1])
    first = count
    while first > 0 and times[first - 1] >= time - reach:
        first -= 1
    half = max(count - first, 4)
    middle = count - half
    if middle < half:
        return size, -1, -1, 0, 0.0, 0.0, -1, -1
    channel, height, score, start, end = bump_at(values, middle, half, noise)
    return size, middle, half, channel, height, score, start, end


@njit(nogil=True, cache=True)
def measure_noise(values: Float, half: int, least: float, noise: Float) -> None:  # pragma: no cover
    """Standard deviation of each channel's difference at rest, robustly.

    First differences would not do: stabilised landmarks wander slowly, and it is the wander over
    half a window that a movement has to rise above.

    Parameters
    ----------
    values : float32[T, C]
        Channels over time.
    half : int
        Half the window, frames; nothing is measured where 4 * half > T.
    least : float
        No noise is taken for smaller.
    noise : float32[C]
        Overwritten: 1.4826 times the median absolute deviation.
    """
    total = values.shape[0] - 2 * half
    if values.shape[0] < 4 * half:
        return
    bumps = np.empty(total, np.float32)
    for c in range(values.shape[1]):
        for i in range(total):
            ends = values[i, c] + values[i + 2 * half, c]
            bumps[i] = values[i + half, c] - ends / np.float32(2)
        bumps -= np.float32(np.median(bumps))
        noise[c] = max(1.4826 * np.median(np.abs(bumps)), least)
