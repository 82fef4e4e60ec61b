"""One face's landmarks as evenly sampled inputs of the spotter's network."""

from __future__ import annotations

import math

import numpy as np

from agent.base.types import Float
from agent.vision.kernels.normalise import normalise
from agent.vision.kernels.resample import resample_uniform
from agent.vision.micro.channels import FACE_CHANNELS, REGIONS, VALUES, measure_channels

STEP = 1.0 / 30.0
"""Seconds. Micro-expressions hold nothing above 15 Hz: faster cameras are averaged."""
PATIENCE = 0.1
"""Seconds that a step waits for a frame before it is filled with the last values."""
LONGEST_GAP = 1.0
"""Seconds unseen that a stream can bridge; after more, another one is to be begun."""
INPUTS = FACE_CHANNELS + 17
_MAX_STEPS = int(LONGEST_GAP / STEP) + 4


class FaceStream:
    """Landmarks in at any pace, network inputs out every thirtieth of a second; bounded memory."""

    __slots__ = (
        "_before",
        "_clock",
        "_count",
        "_interrupted",
        "_level",
        "_noise",
        "_partial",
        "_past",
        "_pose",
        "_steps",
        "_values",
        "completed_at",
        "inputs",
        "scale",
        "started",
        "times",
    )

    def __init__(self) -> None:
        self._values = np.zeros(VALUES, np.float32)
        self._before = np.zeros(VALUES, np.float32)
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
        self.scale = 0.0
        """Pixels per inter-ocular distance in the newest frame."""
        self.inputs = np.zeros((_MAX_STEPS, INPUTS), np.float32)
        """Of the steps that the newest call completed."""
        self.completed_at = np.zeros(_MAX_STEPS)
        """When each of them became complete, seconds."""
        self.times = np.zeros(_MAX_STEPS)
        """Their middles, seconds."""

    @property
    def last(self) -> float:
        """Time of the newest frame, seconds."""
        return self._clock.item(0)

    @property
    def noise_known(self) -> bool:
        """Whether the noise is known well enough to report anything."""
        return self._count.item(0) >= 40

    @property
    def noise(self) -> Float:
        """float32[21]: what a channel at rest shows at the pace of a micro-expression, inter-ocular
        distances; a standard deviation."""
        return np.asarray(self._noise[0] * np.float32(1.48 / 1.2 / 100.0))

    def push(self, time: float, points: Float, confidence: float) -> int:
        """Add a frame; return how many steps it completed.

        Parameters
        ----------
        time : float
            Seconds. A frame that is not newer than the one before is left out.
        points : float32[68, 2]
            Landmarks, frame pixels.
        confidence : float
            In [0, 1]. Below one half, or where a landmark is not finite, the frame is left out, and
            what follows is not taken for a continuation of what was before.

        Returns
        -------
        int
            -1 where the frame was left out for that.
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
        turns = round((roll - self._before.item(FACE_CHANNELS + 2)) / (2 * math.pi))
        self._values[FACE_CHANNELS + 2] = roll - 2 * math.pi * turns
        trust = 0.0 if self._interrupted else min(1.0, (confidence - 0.5) / 0.3)
        self._interrupted = False
        return self._advance(time, trust)

    def tick(self, time: float) -> int:
        """Time has passed without a frame; return how many steps that completed."""
        return self._advance(time, -1.0) if self.started else 0

    def _begin(self, time: float) -> None:
        self._clock[:] = time, time + STEP, 0.0
        self._before[:] = self._values
        self._partial[:] = 0.0
        self.started, self._interrupted = True, False

    def _advance(self, time: float, trust: float) -> int:
        done = resample_uniform(
            time,
            self._values,
            trust,
            self._clock,
            self._before,
            self._partial,
            self._steps,
            self.completed_at,
            STEP,
            PATIENCE,
        )
        for k in range(done):
            self.times[k] = self._clock.item(1) - STEP * (done - k + 0.5)
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
        return done
