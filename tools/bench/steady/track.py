"""The tracker with the shipped models, and how still a track is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.config import AgentConfig
from agent.base.types import Frame, Grey
from agent.vision.faces.follow import RESTING
from agent.vision.faces.landmarks import interocular
from agent.vision.faces.track import FaceTracker
from agent.vision.faces.track_state import Track
from agent.vision.pipeline import Models

FPS = 30.0
RIGID = [36, 39, 42, 45, 27, 28, 29, 30, 33]
"""Eye corners and nose: skin over bone."""
WHITE = 0.6745 * 6**0.5
"""Median absolute second difference of white noise with standard deviation 1."""

Double = NDArray[np.float64]


class Follower:
    """Detection, landmarks and stabiliser as in the pipeline, without expression."""

    def __init__(self, models: Models | None = None) -> None:
        cv2.setNumThreads(1)
        config = AgentConfig()
        self.models = models or Models(config)
        self._tracker = FaceTracker(
            lambda frame: self.models.detector(frame, 0),
            self.models.landmarks,
            config.detection,
            config.tracking,
            self.models.presence_above,
            judge=self.models.judge,
            resting=RESTING,
        )

    def __call__(self, frame: Frame) -> list[Track]:
        return self._tracker.update(frame)


@dataclass(slots=True, eq=False)
class Course:
    """One face's landmarks over a stretch of film."""

    indices: list[int] = field(default_factory=list)
    stable: list[Double] = field(default_factory=list)
    network: list[Double] = field(default_factory=list)
    continuity: list[float] = field(default_factory=list)
    iod: list[float] = field(default_factory=list)

    @property
    def size(self) -> float:
        """Median inter-ocular distance, pixels."""
        return float(np.median(self.iod))


def follow(pictures: Iterable[Grey], models: Models, fps: float = FPS) -> list[Course]:
    """Every track through the pictures, longest first."""
    follower = Follower(models)
    courses: dict[int, Course] = {}
    for index, luma in enumerate(pictures):
        for track in follower(Frame(index / fps, luma)):
            course = courses.setdefault(track.track_id, Course())
            course.indices.append(index)
            course.stable.append(track.points.astype(np.float64))
            course.network.append(track.estimate.points.astype(np.float64))
            course.continuity.append(track.continuity)
            course.iod.append(interocular(track.points))
    return sorted(courses.values(), key=lambda course: -len(course.indices))


def noise(points: Double, iod: float) -> float:
    """Median over frames, points and coordinates of |x[t+1] - 2 x[t] + x[t-1]|, % of the IOD."""
    return float(100 * np.median(np.abs(np.diff(points, 2, axis=0))) / iod)


def within_the_head(points: Double) -> Double:
    """float64[T, N, 2] with each frame's shift, turn and size taken out (Procrustes)."""
    shape = points[..., 0] + 1j * points[..., 1]
    shape = shape - shape.mean(1, keepdims=True)
    mean = shape[0]
    for _ in range(3):
        turn = (shape.conj() * mean).sum(1) / (np.abs(shape) ** 2).sum(1)
        aligned = shape * turn[:, None]
        mean = aligned.mean(0)
    return np.stack([aligned.real, aligned.imag], -1)
