"""The interface of a landmark network under test, and its initialisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agent.base.types import Float, Grey
from tools.eval.landmarks.measure import Follow, detection_offset, displaced, repeated


class Subject:
    """One landmark network, ours or a peer's: a way to follow a face."""

    def __init__(self, name: str, follow: Follow, points: Callable[[Float], Float]) -> None:
        self.name = name
        self.follow = follow
        self.points = points
        """Its own points to float32[68, 2]; NaN for those it does not have."""

    def locate(self, luma: Grey, rough: Float, passes: int = 2) -> Float:
        """float32[68, 2] after each pass has started from the one before."""
        return self.points(repeated(self.follow, passes)(luma, rough))


def rough(points: Float, rng: np.random.Generator, amount: float) -> Float:
    """Five keypoints float32[5, 2] as a detector would give them; `points` float32[68, 2]."""
    return displaced(points, detection_offset(rng, amount))


def each_face(found: Float, part: slice) -> Float:
    """Mean of float32[N, 68] over the labelled points of one part, float32[N]; NaN without any."""
    known = np.isfinite(found[:, part])
    total = np.where(known, found[:, part], 0).sum(1)
    count = known.sum(1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float32)
