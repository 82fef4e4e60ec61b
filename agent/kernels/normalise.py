"""Normalisation of facial channels by each channel's slow baseline and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]
Count = NDArray[np.int64]

_LAG = 5
"""Steps between the points of the second difference, on the time scale of a micro-expression."""
_WARM_UP = 45
"""Steps over which the noise is averaged before it is tracked."""
_RATE = 0.012
"""Relative step of the tracked median: at most 10 % in 9 steps."""
_SMOOTHING = 0.05
"""Smoothing factor of the baseline per step."""
VELOCITY = 0.15
"""Radians, inter-ocular distances or logs of scale per second: the unit of pose velocities, before
their inverse hyperbolic sine is taken."""
_MIN_NOISE = 0.04
"""Per cent of the inter-ocular distance."""


@kernel(error_model="numpy")
def normalise(
    step: Float,
    length: float,
    regions: Count,
    baseline: Float,
    noise: Float,
    past: Float,
    pose: Float,
    count: Count,
    inputs: Float,
) -> None:  # pragma: no cover
    """Network inputs of one step of resampled channels.

    Parameters
    ----------
    step : float32[C + 7]
        Channels (per cent of the inter-ocular distance), pose (6), mean trust, from
        `resample_uniform`.
    length : float
        Duration of a step, seconds.
    regions : int64[5]
        First channel of brows, lids, nose, mouth, and C. The four lid channels are upper left,
        upper right, lower left, lower right.
    baseline : float32[C + 1]
        State: slow baseline of each channel and of lid closure.
    noise : float32[2, C]
        State: median absolute second difference at lags of 5 steps and 1, per cent.
    past : float32[11, C]
        State: ring buffer of the latest steps.
    pose : float32[6]
        State: pose of the previous step.
    count : int64[1]
        State: steps so far; 0 initialises the other state.
    inputs : float32[C + 17]
        Overwritten: channels over their noise, compressed beyond four times it; lid closure; six
        pose velocities; mean trust; log noise of each region at both lags; 1 once the noise is
        known.

    Notes
    -----
    O(C), no allocation. The noise is a median by stochastic approximation (Robbins & Monro 1951),
    robust while less than half of the steps contain movement. Baseline updates are clipped at three
    times the noise, so that movement hardly shifts them.
    Twin: tests/kernels/naive_spotter.py.
    """
    channels = noise.shape[1]
    now = count[0]
    size = past.shape[0]
    lids = regions[1]
    closure = np.float32(0.5) * (step[lids] + step[lids + 1] - step[lids + 2] - step[lids + 3])
    if now == 0:
        for c in range(channels):
            baseline[c] = step[c]
            noise[0, c] = 0.0
            noise[1, c] = 0.0
        baseline[channels] = closure
        for k in range(6):
            pose[k] = step[channels + k]
    for c in range(channels):
        past[now % size, c] = step[c]
    samples = now + 1 - 2 * _LAG
    if samples > 0:
        for scale in range(2):
            lag = _LAG if scale == 0 else 1
            for c in range(channels):
                difference = abs(
                    past[(now - lag) % size, c]
                    - np.float32(0.5) * (past[now % size, c] + past[(now - 2 * lag) % size, c])
                )
                old = noise[scale, c]
                if samples <= _WARM_UP:
                    if samples > 8:
                        difference = min(difference, np.float32(3.0) * old)
                    old += (difference - old) / np.float32(samples)
                elif difference > old:
                    old *= np.float32(1.0 + _RATE)
                else:
                    old *= np.float32(1.0 - _RATE)
                noise[scale, c] = max(old, np.float32(0.02 if scale == 0 else 0.01))
    for c in range(channels):
        deviation = step[c] - baseline[c]
        # 1.48: median absolute deviation to standard deviation; 1.2: gain of the second difference
        unit = max(noise[0, c] * np.float32(1.48 / 1.2), np.float32(_MIN_NOISE))
        inputs[c] = np.float32(4.0) * np.arcsinh(deviation / unit * np.float32(0.25))
        limit = max(np.float32(3.0) * noise[0, c], np.float32(0.15))
        baseline[c] += np.float32(_SMOOTHING) * min(max(deviation, -limit), limit)
    deviation = closure - baseline[channels]
    inputs[channels] = np.float32(2.0) * np.arcsinh(np.float32(0.5) * deviation)
    baseline[channels] += np.float32(_SMOOTHING) * min(
        max(deviation, np.float32(-0.5)), np.float32(0.5)
    )
    for k in range(6):
        velocity = (step[channels + k] - pose[k]) / np.float32(length * VELOCITY)
        inputs[channels + 1 + k] = np.arcsinh(velocity)
        pose[k] = step[channels + k]
    inputs[channels + 7] = step[channels + 6]
    for region in range(4):
        first = regions[region]
        last = regions[region + 1]
        slow = np.float32(0)
        fast = np.float32(0)
        for c in range(first, last):
            slow += np.log(noise[0, c] + np.float32(0.02))
            fast += np.log(noise[1, c] + np.float32(0.02))
        inputs[channels + 8 + region] = slow / np.float32(last - first) + np.float32(1.5)
        inputs[channels + 12 + region] = fast / np.float32(last - first) + np.float32(2.0)
    inputs[channels + 16] = 1.0 if now >= 40 else 0.0
    count[0] = now + 1
