"""Inputs of the spotter's network: channels over the face's own recent level and noise."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]
Count = NDArray[np.int64]

_LAG = 5
"""Steps between the three points of the second difference that measures noise at the pace of a
micro-expression."""
_SEED = 45
"""Steps over which the noise is averaged before it is tracked."""
_RATE = 0.012
"""Relative step of the tracked median: 10 % noise up or down within 9 steps at most."""
_LEVEL = 0.05
"""Share of the way that a level goes in a step."""
_FLOOR = 0.04
"""Per cent of the inter-ocular distance: no face is quieter."""


@njit(nogil=True, cache=True, error_model="numpy")
def normalise(
    step: Float,
    length: float,
    regions: Count,
    level: Float,
    noise: Float,
    past: Float,
    pose: Float,
    count: Count,
    inputs: Float,
) -> None:  # pragma: no cover
    """One step of the resampled channels as network inputs.

    Parameters
    ----------
    step : float32[C + 7]
        Channels (per cent of the inter-ocular distance), pose (6), covered share, as
        `resample_uniform` leaves them.
    length : float
        Of a step, seconds.
    regions : int64[5]
        First channel of brows, lids, nose, mouth, and C. The lids' four channels are the upper
        ones, left and right, then the lower ones.
    level : float32[C + 1]
        Kept: each channel's and the lid closure's slow level.
    noise : float32[2, C]
        Kept: median size of the second difference over 5 steps and over 1, per cent.
    past : float32[11, C]
        Kept: the newest steps.
    pose : float32[6]
        Kept: the pose of the step before.
    count : int64[1]
        Kept: steps so far; 0 at first, which sets everything else anew.
    inputs : float32[C + 17]
        Overwritten: channels over their noise, compressed beyond four times it; lid closure; six
        speeds of the pose; covered share; log noise of each region at both scales; 1 once the noise
        is known.

    Notes
    -----
    O(C), no allocation. The noise is a median tracked by stochastic approximation (Robbins & Monro
    1951): half of the steps may be movement before it gives way. Levels follow with at most three
    times the noise per step, so a movement does not carry them away.
    Twin: tests/vision/kernels/naive_spotter.py.
    """
    channels = noise.shape[1]
    now = count[0]
    size = past.shape[0]
    lids = regions[1]
    closure = np.float32(0.5) * (step[lids] + step[lids + 1] - step[lids + 2] - step[lids + 3])
    if now == 0:
        for c in range(channels):
            level[c] = step[c]
            noise[0, c] = 0.0
            noise[1, c] = 0.0
        level[channels] = closure
        for k in range(6):
            pose[k] = step[channels + k]
    for c in range(channels):
        past[now % size, c] = step[c]
    seen = now + 1 - 2 * _LAG
    if seen > 0:
        for scale in range(2):
            lag = _LAG if scale == 0 else 1
            for c in range(channels):
                bend = abs(
                    past[(now - lag) % size, c]
                    - np.float32(0.5) * (past[now % size, c] + past[(now - 2 * lag) % size, c])
                )
                old = noise[scale, c]
                if seen <= _SEED:
                    if seen > 8:
                        bend = min(bend, np.float32(3.0) * old)
                    old += (bend - old) / np.float32(seen)
                elif bend > old:
                    old *= np.float32(1.0 + _RATE)
                else:
                    old *= np.float32(1.0 - _RATE)
                noise[scale, c] = max(old, np.float32(0.02 if scale == 0 else 0.01))
    for c in range(channels):
        away = step[c] - level[c]
        # 1.48 makes the median a standard deviation, 1.2 is the second difference's own factor.
        unit = max(noise[0, c] * np.float32(1.48 / 1.2), np.float32(_FLOOR))
        inputs[c] = np.float32(4.0) * np.arcsinh(away / unit * np.float32(0.25))
        limit = max(np.float32(3.0) * noise[0, c], np.float32(0.15))
        level[c] += np.float32(_LEVEL) * min(max(away, -limit), limit)
    away = closure - level[channels]
    inputs[channels] = np.float32(2.0) * np.arcsinh(np.float32(0.5) * away)
    level[channels] += np.float32(_LEVEL) * min(max(away, np.float32(-0.5)), np.float32(0.5))
    for k in range(6):
        speed = (step[channels + k] - pose[k]) / np.float32(length * 0.15)
        inputs[channels + 1 + k] = np.arcsinh(speed)
        pose[k] = step[channels + k]
    inputs[channels + 7] = step[channels + 6]
    for region in range(4):
        first = regions[region]
        last = regions[region + 1]
        wide = np.float32(0)
        narrow = np.float32(0)
        for c in range(first, last):
            wide += np.log(noise[0, c] + np.float32(0.02))
            narrow += np.log(noise[1, c] + np.float32(0.02))
        inputs[channels + 8 + region] = wide / np.float32(last - first) + np.float32(1.5)
        inputs[channels + 12 + region] = narrow / np.float32(last - first) + np.float32(2.0)
    inputs[channels + 16] = 1.0 if now >= 40 else 0.0
    count[0] = now + 1
