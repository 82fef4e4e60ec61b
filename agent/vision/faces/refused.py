"""Places where a weak detection turned out to be no face, left alone for a while."""

from __future__ import annotations

from agent.base.types import Float
from agent.vision.faces.track_state import intersection_over_smaller

_STRONGER = 0.1
"""Score by which a detection must be above the one before not to be left alone."""
_SAME_PLACE = 0.5
"""Intersection over the smaller box above which two boxes are one place."""


class RefusedPlaces:
    """A memory of what was looked at in vain."""

    def __init__(self) -> None:
        self._places: list[tuple[float, Float, float]] = []
        """Until when each is left alone, its box and score."""

    def add(self, until: float, box: Float, score: float) -> None:
        """Leave the place of a box float32[4], frame pixels, alone until a time in seconds."""
        self._places.append((until, box, score))

    def forget(self, now: float) -> None:
        """Drop the places that have been left alone for long enough."""
        self._places = [place for place in self._places if place[0] > now]

    def holds(self, box: Float, score: float) -> bool:
        """Whether a detection of this score lies on such a place, and is not much stronger."""
        return any(
            score < before + _STRONGER and intersection_over_smaller(box, other) > _SAME_PLACE
            for _, other, before in self._places
        )
