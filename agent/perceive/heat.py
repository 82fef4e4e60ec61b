"""Heat and under-voltage of the perceive process: what the board says, and what is done about it.

A pause begins at once; every other change waits for a window to begin, so that no visit is split in
the midst of one and nobody learns when within a window the board grew warm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

from agent.base.config import HeatConfig
from agent.base.vocabulary import Flag
from agent.host.board import Reading, Watch
from agent.perceive.ladder import FPS, Ladder, Step

log = logging.getLogger(__name__)

HeatEvent = Literal["hot", "cooled", "undervolt"]
STALE = 60.0
"""Seconds after which a reading that no other has followed is none: a driver hangs."""
_EARLY = 0.25
"""Share of the interval by which a frame may come before its time: cameras are not even, and the
mean rate stays below the limit all the same."""


class Heat:
    """Polled between frames; never waits."""

    def __init__(
        self,
        config: HeatConfig,
        watch: Watch | None,
        notify: Callable[[HeatEvent], None] = lambda event: None,
        *,
        hot: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`watch`: closed by `close`; None: nothing is read, nothing done. `notify`: is told what
        somebody should know. `hot`: the process before this one paused for heat. `clock`: monotonic
        seconds, as the watch's."""
        self._config, self._watch, self._notify = config, watch, notify
        hot = hot and watch is not None and config.ladder
        self._ladder = Ladder(config.pause, hot=hot)
        self._reading = Reading()
        self._seen = 0
        """Number of the last reading that was taken."""
        self._clock = clock
        self._stale_at = clock()
        self._low = False
        self._said: set[Literal["blind", "hung"]] = set()
        """What was said of sensors that say nothing: each once."""
        self._due = float("-inf")
        self.step = Step.ALL
        """In force."""
        self.paused = hot

    @property
    def flags(self) -> set[Flag]:
        """Of a frame that is looked at now."""
        flags: set[Flag] = set()
        if self.step > Step.ALL or self._reading.throttled:
            flags.add("throttled")
        if self._low:
            flags.add("undervolt")
        return flags

    @property
    def fps(self) -> float | None:
        """Frames per second to take at most; None: as many as come."""
        return FPS[Step.PAUSE if self.paused else self.step]

    def poll(self) -> None:
        """Take what the board said since the last call."""
        if self._watch is None:
            return
        number, at, reading = self._watch.latest()
        now = self._clock()
        if number != self._seen:
            self._seen, self._stale_at = number, at
        elif now - self._stale_at >= STALE:
            reading, self._stale_at = Reading(), now
            if "hung" not in self._said:
                self._said.add("hung")
                log.warning("The board's sensors do not answer: heat goes unseen until they do.")
        else:
            return
        if reading.temperature is None and not self._said:
            self._said.add("blind")
            log.info("No temperature can be read here: heat goes unseen.")
        self._take(reading, now)

    def begin_window(self) -> bool:
        """Put in force what is asked for; whether that changes anything."""
        before, self.step = self.step, self._wanted()
        if self.paused and self.step < Step.PAUSE:
            self.paused = False
            self._notify("cooled")
        if before != self.step:
            log.info("Heat: step %d of 3 is in force.", self.step)
        return before != self.step

    def takes(self, moment: float) -> bool:
        """Whether to look at a frame of this time, seconds, at the rate in force."""
        if self.fps is None:
            return True
        period = 1.0 / self.fps
        if moment < self._due - _EARLY * period:
            return False
        late = moment - self._due
        self._due = self._due + period if late < period else moment + period
        return True

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()

    def _take(self, reading: Reading, now: float) -> None:
        self._reading = reading
        self._ladder.update(reading.temperature, reading.undervolt, now)
        low, self._low = self._low, self._ladder.undervolt
        if self._low and not low:
            log.warning("The board's supply is too weak: its voltage is too low.")
            self._notify("undervolt")
        if self._wanted() == Step.PAUSE and not self.paused:
            self.paused = True
            log.warning("Too hot: nothing is looked at until the board has cooled.")
            self._notify("hot")

    def _wanted(self) -> Step:
        return self._ladder.step if self._config.ladder else Step.ALL
