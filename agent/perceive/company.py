"""Who was in view when something was said: speech belongs to a face only while it is alone."""

from __future__ import annotations

from collections import deque

from agent.base.types import Perceived

_KEPT = 6.0
"""Seconds: longer than any stretch of speech, with what its reading waits for."""
_STEADY = 0.5
"""Share of the frames in which the one face must have been seen: blinks of the tracker do no harm,
and who came at the end did not say all of it."""


class Company:
    """The faces in view over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, frozenset[int], bool]] = deque()

    def add(self, perceived: Perceived) -> None:
        """One frame; times ascend."""
        faces = frozenset(face.track_id for face in perceived.faces)
        self._seen.append((perceived.time, faces, perceived.skipped > 0))
        while perceived.time - self._seen[0][0] > _KEPT:
            self._seen.popleft()

    def alone(self, start: float, end: float) -> int | None:
        """Track id of the only face in view from `start` to `end`, seconds; None where there was
        none, or another one, if only in one frame."""
        during = [(faces, more) for time, faces, more in self._seen if start <= time <= end]
        if not during and self._seen:  # between two frames: the nearest
            nearest = min(self._seen, key=lambda each: abs(each[0] - end))
            during = [nearest[1:]] if abs(nearest[0] - end) < 1.0 else []
        everyone = frozenset().union(*(faces for faces, _ in during))
        if len(everyone) != 1 or any(more for _, more in during):
            return None
        seen = sum(bool(faces) for faces, _ in during)
        return next(iter(everyone)) if seen >= _STEADY * len(during) else None

    def forget(self) -> None:
        self._seen.clear()
