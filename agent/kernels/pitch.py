"""Fundamental frequency: candidates from a frame's autocorrelation, and the best path over frames.

Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
of a sampled sound", Proc. Institute of Phonetic Sciences 17, 1993.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]


@kernel(error_model="numpy")
def pitch_candidates(
    correlation: Float,
    window: Float,
    rate: float,
    lowest: float,
    highest: float,
    octave_cost: float,
    frequency: Float,
    strength: Float,
    harmonicity: Float,
) -> None:  # pragma: no cover
    """The strongest periods of each frame.

    Parameters
    ----------
    correlation : float32[N, L]
        Autocorrelation of N windowed frames at lags 0 to L - 1, samples.
    window : float32[L]
        Autocorrelation of the window, which the frame's is divided by: both over their lag 0.
    rate : float
        Samples per second.
    lowest, highest : float
        Hz; L must exceed rate / lowest + 1.
    octave_cost : float
        Per octave, in favour of short periods.
    frequency, strength : float32[N, K]
        Overwritten: Hz and strength less the octave cost, strongest first; 0 where there are fewer.
    harmonicity : float32[N]
        Overwritten: the strength of the strongest without that cost, in [0, 1].
    """
    first = max(int(rate / highest), 2)
    last = min(int(rate / lowest), correlation.shape[1] - 2)
    count = frequency.shape[1]
    for n in range(correlation.shape[0]):
        for k in range(count):
            frequency[n, k] = 0.0
            strength[n, k] = 0.0
        harmonicity[n] = 0.0
        power = correlation[n, 0]
        if not power > 0.0:
            continue
        scale = window[0] / power
        for lag in range(first, last + 1):
            before = correlation[n, lag - 1] * scale / window[lag - 1]
            here = correlation[n, lag] * scale / window[lag]
            after = correlation[n, lag + 1] * scale / window[lag + 1]
            if here <= 0.0 or here < before or here <= after:
                continue
            bend = before - 2.0 * here + after
            shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
            height = here - 0.25 * (before - after) * shift
            if height > 1.0:  # above the truth only where the frame is short
                height = 1.0 / height
            pitch = rate / (lag + shift)
            value = height + octave_cost * np.log2(pitch / lowest)
            place = count
            while place > 0 and value > strength[n, place - 1]:
                place -= 1
            if place == count:
                continue
            for k in range(count - 1, place, -1):
                frequency[n, k] = frequency[n, k - 1]
                strength[n, k] = strength[n, k - 1]
            frequency[n, place] = pitch
            strength[n, place] = value
            if place == 0:
                harmonicity[n] = height


@kernel(error_model="numpy")
def pitch_path(
    frequency: Float,
    strength: Float,
    unvoiced: Float,
    octave_jump: float,
    voicing_change: float,
    pitch: Float,
) -> None:  # pragma: no cover
    """The path of highest total strength through the candidates (Viterbi).

    Parameters
    ----------
    frequency, strength : float32[N, K]
        As from `pitch_candidates`.
    unvoiced : float32[N]
        Strength of the candidate that a frame is unvoiced.
    octave_jump, voicing_change : float
        Cost of a jump, per octave, and of a change between voiced and unvoiced, per frame.
    pitch : float32[N]
        Overwritten: Hz; 0 where unvoiced.
    """
    frames, count = frequency.shape
    if frames == 0:
        return
    total = np.empty((frames, count + 1), np.float32)
    origin = np.empty((frames, count + 1), np.int32)
    for n in range(frames):
        for k in range(count + 1):
            gain = unvoiced[n] if k == count else strength[n, k]
            if k < count and frequency[n, k] <= 0.0:
                total[n, k] = -1e9
                origin[n, k] = count
                continue
            if n == 0:
                total[n, k] = gain
                origin[n, k] = k
                continue
            best, chosen = np.float32(-1e18), count
            for j in range(count + 1):
                cost = 0.0
                if (j == count) != (k == count):
                    cost = voicing_change
                elif j < count and frequency[n - 1, j] > 0.0:
                    cost = octave_jump * abs(np.log2(frequency[n, k] / frequency[n - 1, j]))
                value = total[n - 1, j] - cost
                if value > best:
                    best, chosen = value, j
            total[n, k] = best + gain
            origin[n, k] = chosen
    state = 0
    for k in range(count + 1):
        if total[frames - 1, k] > total[frames - 1, state]:
            state = k
    for n in range(frames - 1, -1, -1):
        pitch[n] = frequency[n, state] if state < count else 0.0
        state = origin[n, state]
