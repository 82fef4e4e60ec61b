"""Frames, transform and bands of the sound that this room works on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import SOUND_RATE, Float

RATE = SOUND_RATE

HOP = 160
"""Samples between frames: 10 ms."""
FRAME = 640
"""Samples of a frame: 40 ms, three periods of 75 Hz."""
TRANSFORM = 1024
"""Points of the Fourier transform: no lag of the autocorrelation that is used wraps around."""
BIN = RATE / TRANSFORM
"""Hz per bin."""


def mel(hertz: float) -> float:
    """Mel scale of O'Shaughnessy 1987."""
    return 2595.0 * float(np.log10(1.0 + hertz / 700.0))


def mel_bands(
    count: int, low: float, high: float, bins: int = TRANSFORM // 2 + 1, width: float = BIN
) -> tuple[NDArray[np.int64], Float]:
    """Triangular bands evenly spaced in mel: first bin int64[M] and weights float32[M, W], each
    band's weights summing to 1."""
    edges = 700.0 * (10.0 ** (np.linspace(mel(low), mel(high), count + 2) / 2595.0) - 1.0)
    frequency = np.arange(bins) * width
    full = np.zeros((count, bins))
    for m in range(count):
        left, middle, right = edges[m : m + 3]
        rise, fall = (frequency - left) / (middle - left), (right - frequency) / (right - middle)
        full[m] = np.maximum(np.minimum(rise, fall), 0.0)
        if not full[m].any():  # narrower than a bin
            full[m, round(middle / width)] = 1.0
        full[m] /= full[m].sum()
    first = (full > 0).argmax(1)
    longest = int(max((row > 0).sum() for row in full))
    weights = np.zeros((count, longest), np.float32)
    for m in range(count):
        part = full[m, first[m] : first[m] + longest]
        weights[m, : len(part)] = part
    return first.astype(np.int64), weights
