"""Bounded work and bounded words, whatever comes in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from agent.base.report import EventCode
from agent.wall.outbox import Outbox

_FLUSH = 60.0
"""Seconds between two times that counted events are written."""
_MOST = 1023
"""Counted of one code and not yet written."""


class TokenBucket:
    """Allows `burst` at once and `rate` a second on average."""

    def __init__(
        self, burst: int, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: monotonic seconds."""
        self._burst, self._rate, self._clock = float(burst), rate, clock
        self._tokens = float(burst)
        self._at = clock()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Tally:
    """Counts events in memory and hands them to the outbox once a minute: hostile messages must not
    wear out the disk."""

    def __init__(self) -> None:
        self.total: Counter[EventCode] = Counter()
        """Since the start."""
        self._waiting: Counter[EventCode] = Counter()
        self._next = 0.0

    def __call__(self, code: EventCode, times: int = 1) -> None:
        self.total[code] += times
        self._waiting[code] = min(self._waiting[code] + times, _MOST)

    def flush(self, outbox: Outbox, now: float) -> None:
        """Say what was counted, where it is time. Raises `StoreError`."""
        if now < self._next:
            return
        for code in list(self._waiting):
            outbox.say(code, self._waiting[code])
            del self._waiting[code]
        outbox.say_pending()
        self._next = now + _FLUSH
