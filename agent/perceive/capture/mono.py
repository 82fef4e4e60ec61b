"""Sound of any rate and many channels, as one channel at the rate of the process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from agent.base.types import SOUND_RATE, Float

_CANCELLED = 0.05
"""Power of the mean over that of the loudest channel, below which the channels cancel out; eight
channels of which one carries sound keep .016, so the bound is per channel."""


def mono(channels: Float) -> Float:
    """float32[S] of float32[C, S]: the mean, or the loudest channel where they cancel out, as the
    two of a balanced line do.

    Channels of an array are not aligned with each other: what is lost to the spacing of its
    microphones is little below 1 kHz, and stays lost above.
    """
    if channels.shape[0] == 1:
        return np.ascontiguousarray(channels[0], np.float32)
    mean = np.asarray(channels.mean(0), np.float32)
    power = np.square(channels, dtype=np.float64).mean(1)
    loudest = int(np.nanargmax(power)) if np.isfinite(power).any() else 0
    kept = float(np.square(mean, dtype=np.float64).mean())
    if kept < _CANCELLED / channels.shape[0] * float(power[loudest]):
        return np.ascontiguousarray(channels[loudest], np.float32)
    return mean


class Resampler:
    """PyAV's audio frames to float32[S], mono, at `SOUND_RATE`; keeps some samples back."""

    def __init__(self, layout: Any) -> None:
        """`layout`: of the frames' channels, as PyAV names it."""
        import av

        # interleaved: PyAV 18.1 reads past the planes of eight channels
        self._convert = av.AudioResampler(format="flt", layout=layout, rate=SOUND_RATE)

    def __call__(self, frame: Any) -> Iterator[Float]:
        """`frame`: of one rate, format and layout; its timestamp is not looked at."""
        for part in self._convert.resample(frame):
            yield mono(part.to_ndarray().reshape(part.samples, -1).T)
