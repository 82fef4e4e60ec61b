"""Slow, plain twins of the differencing kernels."""

from __future__ import annotations

import numpy as np

from agent.types import Float


def bump_at(
    values: Float, middle: int, half: int, noise: Float
) -> tuple[int, float, float, int, int]:
    before = values[middle - half : middle - half + 3].mean(0)
    after = values[middle + half - 2 : middle + half + 1].mean(0)
    heights = values[middle] - (before + after) / 2
    scores = np.abs(heights) / noise
    c = int(scores.argmax())
    slope = (after[c] - before[c]) / (2 * half - 2)
    base = (before[c] + after[c]) / 2

    def low(k: int) -> bool:
        level = values[middle + k, c] - base - slope * k
        return bool(level / heights[c] <= 1 / 3)

    start = next((middle - k for k in range(1, half + 1) if low(-k)), -1)
    end = next((middle + k for k in range(1, half + 1) if low(k)), -1)
    return c, float(heights[c]), float(scores[c]), start, end


def noise(values: Float, half: int, least: float) -> Float:
    middle = values[half:-half]
    bumps = middle - (values[: len(middle)] + values[2 * half :]) / 2
    scale = 1.4826 * np.median(np.abs(bumps - np.median(bumps, axis=0)), axis=0)
    return np.maximum(scale, least).astype(np.float32)
