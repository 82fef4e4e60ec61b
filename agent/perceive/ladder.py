"""How much is done at which temperature: a ladder of steps with hysteresis.

One reading alone never moves it, but for the first: a step up takes two readings that both reach
it, a step down two that are both below. Temperature and supply are judged apart; the higher step
counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

FIRST_BELOW, SECOND_BELOW = 10.0, 5.0
"""Degrees below `heat.pause` at which the first two steps begin."""
HYSTERESIS = (5.0, 5.0, 7.0)
"""Degrees that each step ends below where it begins."""
CLEAR_AFTER = 600.0
"""Seconds without under-voltage after which it counts as over."""
UNKNOWN_AFTER = 60.0
"""Seconds for which the last temperature stands in for readings that are missing."""


class Step(IntEnum):
    """How much is done; higher is less."""

    ALL = 0
    SLOW = 1
    """20 frames per second, no micro-expressions, no microphone."""
    SLOWER = 2
    """10 frames per second, one face, likewise."""
    PAUSE = 3
    """Nothing."""


FPS: dict[Step, float | None] = {
    Step.ALL: None, Step.SLOW: 20.0, Step.SLOWER: 10.0, Step.PAUSE: 5.0,
}  # fmt: skip
"""Frames per second to take at most; while nothing is looked at some still show that the camera
works."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Degrees Celsius at which each step above `ALL` begins, and below which it ends."""

    begin: tuple[float, float, float]
    end: tuple[float, float, float]


def bounds(pause: float) -> Bounds:
    """Of the ladder whose last step begins at `pause`."""
    begin = (pause - FIRST_BELOW, pause - SECOND_BELOW, pause)
    first, second, third = (at - less for at, less in zip(begin, HYSTERESIS, strict=True))
    return Bounds(begin, (first, second, third))


class Ladder:
    """The step that temperature and supply ask for; a state machine without a clock of its own."""

    def __init__(self, pause: float = 85.0, *, hot: bool = False) -> None:
        """`pause`: degrees Celsius at which the last step begins. `hot`: it was reached before this
        process was started, and is held as if it had been seen."""
        self._bounds = bounds(pause)
        self._heat = Step.PAUSE if hot else Step.ALL
        self._previous: float | None = None
        self._known_at: float | None = None
        """When the temperature was known last; None: at no time yet."""
        self._low_until: float | None = None
        """When the under-voltage counts as over; None: there is none."""

    @property
    def step(self) -> Step:
        """What is asked for now."""
        return max(self._heat, Step.SLOW if self.undervolt else Step.ALL)

    @property
    def undervolt(self) -> bool:
        """Whether the supply was too weak within `CLEAR_AFTER`."""
        return self._low_until is not None

    def update(self, temperature: float | None, undervolt: bool | None, now: float) -> None:
        """Take a reading; None: unknown. `now`: monotonic seconds."""
        if undervolt:
            self._low_until = now + CLEAR_AFTER
        elif self._low_until is not None and now >= self._low_until:
            self._low_until = None
        if self._known_at is None:
            self._known_at = now
        if temperature is None:
            self._previous = None
            if now - self._known_at >= UNKNOWN_AFTER:
                self._heat = Step.ALL
            return
        before = temperature if self._previous is None else self._previous
        self._previous, self._known_at = temperature, now
        low, high = min(before, temperature), max(before, temperature)
        while self._heat < Step.PAUSE and low >= self._bounds.begin[self._heat]:
            self._heat = Step(self._heat + 1)
        while self._heat > Step.ALL and high < self._bounds.end[self._heat - 1]:
            self._heat = Step(self._heat - 1)
