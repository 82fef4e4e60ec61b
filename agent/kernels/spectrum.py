"""What the power spectrum of each frame says about a voice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]
Count = NDArray[np.int64]

_FLOOR = 1e-6
"""Of a frame's power from 50 to 5000 Hz, below which less makes no difference."""
_LEAST = 1e-20


@kernel(error_model="numpy")
def _decibels(power: float, floor: float) -> float:  # pragma: no cover
    return 10.0 * np.log10(max(power, floor))


@kernel(error_model="numpy")
def _slope(
    spectrum: Float, width: float, low: float, high: float, floor: float
) -> float:  # pragma: no cover
    """Least-squares slope of the spectrum in dB over frequency, dB per kHz."""
    first, last = int(np.ceil(low / width)), int(high / width)
    middle = 0.5 * (first + last)
    product, square = 0.0, 0.0
    for b in range(first, last + 1):
        product += (b - middle) * _decibels(spectrum[b], floor)
        square += (b - middle) ** 2
    return product / square / width * 1000.0


@kernel(error_model="numpy")
def band_powers(
    power: Float, first: Count, weights: Float, bands: Float
) -> None:  # pragma: no cover
    """Power in overlapping bands.

    Parameters
    ----------
    power : float32[N, B]
    first : int64[M]
        Bin at which each band begins.
    weights : float32[M, W]
        Of the W bins from there; 0 beyond the band.
    bands : float32[N, M]
        Overwritten.
    """
    for n in range(power.shape[0]):
        for m in range(first.size):
            total = np.float32(0.0)
            for w in range(weights.shape[1]):
                b = first[m] + w
                if b < power.shape[1]:
                    total += weights[m, w] * power[n, b]
            bands[n, m] = total


@kernel(error_model="numpy")
def voice_quality(
    power: Float, width: float, pitch: Float, measures: Float
) -> None:  # pragma: no cover
    """Balance, slopes, resonances and first harmonics of each frame.

    Parameters
    ----------
    power : float32[N, B]
        Power spectra from 0 Hz.
    width : float
        Hz per bin.
    pitch : float32[N]
        Hz; 0 where unvoiced.
    measures : float32[N, 12]
        Overwritten: alpha ratio (50-1000 over 1000-5000 Hz), Hammarberg index (peak of 0-2000 over
        peak of 2000-5000 Hz), slopes of 0-500 and 500-1500 Hz in dB per kHz; centre (kHz) and level
        relative to the whole (dB) of three bands where formants 1 to 3 move (250-1000, 900-2600,
        2000-3800 Hz); level of the first harmonic over the second's and over the peak of the third
        band, dB, NaN where unvoiced.

    Notes
    -----
    Definitions of eGeMAPS (Eyben et al. 2016, IEEE TAC 7(2)), but for the bands, which stand in for
    formants from linear prediction.
    """
    low = (250.0, 900.0, 2000.0)
    high = (1000.0, 2600.0, 3800.0)
    for n in range(power.shape[0]):
        spectrum = power[n]
        below, above, peak, upper = 0.0, 0.0, 0.0, 0.0
        for b in range(int(np.ceil(50.0 / width)), int(5000.0 / width) + 1):
            if b * width < 1000.0:
                below += spectrum[b]
            else:
                above += spectrum[b]
            if b * width < 2000.0:
                peak = max(peak, spectrum[b])
            else:
                upper = max(upper, spectrum[b])
        whole = below + above
        floor = max(_FLOOR * whole, _LEAST)
        measures[n, 0] = _decibels(below, floor) - _decibels(above, floor)
        measures[n, 1] = _decibels(peak, floor) - _decibels(upper, floor)
        measures[n, 2] = _slope(spectrum, width, 0.0, 500.0, floor)
        measures[n, 3] = _slope(spectrum, width, 500.0, 1500.0, floor)
        third = 0.0
        for f in range(3):
            total, moment, highest = 0.0, 0.0, 0.0
            for b in range(int(np.ceil(low[f] / width)), int(high[f] / width) + 1):
                total += spectrum[b]
                moment += spectrum[b] * b
                highest = max(highest, spectrum[b])
            measures[n, 4 + f] = 0.001 * width * moment / max(total, _LEAST)
            measures[n, 7 + f] = _decibels(total, floor) - _decibels(whole, floor)
            third = highest
        measures[n, 10] = np.nan
        measures[n, 11] = np.nan
        if pitch[n] > 0.0:
            harmonics = np.zeros(2)
            for h in range(2):
                centre = (h + 1) * pitch[n] / width
                reach = 0.25 * pitch[n] / width
                end = min(int(centre + reach) + 1, spectrum.size)
                for b in range(max(int(centre - reach), 0), end):
                    harmonics[h] = max(harmonics[h], spectrum[b])
            measures[n, 10] = _decibels(harmonics[0], floor) - _decibels(harmonics[1], floor)
            measures[n, 11] = _decibels(harmonics[0], floor) - _decibels(third, floor)
