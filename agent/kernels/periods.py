"""Perturbation of the voice's periods within a frame: jitter and shimmer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]


@kernel(error_model="numpy")
def perturbation(
    frames: Float, pitch: Float, rate: float, jitter: Float, shimmer: Float
) -> None:  # pragma: no cover
    """Local jitter and shimmer of voiced frames.

    Peaks of the waveform a period apart are found from the highest one outwards, each within a
    fifth of a period of where it is due, and placed by a parabola.

    Parameters
    ----------
    frames : float32[N, S]
        Samples, not windowed.
    pitch : float32[N]
        Hz; 0 where unvoiced.
    rate : float
        Samples per second.
    jitter, shimmer : float32[N]
        Overwritten: mean difference of neighbouring periods over the mean period, and the same of
        the peaks' heights above the frame's mean; NaN with fewer than three periods.

    Notes
    -----
    Follows the definitions of Eyben et al. 2016 (eGeMAPS) within one frame instead of one stretch.
    """
    length = frames.shape[1]
    place = np.empty(64, np.float32)
    height = np.empty(64, np.float32)
    for n in range(frames.shape[0]):
        jitter[n] = np.nan
        shimmer[n] = np.nan
        if pitch[n] <= 0.0:
            continue
        period = rate / pitch[n]
        mean = np.float32(0.0)
        top = 0
        for i in range(length):
            mean += frames[n, i]
            if frames[n, i] > frames[n, top]:
                top = i
        mean /= length
        # back to the first peak in the frame, then forward over all
        at = top
        while at - 1.2 * period >= 1.0:
            at = _highest(frames[n], at - 1.2 * period, at - 0.8 * period)
        count = 0
        while count < 64:
            shift = np.float32(0.0)
            if 0 < at < length - 1:
                bend = frames[n, at - 1] - 2.0 * frames[n, at] + frames[n, at + 1]
                if bend < 0.0:
                    shift = 0.5 * (frames[n, at - 1] - frames[n, at + 1]) / bend
            place[count] = at + shift
            height[count] = frames[n, at] - mean
            count += 1
            if at + 1.2 * period > length - 2:
                break
            at = _highest(frames[n], at + 0.8 * period, at + 1.2 * period)
        if count < 4:
            continue
        total = np.float32(0.0)
        for k in range(count - 2):
            total += abs(place[k + 2] - 2.0 * place[k + 1] + place[k])
        jitter[n] = total / (count - 2) / ((place[count - 1] - place[0]) / (count - 1))
        total, level = np.float32(0.0), np.float32(0.0)
        for k in range(count):
            level += height[k]
            if k > 0:
                total += abs(height[k] - height[k - 1])
        if level > 0.0:
            shimmer[n] = total / (count - 1) / (level / count)


@kernel(error_model="numpy")
def _highest(samples: Float, start: float, end: float) -> int:  # pragma: no cover
    """Where the highest sample lies from `start` to `end`."""
    best = int(start)
    for i in range(int(start) + 1, min(int(end) + 1, samples.size)):
        if samples[i] > samples[best]:
            best = i
    return best
