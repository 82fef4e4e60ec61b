"""The latest seconds of sound, in memory that is overwritten and never grows."""

from __future__ import annotations

import numpy as np

from agent.base.types import SOUND_RATE as RATE
from agent.base.types import Float

SECONDS = 4.0
"""All the sound there ever is in the process."""


class Ring:
    """Ring buffer of mono float32 samples at `RATE`."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._samples = np.zeros(round(seconds * RATE), np.float32)
        self.total = 0
        """Samples written since the start, or since `forget`."""

    def write(self, samples: Float) -> None:
        """Append float32[S]; of more than the ring holds, the latest."""
        size = len(self._samples)
        self.total += len(samples)
        samples = samples[-size:]
        end = self.total % size
        start = (end - len(samples)) % size
        if start + len(samples) <= size:
            self._samples[start : start + len(samples)] = samples
        else:
            first = size - start
            self._samples[start:] = samples[:first]
            self._samples[: len(samples) - first] = samples[first:]

    def latest(self, count: int) -> Float:
        """A copy of the latest samples float32[C], oldest first; fewer where fewer are held."""
        size = len(self._samples)
        count = min(count, self.total, size)
        start = (self.total - count) % size
        if start + count <= size:
            return self._samples[start : start + count].copy()
        return np.concatenate([self._samples[start:], self._samples[: start + count - size]])

    def forget(self) -> None:
        """Overwrite everything with zeros."""
        self._samples.fill(0)
        self.total = 0
