"""Plain twins of `agent.kernels.spectrum`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
BANDS = ((250.0, 1000.0), (900.0, 2600.0), (2000.0, 3800.0))


def bands(power: Float, first: NDArray[np.int64], weights: Float) -> NDArray[np.float64]:
    """float64[N, M], by one matrix of all bands."""
    matrix = np.zeros((power.shape[1] + weights.shape[1], len(first)))
    for m, start in enumerate(first):
        matrix[start : start + weights.shape[1], m] = weights[m]
    return np.asarray(power.astype(float) @ matrix[: power.shape[1]])


def quality(spectrum: Float, width: float, pitch: float) -> list[float]:
    """The twelve measures of one frame float32[B]."""
    x = spectrum.astype(float)
    hertz = np.arange(len(x)) * width

    def within(low: float, high: float) -> NDArray[np.bool_]:
        return np.asarray((hertz >= low) & (hertz <= high))

    voice = within(50, 5000)
    whole = x[voice].sum()
    floor = max(1e-6 * whole, 1e-20)

    def decibels(value: float) -> float:
        return float(10 * np.log10(max(value, floor)))

    def slope(low: float, high: float) -> float:
        inside = within(low, high)
        level = [decibels(value) for value in x[inside]]
        return float(np.polyfit(hertz[inside] / 1000, level, 1)[0])

    measures = [
        decibels(x[voice & (hertz < 1000)].sum()) - decibels(x[voice & (hertz >= 1000)].sum()),
        decibels(x[voice & (hertz < 2000)].max()) - decibels(x[voice & (hertz >= 2000)].max()),
        slope(0, 500),
        slope(500, 1500),
    ]
    parts = [within(*edges) for edges in BANDS]
    measures += [
        float((x[part] * hertz[part]).sum() / max(x[part].sum(), 1e-20) / 1000) for part in parts
    ]
    measures += [decibels(x[part].sum()) - decibels(whole) for part in parts]
    if pitch <= 0:
        return [*measures, np.nan, np.nan]
    index = np.arange(len(x))
    harmonics = []
    for h in (1, 2):
        low, high = (int((h + side * 0.25) * pitch / width) for side in (-1, 1))
        harmonics.append(decibels(x[(index >= max(low, 0)) & (index <= high)].max()))
    third = decibels(x[parts[2]].max())
    return [*measures, harmonics[0] - harmonics[1], harmonics[0] - third]
