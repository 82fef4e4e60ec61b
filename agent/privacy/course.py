"""Where a face moved in the picture, and whether another track may be the same stay.

By geometry alone: nobody is recognised. Lengths are in *faces*, the larger side of a face's box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from agent.base.types import Face

SURE = 0.5
"""Presence from which a face's box counts: while a face is being lost its landmarks fly off."""
_SPACING = 0.1
"""Seconds between the samples that a velocity is taken from."""
_SAMPLES = 6
_LEAVES_WITHIN = 0.5
"""Seconds in which a face that leaves the picture would be outside at its last velocity: it is
followed until its nose passes the edge."""
_ENTERED_WITHIN = 1.0
"""The same at its first velocity, backwards: it is found when most of it is inside, and the
detector does not look at every frame."""
_SLOWEST = 0.25
"""Faces per second below which a face neither enters nor leaves."""
_REACH = 1.5
"""Faces between where one was lost and where it is found again at once, and `_STRAY` more for each
second in between."""
_STRAY = 0.1
_JUMP = 4.0
"""The same where a recording was cut."""
_ONWARD = 1.0
"""Seconds within which a face that is on the move is found again on its way: fast ones escape the
tracker, and would else seem to leave and enter in the middle of the picture."""
_AT_ONCE = 0.2
"""Seconds within which what was in view briefly is found on its way, however it seemed to move."""
_LIKE = 2.0
"""Ratio of sizes up to which two faces may be one."""
_MOVED_ON = 1.0
"""Faces of travel beyond which a face has no place of its own."""

Point = tuple[float, float, float]
"""Seconds; x, y of the middle of a box, pixels."""


@dataclass(slots=True)
class Course:
    """Path of one track."""

    start: Point
    first_size: float
    """Larger side of the box, pixels, at the start."""
    size: float
    """The same, averaged over the last third of a second or so."""
    picture: tuple[int, int] | None
    """Width and height, pixels."""
    early: Point | None = None
    """Half a second after `start`, or what there is of it."""
    recent: list[Point] = field(default_factory=list)
    """The last half second."""
    low: tuple[float, float] = (0.0, 0.0)
    high: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, time: float, face: Face, picture: tuple[int, int] | None) -> Course:
        x, y, size = _middle(face)
        return cls((time, x, y), size, size, picture, None, [(time, x, y)], (x, y), (x, y))

    def add(self, time: float, face: Face) -> None:
        if face.landmarks.presence < SURE:
            return
        x, y, size = _middle(face)
        self.size += 0.1 * (size - self.size)
        self.low = min(self.low[0], x), min(self.low[1], y)
        self.high = max(self.high[0], x), max(self.high[1], y)
        # The newest sample is replaced until it is `_SPACING` after the one before.
        if len(self.recent) > 1 and time - self.recent[-2][0] < _SPACING:
            self.recent.pop()
        self.recent.append((time, x, y))
        del self.recent[:-_SAMPLES]
        if self.early is None or self.early[0] - self.start[0] < 0.5:
            self.early = time, x, y

    def join(self, later: Course) -> None:
        """Go on with the path of another track."""
        self.size, self.picture = later.size, later.picture
        # fast faces are tracked in pieces, each of which lags behind: together they tell the pace
        since = later.recent[-1][0] - _SPACING * (_SAMPLES - 1)
        before = [point for point in self.recent if since <= point[0] < later.recent[0][0]]
        self.recent = [*before, *later.recent][-_SAMPLES:]
        self.low = min(self.low[0], later.low[0]), min(self.low[1], later.low[1])
        self.high = max(self.high[0], later.high[0]), max(self.high[1], later.high[1])

    @property
    def left(self) -> bool:
        """Whether it was last seen on its way over the picture's edge."""
        _, x, y = self.recent[-1]
        return self._crosses(x, y, self.velocity, _LEAVES_WITHIN)

    @property
    def entered(self) -> bool:
        """Whether it was first seen on its way from the picture's edge."""
        across, down = self.first_velocity
        return self._crosses(self.start[1], self.start[2], (-across, -down), _ENTERED_WITHIN)

    @property
    def place(self) -> tuple[int, int, int] | None:
        """See `Visit.place`."""
        if max(self.high[0] - self.low[0], self.high[1] - self.low[1]) > _MOVED_ON * self.size:
            return None
        scale = round(math.log2(max(self.size, 1.0)))
        x, y = (self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2
        return scale, int(x // 2**scale), int(y // 2**scale)

    @property
    def velocity(self) -> tuple[float, float]:
        """The last one, pixels per second; (0, 0) where it is unknown."""
        return _velocity(self.recent[0], self.recent[-1])

    @property
    def first_velocity(self) -> tuple[float, float]:
        return _velocity(self.start, self.early) if self.early else (0.0, 0.0)

    def _crosses(self, x: float, y: float, speed: tuple[float, float], within: float) -> bool:
        if self.picture is None or math.hypot(*speed) < _SLOWEST * self.size:
            return False
        to_x, to_y = x + within * speed[0], y + within * speed[1]
        return not (0 <= to_x < self.picture[0] and 0 <= to_y < self.picture[1])


def distance(lost: Course, found: Course, elapsed: float, cut: bool, brief: bool = False) -> float:
    """How far `found` began from where `lost` ended, faces; infinite where they are not one stay.

    `elapsed`: seconds between the two. `cut`: nobody else was in view when the one took the place
    of the other, as in recordings that are cut or begin again. `brief`: the lost one was in view
    too briefly to be sure of its pace.
    """
    if not any(
        lost.size < _LIKE * s < _LIKE**2 * lost.size for s in (found.first_size, found.size)
    ):
        return math.inf
    size = max(lost.size, found.size, 1.0)
    last, x, y = lost.recent[-1]
    across, down = lost.velocity
    ahead = min(max(found.start[0] - last, 0.0), _ONWARD)
    onward = math.hypot(found.start[1] - x - ahead * across, found.start[2] - y - ahead * down)
    at_once = brief and elapsed <= _AT_ONCE
    if (at_once or (elapsed <= _ONWARD and _alike(lost, found))) and onward < _REACH * size:
        return onward / size
    if lost.left or found.entered:
        return math.inf
    apart = min(math.hypot(found.start[1] - x, found.start[2] - y), onward) / size
    return apart if apart < (_JUMP if cut else _REACH + _STRAY * elapsed) else math.inf


def _alike(lost: Course, found: Course) -> bool:
    """Whether both move, and in about the same way."""
    speed, first = lost.velocity, found.first_velocity
    pace = min(math.hypot(*speed), math.hypot(*first))
    change = math.hypot(first[0] - speed[0], first[1] - speed[1])
    return pace > 2 * _SLOWEST * lost.size and change < pace


def _velocity(before: Point, after: Point) -> tuple[float, float]:
    elapsed = after[0] - before[0]
    if elapsed < _SPACING:
        return 0.0, 0.0
    return (after[1] - before[1]) / elapsed, (after[2] - before[2]) / elapsed


def _middle(face: Face) -> tuple[float, float, float]:
    """x, y of the middle of the box and its larger side, pixels."""
    left, top, right, bottom = face.box.tolist()
    return (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top)
