"""Plain twins of `agent.kernels.pitch`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def candidates(
    correlation: Float, window: Float, rate: float, lowest: float, highest: float, cost: float,
    count: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    frames = len(correlation)
    frequency, strength = np.zeros((frames, count)), np.zeros((frames, count))
    harmonicity = np.zeros(frames)
    for n, row in enumerate(correlation.astype(float)):
        if row[0] <= 0:
            continue
        ratio = row / row[0] / (window.astype(float) / window[0])
        found = []
        for lag in range(max(int(rate / highest), 2), min(int(rate / lowest), len(row) - 2) + 1):
            a, b, c = ratio[lag - 1 : lag + 2]
            if b <= 0 or b < a or b <= c:
                continue
            quadratic, linear = (a + c) / 2 - b, (c - a) / 2
            shift = -linear / (2 * quadratic) if quadratic < 0 else 0.0
            height = b + linear * shift + quadratic * shift**2
            height = 1 / height if height > 1 else height
            pitch = rate / (lag + shift)
            found.append((height + cost * np.log2(pitch / lowest), pitch, height))
        found = sorted(found, reverse=True)[:count]
        for k, (value, pitch, _) in enumerate(found):
            if value > 0:
                frequency[n, k], strength[n, k] = pitch, value
        harmonicity[n] = found[0][2] if found else 0.0
    return frequency, strength, harmonicity


def path(
    frequency: Float, strength: Float, unvoiced: Float, octave: float, change: float
) -> list[float]:
    """Every path tried."""
    frames, count = frequency.shape
    best, chosen = -np.inf, [0.0] * frames
    for number in range((count + 1) ** frames):
        states = [number // (count + 1) ** n % (count + 1) for n in range(frames)]
        total = 0.0
        pitch: list[float] = []
        for n, k in enumerate(states):
            hertz = 0.0 if k == count else float(frequency[n, k])
            if k < count and hertz <= 0:
                total = -np.inf
                break
            total += float(unvoiced[n]) if k == count else float(strength[n, k])
            if n and (hertz > 0) != (pitch[-1] > 0):
                total -= change
            elif n and hertz > 0:
                total -= octave * abs(np.log2(hertz / pitch[-1]))
            pitch.append(hertz)
        if total > best:
            best, chosen = total, pitch
    return chosen
