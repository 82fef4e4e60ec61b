"""Where a face is by its own motion: place, size and speed, from when it was in the clear."""

from __future__ import annotations

import math

from agent.base.types import Float

_MEMORY = 0.3
"""Time constant of the velocity, seconds."""
FURTHEST = 1.5
"""Seconds for which a velocity says where a face is; who is beside another for longer stands."""


class Motion:
    """Where a face was last in the clear, and how it moved: constant velocity."""

    __slots__ = ("size", "time", "velocity", "x", "y")

    def __init__(self, time: float, box: Float) -> None:
        left, top, right, bottom = box.tolist()
        self.time = time
        self.x, self.y = (left + right) / 2, (top + bottom) / 2
        """Middle of the box, frame pixels."""
        self.size = right - left
        """Its width, frame pixels."""
        self.velocity = 0.0, 0.0
        """Frame pixels per second."""

    def follow(self, time: float, box: Float) -> None:
        """Add the box float32[4] of a frame in which the face is in the clear."""
        left, top, right, bottom = box.tolist()
        x, y = (left + right) / 2, (top + bottom) / 2
        elapsed = time - self.time
        if elapsed > 0.0:
            gain = 1.0 - math.exp(-elapsed / _MEMORY)
            across, down = self.velocity
            across += gain * ((x - self.x) / elapsed - across)
            down += gain * ((y - self.y) / elapsed - down)
            self.velocity = across, down
        self.time, self.x, self.y, self.size = time, x, y, right - left

    def ahead(self, time: float) -> tuple[float, float]:
        """Where its middle is expected, frame pixels."""
        elapsed = min(max(time - self.time, 0.0), FURTHEST)
        return self.x + elapsed * self.velocity[0], self.y + elapsed * self.velocity[1]

    def astray(self, time: float, box: Float) -> float:
        """How far a box lies from there, its own widths."""
        left, top, right, bottom = box.tolist()
        x, y = self.ahead(time)
        shift = math.hypot((left + right) / 2 - x, (top + bottom) / 2 - y)
        return shift / max(self.size, 1.0)

    def distance(self, time: float, box: Float) -> float:
        """From a box to where the face was last seen or is expected, whichever is nearer; widths of
        the box. Infinite where the sizes differ by more than a factor of two."""
        left, top, right, bottom = box.tolist()
        width = max(right - left, 1.0)
        if not 0.5 < width / max(self.size, 1.0) < 2.0:
            return math.inf
        x, y = (left + right) / 2, (top + bottom) / 2
        ahead_x, ahead_y = self.ahead(time)
        apart = min(math.hypot(x - self.x, y - self.y), math.hypot(x - ahead_x, y - ahead_y))
        return apart / width
