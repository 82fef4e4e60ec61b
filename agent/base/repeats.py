"""How often to say that a fault goes on: a journal on the disk that is full must not be flooded."""

from __future__ import annotations

import time
from collections.abc import Callable

_PAUSES = (0.0, 60.0, 600.0)
"""Seconds before the first, second and third time; every further one waits `_LONGEST`."""
_LONGEST = 3600.0


class Seldom:
    """Whether to say it now: at once, then after a minute, ten minutes, and once an hour."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self._times = 0
        self._next = 0.0

    def __call__(self) -> bool:
        """Call it with each occurrence."""
        now = self._clock()
        if self._times and now < self._next:
            return False
        self._times += 1
        self._next = now + (_PAUSES[self._times] if self._times < len(_PAUSES) else _LONGEST)
        return True

    def over(self) -> bool:
        """The fault is over, and the next one is said at once; returns whether there was one."""
        was, self._times = self._times > 0, 0
        return was
