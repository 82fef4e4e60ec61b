"""Plain twin of `agent.kernels.periods`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def perturbation(frame: Float, pitch: float, rate: float) -> tuple[float, float]:
    """Jitter and shimmer of one frame float32[S]."""
    if pitch <= 0:
        return np.nan, np.nan
    x, period = frame.astype(float), rate / pitch
    peaks = [int(x.argmax())]
    while peaks[0] - 1.2 * period >= 1:
        peaks.insert(0, _highest(x, peaks[0] - 1.2 * period, peaks[0] - 0.8 * period))
    peaks = peaks[:1]  # the walk begins at the earliest, so that each step is a period
    while len(peaks) < 64 and peaks[-1] + 1.2 * period <= len(x) - 2:
        peaks.append(_highest(x, peaks[-1] + 0.8 * period, peaks[-1] + 1.2 * period))
    if len(peaks) < 4:
        return np.nan, np.nan
    place = np.array([at + _vertex(x, at) for at in peaks])
    height = x[peaks] - x.mean()
    periods = np.diff(place)
    jitter = np.abs(np.diff(periods)).mean() / periods.mean()
    shimmer = np.abs(np.diff(height)).mean() / height.mean() if height.sum() > 0 else np.nan
    return float(jitter), float(shimmer)


def _highest(x: NDArray[np.float64], start: float, end: float) -> int:
    first = int(start)
    return first + int(x[first : int(end) + 1].argmax())


def _vertex(x: NDArray[np.float64], at: int) -> float:
    """Where the parabola through a sample and its neighbours is highest, from the sample."""
    if not 0 < at < len(x) - 1:
        return 0.0
    quadratic, linear, _ = np.polyfit([-1, 0, 1], x[at - 1 : at + 2], 2)
    return float(-linear / (2 * quadratic)) if quadratic < 0 else 0.0
