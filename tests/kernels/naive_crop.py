"""Slow, plain twins of the crop kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey


def cut_crop(picture: Grey, matrix: Float, size: int) -> NDArray[np.float64]:
    """The crop as float[size, size], pixel by pixel, in floating point."""
    linear = matrix[:, :2].astype(float)
    back = np.linalg.inv(linear)
    scale = np.sqrt(abs(np.linalg.det(linear)))
    step = min(int(1 / scale), 16) if scale < 0.5 else 1
    offset = np.zeros(2)
    source = picture.astype(float)
    if step > 1:
        # Squares are counted from the corner of what the crop can reach.
        middle = back @ (np.full(2, size / 2) - matrix[:, 2])
        reach = size / 2 * np.abs(back).sum(1) + step
        low = np.maximum((middle - reach).astype(int), 0)
        high = np.minimum((middle + reach).astype(int) + 1, picture.shape[::-1])
        columns, rows = (high - low) // step
        if columns < 1 or rows < 1:
            return np.zeros((size, size))
        region = source[low[1] :, low[0] :][: rows * step, : columns * step]
        squares = region.reshape(rows, step, columns, step)
        source = np.floor(squares.mean((1, 3)) + 0.5)
        offset = low + (step - 1) / 2
    out = np.zeros((size, size))
    for v in range(size):
        for u in range(size):
            x, y = (back @ (np.array([u, v]) - matrix[:, 2]) - offset) / step
            left, top = int(np.floor(x)), int(np.floor(y))
            for j, i in ((0, 0), (0, 1), (1, 0), (1, 1)):
                inside = 0 <= left + i < source.shape[1] and 0 <= top + j < source.shape[0]
                if inside:
                    share_x = x - left if i else 1 - (x - left)
                    share_y = y - top if j else 1 - (y - top)
                    out[v, u] += share_x * share_y * source[top + j, left + i]
    return out


def correlation(a: Grey, b: Grey, step: int) -> float:
    """Of the pixels from half a step on, `step` apart."""
    x, y = (each[step // 2 :: step, step // 2 :: step].astype(float).ravel() for each in (a, b))
    return float(np.corrcoef(x, y)[0, 1])
