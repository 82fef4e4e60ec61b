"""Resampling of frames at uneven times to even steps."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]
Times = NDArray[np.float64]


@njit(nogil=True, cache=True, error_model="numpy")
def resample_uniform(
    time: float,
    values: Float,
    trust: float,
    clock: Times,
    before: Float,
    partial: Float,
    steps: Float,
    completed_at: Times,
    length: float,
    patience: float,
) -> int:  # pragma: no cover
    """Add one frame; complete the steps of the even grid that end by its time.

    Each step holds the mean over its time of the straight lines between frames: many frames are
    averaged, few are interpolated.

    Parameters
    ----------
    time : float
        Seconds, after `clock[0]`.
    values : float32[V]
        Of the frame; with `trust` < 0, no frame: time has only passed.
    trust : float
        Confidence in the line from the frame before, in [0, 1].
    clock : float64[3]
        Kept between calls: time of the frame before, end of the open step, time for which the open
        step is filled so far times its trust.
    before, partial : float32[V]
        Kept between calls: the frame before; the open step's integral.
    steps : float32[M, V + 1]
        Overwritten: the completed steps' means, and the share of each that frames cover.
    completed_at : float64[M]
        Overwritten: the time at which each step became complete.
    length : float
        Of a step, seconds.
    patience : float
        Seconds after a step's end at which it is completed without a frame, by the last values
        and with trust 0. Longer gaps between frames are bridged the same way.

    Returns
    -------
    int
        Number of completed steps; at most M, the rest of a longer gap is left out.

    Notes
    -----
    O(V) per frame and step, no allocation. Twin: tests/vision/kernels/naive_spotter.py.
    """
    count = 0
    width = values.shape[0]
    no_frame = trust < 0.0
    at = clock[0]
    if clock[1] - length > at:
        at = clock[1] - length
    # What the open step holds already reaches up to the frame before, or to where it was bridged.
    overdue = time - patience
    while clock[1] <= overdue and count < steps.shape[0]:
        rest = clock[1] - max(clock[1] - length, clock[0])
        for k in range(width):
            steps[count, k] = (partial[k] + rest * before[k]) / length
            partial[k] = 0.0
        steps[count, width] = clock[2] / length
        clock[2] = 0.0
        completed_at[count] = clock[1] + patience
        clock[1] += length
        count += 1
        at = clock[1] - length
    if no_frame:
        return count
    gap = time - clock[0]
    weight = trust if gap <= patience + 0.5 * length else 0.0
    while clock[1] <= time and count < steps.shape[0]:
        part = clock[1] - at
        middle = (0.5 * (at + clock[1]) - clock[0]) / gap
        for k in range(width):
            line = before[k] + (values[k] - before[k]) * middle
            steps[count, k] = (partial[k] + part * line) / length
            partial[k] = 0.0
        steps[count, width] = (clock[2] + part * weight) / length
        clock[2] = 0.0
        completed_at[count] = time
        at = clock[1]
        clock[1] += length
        count += 1
    part = time - at
    middle = (0.5 * (at + time) - clock[0]) / gap
    for k in range(width):
        partial[k] += part * (before[k] + (values[k] - before[k]) * middle)
        before[k] = values[k]
    clock[2] += part * weight
    clock[0] = time
    return count
