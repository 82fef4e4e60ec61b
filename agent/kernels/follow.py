"""How far sound stands above the room's noise, band by band."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]


@kernel(error_model="numpy")
def follow_noise(
    bands: Float,
    smooth: Float,
    floor: Float,
    peak: Float,
    share: float,
    rise: float,
    fall: float,
    decay: float,
    above: Float,
    below: Float,
    excess: Float,
) -> None:  # pragma: no cover
    """Levels relative to a floor that follows the quiet moments and to a ceiling that follows the
    loud ones.

    Parameters
    ----------
    bands : float32[N, M]
        Level of each band, dB.
    smooth, floor : float32[M]
        State: smoothed level, and its floor; overwritten.
    peak : float32[1]
        State: the ceiling, dB; overwritten.
    share : float
        Of a new frame in the smoothed level.
    rise, fall : float
        dB per frame that the floor rises; share of the way that it falls.
    decay : float
        dB per frame that the ceiling sinks; it rises with the smoothed level of the loudest band.
    above : float32[N, M]
        Overwritten: dB over the floor.
    below : float32[N, M]
        Overwritten: dB relative to the ceiling.
    excess : float32[N]
        Overwritten: root mean square over the bands of how far the smoothed level is over the
        floor, dB.

    Notes
    -----
    O(N M), no look into the future. Minimum tracking after Doblinger 1995 (Eurospeech), with a
    constant rise in place of his adaptive one.
    """
    for n in range(bands.shape[0]):
        loudest = np.float32(-1e9)
        total = np.float32(0.0)
        for m in range(bands.shape[1]):
            smooth[m] += share * (bands[n, m] - smooth[m])
            floor[m] += rise
            if smooth[m] < floor[m]:
                floor[m] += fall * (smooth[m] - floor[m])
            loudest = max(loudest, smooth[m])
            total += max(smooth[m] - floor[m], np.float32(0.0)) ** 2
        excess[n] = np.sqrt(total / np.float32(bands.shape[1]))
        peak[0] = max(peak[0] - decay, loudest)
        for m in range(bands.shape[1]):
            above[n, m] = bands[n, m] - floor[m]
            below[n, m] = bands[n, m] - peak[0]
