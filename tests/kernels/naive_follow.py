"""Plain twin of `agent.kernels.follow`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def follow_noise(
    bands: Array, share: float, rise: float, fall: float, decay: float
) -> tuple[Array, Array, Array]:
    """Above the floor, below the ceiling, and the excess of each frame, from the first frame's
    level on."""
    smooth = bands[0].copy()
    floor = bands[0].copy()
    peak = bands[0].max()
    above, below, excess = [], [], []
    for level in bands:
        smooth = smooth + share * (level - smooth)
        floor = floor + rise
        floor = np.where(smooth < floor, floor + fall * (smooth - floor), floor)
        peak = max(peak - decay, smooth.max())
        above.append(level - floor)
        below.append(level - peak)
        excess.append(np.sqrt(np.mean(np.maximum(smooth - floor, 0) ** 2)))
    return np.array(above), np.array(below), np.array(excess)
