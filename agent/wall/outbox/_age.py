"""When messages were stored, on a wall clock that steps.

Messages that are too old are dropped. Their time is wall time in whole seconds; where the clock
steps, it moves with them: a clock that was wrong by years and is set must not make all that waits
too old at once, nor young again. How much time really passed is told by CLOCK_BOOTTIME
(clock_gettime(2)) within one start of the machine. Between two starts the wall clock is believed,
but for no more than half of what a message may wait: the machine was off, or its clock was wrong.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from agent.base.device_time import machine_number, machine_start
from agent.wall.outbox._database import add_to_counter, counter

_STEP = 60
"""Seconds by which the wall clock may be off from the time that passed."""
_COUNTERS = ("seen_utc", "seen_boottime", "seen_machine")


class WallTime:
    """The wall clock as the outbox uses it."""

    def __init__(
        self,
        utc: Callable[[], float | None],
        max_age: float,
        boottime: Callable[[], float] | None = None,
        machine: str | None = None,
    ) -> None:
        """`utc`: seconds, None while the clock is not trusted; `max_age`: of a message, seconds;
        the others replace the system's."""
        self._utc = utc
        self._max_age = max_age
        self._boottime = boottime or _boottime
        named = machine_start() if machine is None else machine
        self._machine = machine_number(named)

    def __call__(self, database: sqlite3.Connection) -> float | None:
        """UTC seconds, None while the clock is not trusted. Within a transaction: moves the times
        of waiting messages by a step of the clock."""
        now = self._utc()
        if now is None:
            return None
        boottime = int(self._boottime())
        seen_utc, seen_boottime, machine = (counter(database, name) for name in _COUNTERS)
        if seen_utc:
            passed = now - seen_utc
            if machine == self._machine and boottime >= seen_boottime:
                really = float(boottime - seen_boottime)
            else:
                really = min(max(passed, 0.0), self._max_age / 2)
            step = int(passed - really)
            if abs(step) > _STEP:
                database.execute("UPDATE outbox SET created = created + ?", (step,))
        else:
            step = 0
        news = int(now), boottime, self._machine
        # not with each message: a row that changes is a page to be written
        if abs(step) > _STEP or machine != self._machine or boottime - seen_boottime >= _STEP:
            for name, new in zip(_COUNTERS, news, strict=True):
                add_to_counter(database, name, new - counter(database, name))
        return now


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
