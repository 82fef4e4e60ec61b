"""Landmarks of one face as evenly sampled network inputs."""

from __future__ import annotations

import math

import numpy as np

from agent.base.types import Float
from agent.kernels.normalise import VELOCITY, normalise
from agent.kernels.resample import resample_uniform
from agent.vision.micro.channels import FACE_CHANNELS, REGIONS, VALUES, measure_channels

STEP = 1.0 / 30.0
"""Seconds. Micro-expressions have no content above 15 Hz: higher frame rates are averaged."""
_TIMEOUT = 0.1
"""Seconds after which a step without a frame is filled with the last values."""
LONGEST_GAP = 1.0
"""Seconds without landmarks that a stream can bridge; a longer gap needs a new stream."""
INPUTS = FACE_CHANNELS + 17
_MAX_STEPS = int(LONGEST_GAP / STEP) + 4


class FaceStream:
    """Resamples landmarks at any frame rate to network inputs every `STEP`, in bounded memory."""

    __slots__ = (
        "_clock",
        "_count",
        "_interrupted",
        "_level",
        "_noise",
        "_partial",
        "_past",
        "_pose",
        "_previous",
        "_steps",
        "_values",
        "completed_at",
        "inputs",
        "last",
        "scale",
        "started",
        "times",
    )

    def __init__(self) -> None:
        self._values = np.zeros(VALUES, np.float32)
        self._previous = np.zeros(VALUES, np.float32)
        self._partial = np.zeros(VALUES, np.float32)
        self._clock = np.zeros(3)
        self._steps = np.zeros((_MAX_STEPS, VALUES + 1), np.float32)
        self._level = np.zeros(FACE_CHANNELS + 1, np.float32)
        self._noise = np.zeros((2, FACE_CHANNELS), np.float32)
        self._past = np.zeros((11, FACE_CHANNELS), np.float32)
        self._pose = np.zeros(6, np.float32)
        self._count = np.zeros(1, np.int64)
        self._interrupted = False
        self.started = False
        self.last = 0.0
        """Time of the latest frame, seconds."""
        self.scale = 0.0
        """Pixels per inter-ocular distance in the latest frame."""
        self.inputs = np.zeros((_MAX_STEPS, INPUTS), np.float32)
        """Network inputs of the steps that the latest call completed."""
        self.completed_at = np.zeros(_MAX_STEPS)
        """Their completion times, seconds."""
        self.times = np.zeros(_MAX_STEPS)
        """Their mid-times, seconds."""

    @property
    def noise_known(self) -> bool:
        """Whether the noise estimate has converged enough for events."""
        return self._count.item(0) >= 40

    @property
    def noise(self) -> Float:
        """float32[21]: standard deviation of each channel at rest on the time scale of a
        micro-expression, inter-ocular distances."""
        return np.asarray(self._noise[0] * np.float32(1.48 / 1.2 / 100.0))

    def turn(self, row: int) -> float:
        """How fast the head turned in a row of `inputs`, radians per second."""
        square = 0.0
        for scaled in self.inputs[row, FACE_CHANNELS + 1 : FACE_CHANNELS + 4].tolist():
            square += (VELOCITY * math.sinh(scaled)) ** 2
        return math.sqrt(square)

    def push(self, time: float, points: Float, confidence: float) -> int:
        """Add a frame; return the number of steps it completed.

        Parameters
        ----------
        time : float
            Seconds. Frames not later than the previous one are ignored.
        points : float32[68, 2]
            Landmarks, frame pixels.
        confidence : float
            In [0, 1]. Below 0.5, or with non-finite landmarks, the frame is rejected and the next
            one is not joined to those before.

        Returns
        -------
        int
            -1 for a rejected frame.
        """
        scale = measure_channels(points, self._values) if confidence >= 0.5 else math.nan
        if not math.isfinite(scale):
            self._interrupted = True
            return -1
        self.scale = scale
        if not self.started:
            self._begin(time)
            return 0
        if time <= self.last:
            return 0
        roll = self._values.item(FACE_CHANNELS + 2)
        turns = round((roll - self._previous.item(FACE_CHANNELS + 2)) / (2 * math.pi))
        self._values[FACE_CHANNELS + 2] = roll - 2 * math.pi * turns
        trust = 0.0 if self._interrupted else min(1.0, (confidence - 0.5) / 0.3)
        self._interrupted = False
        return self._advance(time, trust)

    def tick(self, time: float) -> int:
        """Advance to `time` without a frame; return the number of steps completed."""
        return self._advance(time, -1.0) if self.started else 0

    def _begin(self, time: float) -> None:
        self._clock[:] = time, time + STEP, 0.0
        self.last = time
        self._previous[:] = self._values
        self._partial[:] = 0.0
        self.started, self._interrupted = True, False

    def _advance(self, time: float, trust: float) -> int:
        count = resample_uniform(
            time,
            self._values,
            trust,
            self._clock,
            self._previous,
            self._partial,
            self._steps,
            self.completed_at,
            STEP,
            _TIMEOUT,
        )
        self.last = self._clock.item(0)
        for k in range(count):
            self.times[k] = self._clock.item(1) - STEP * (count - k + 0.5)
            normalise(
                self._steps[k],
                STEP,
                REGIONS,
                self._level,
                self._noise,
                self._past,
                self._pose,
                self._count,
                self.inputs[k],
            )
        return count
