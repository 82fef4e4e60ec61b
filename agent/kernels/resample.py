"""Resampling of irregular frames to uniform time steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]
Times = NDArray[np.float64]


@kernel(error_model="numpy")
def resample_uniform(
    time: float,
    values: Float,
    trust: float,
    clock: Times,
    previous: Float,
    partial: Float,
    steps: Float,
    completed_at: Times,
    length: float,
    timeout: float,
) -> int:  # pragma: no cover
    """Add one frame and complete the steps of the uniform grid that end by its time.

    Each step is the mean over its duration of the linear interpolation between frames.

    Parameters
    ----------
    time : float
        Seconds, after `clock[0]`.
    values : float32[V]
        Of the frame; ignored with `trust` < 0, which only advances time.
    trust : float
        Confidence in the interpolation from the previous frame, in [0, 1].
    clock : float64[3]
        State: time of the previous frame; end of the open step; integral of the trust over the
        open step.
    previous, partial : float32[V]
        State: the previous frame; integral over the open step.
    steps : float32[M, V + 1]
        Overwritten: means of the completed steps, and the mean trust of each.
    completed_at : float64[M]
        Overwritten: completion time of each step.
    length : float
        Duration of a step, seconds.
    timeout : float
        Seconds after its end at which a step is completed without a frame, with the last values
        and trust 0. Longer gaps between frames are bridged the same way.

    Returns
    -------
    int
        Number of completed steps, at most M; the rest of a longer gap is dropped.

    Notes
    -----
    O(V) per frame and step, no allocation. Twin: tests/kernels/naive_spotter.py.
    """
    count = 0
    width = values.shape[0]
    no_frame = trust < 0.0
    start = clock[0]
    if clock[1] - length > start:
        start = clock[1] - length
    # the open step is integrated up to the previous frame, or to where a gap was bridged
    deadline = time - timeout
    while clock[1] <= deadline and count < steps.shape[0]:
        remaining = clock[1] - max(clock[1] - length, clock[0])
        for k in range(width):
            steps[count, k] = (partial[k] + remaining * previous[k]) / length
            partial[k] = 0.0
        steps[count, width] = clock[2] / length
        clock[2] = 0.0
        completed_at[count] = clock[1] + timeout
        clock[1] += length
        count += 1
        start = clock[1] - length
    if no_frame:
        return count
    gap = time - clock[0]
    weight = trust if gap <= timeout + 0.5 * length else 0.0
    while clock[1] <= time and count < steps.shape[0]:
        duration = clock[1] - start
        middle = (0.5 * (start + clock[1]) - clock[0]) / gap
        for k in range(width):
            value = previous[k] + (values[k] - previous[k]) * middle
            steps[count, k] = (partial[k] + duration * value) / length
            partial[k] = 0.0
        steps[count, width] = (clock[2] + duration * weight) / length
        clock[2] = 0.0
        completed_at[count] = time
        start = clock[1]
        clock[1] += length
        count += 1
    duration = time - start
    middle = (0.5 * (start + time) - clock[0]) / gap
    for k in range(width):
        partial[k] += duration * (previous[k] + (values[k] - previous[k]) * middle)
        previous[k] = values[k]
    clock[2] += duration * weight
    clock[0] = time
    return count
