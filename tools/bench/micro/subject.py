"""The interface of a spotter under test: a whole track in, intervals and processor time out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """A movement that a spotter reports; seconds of the track."""

    onset: float
    apex: float
    offset: float
    emitted: float = float("nan")
    """When it was known; NaN for a method that reads the whole track first."""
    units: tuple[str, ...] = ()
    intensity: float = float("nan")
    """IOD."""


@dataclass(slots=True)
class Answer:
    """All that was found in one track."""

    found: list[Found]
    cpu: float
    """Seconds of processor time."""
    analysed: float = float("nan")
    """Share of the frames that could be analysed; NaN where the method does not say."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Movements seen and refused, by kind."""


class Subject(Protocol):
    """A method under test."""

    @property
    def name(self) -> str: ...

    def __call__(self, timestamps: Array, landmarks: Points, confidence: Points) -> Answer:
        """float64[T] seconds, float32[T, 68, 2] pixels, float32[T] in [0, 1]."""
        ...
