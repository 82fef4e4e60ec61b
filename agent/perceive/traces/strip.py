"""The facial channels of the last seconds, from which those around a micro-expression are cut."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, MicroExpression
from agent.vision.micro.channels import FACE_CHANNELS, face_channels

STEP = 1 / 30
"""Seconds between two values of a strip."""
AROUND = 0.5
"""Seconds before onset and after offset."""
_KEPT = 4.0
"""Seconds; the spotter says what it found .6 s later at most."""


class Channels:
    """One face's channels."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._values: deque[Float] = deque()

    @property
    def latest(self) -> float:
        """Time of the last frame, seconds; 0 before the first."""
        return self._times[-1] if self._times else 0.0

    def add(self, time: float, points: Float) -> None:
        """`points`: float32[68, 2]; frames in order of time. Ones that are no numbers are left
        out."""
        values = face_channels(points)
        if not np.isfinite(values).all():
            return
        self._times.append(time)
        self._values.append(values)
        while self._times[0] < time - _KEPT:
            self._times.popleft()
            self._values.popleft()

    def strip(self, found: MicroExpression) -> tuple[float, NDArray[np.float32]] | None:
        """Time of the first value, and float32[N, 21] every `STEP`: inter-ocular distances from
        where each channel stood before the movement, so that nothing of the face's own shape is
        left. None where the movement was not seen."""
        times = np.array(self._times)
        if len(times) < 2 or times[0] > found.onset:
            return None
        begin, end = max(found.onset - AROUND, times[0]), min(found.offset + AROUND, times[-1])
        grid = begin + STEP * np.arange(max(int((end - begin) / STEP) + 1, 1))
        seen = np.stack(self._values)
        rest = np.median(seen[times <= found.onset], axis=0)
        out = np.empty((len(grid), FACE_CHANNELS), np.float32)
        for channel in range(FACE_CHANNELS):
            out[:, channel] = np.interp(grid, times, seen[:, channel]) - rest[channel]
        return float(grid[0]), out
