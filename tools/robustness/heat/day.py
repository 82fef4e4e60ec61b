"""A board in a shop window: its surroundings, and its own warmth by what it does."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from pathlib import Path

from agent.host.board import Board, Latest, Reading, Watch
from agent.perceive.ladder import Step

HOUR = 3600.0
DAY = 24 * HOUR
EVERY = 5.0
"""Seconds between two readings, as in the agent."""
_MINUTES = 4.0
"""Time constant of a board with a small heat sink in a closed case."""
_IDLE, _BUSY = 18.0, 30.0
"""Degrees above its surroundings: idle, and what the whole pipeline adds."""
_SURROUNDINGS = ((0, 22), (8, 24), (10, 38), (12, 46), (13, 54), (14, 52), (16, 42), (18, 28),
                 (24, 22))  # fmt: skip
"""Hour of the day and degrees Celsius: the sun stands in the window from ten to four."""
GLITCH = 7 * HOUR
"""One reading of 124 degrees."""
GONE = (19 * HOUR, 19 * HOUR + 900)
"""The sensor refuses to be read."""
WEAK = (21 * HOUR, 21 * HOUR + 180)
"""The supply's voltage is too low."""


def surroundings(time: float) -> float:
    """Degrees Celsius at seconds since midnight."""
    hour = time % DAY / HOUR
    for (left, low), (right, high) in itertools.pairwise(_SURROUNDINGS):
        if hour <= right:
            return low + (high - low) * (hour - left) / (right - left)
    return _SURROUNDINGS[-1][1]


def warmed(degrees: float, time: float, load: float) -> float:
    """Temperature of the board five seconds later, at a share of the whole pipeline's load."""
    target = surroundings(time) + _IDLE + _BUSY * load
    return degrees + (target - degrees) * (1.0 - math.exp(-EVERY / (60 * _MINUTES)))


class Simulated(Watch):
    """A Raspberry Pi whose files are written anew every five seconds, and read by the agent's own
    reader."""

    def __init__(self, root: Path, load: Mapping[Step, float], seed: int) -> None:
        """`load`: CPU share of each step, of the whole pipeline's."""
        self._sys = root / "sys"
        self._written: dict[str, str] = {}
        self._random = random.Random(seed)
        self._load = load
        self.degrees = surroundings(0.0) + _IDLE + _BUSY
        self.time = 0.0
        for name, text in (
            ("class/thermal/thermal_zone0/type", "cpu-thermal"),
            ("class/hwmon/hwmon1/name", "rpi_volt"),
        ):
            self._write(name, text)
        self._put()
        self._read = Board(root)
        self._now = Latest(1, 0.0, self._read.read())

    def advance(self, doing: Step) -> Reading:
        """Five seconds at a step; returns what is read then."""
        self.time += EVERY
        self.degrees = warmed(self.degrees, self.time, self._load[doing])
        self._put()
        self._now = Latest(self._now.number + 1, self.time, self._read.read())
        return self._now.reading

    def latest(self, wait: float = 0.0) -> Latest:
        return self._now

    def close(self) -> None: ...

    def _put(self) -> None:
        """The sensor's noise has a standard deviation of .3 degrees."""
        shown = f"{round(1000 * (self.degrees + self._random.gauss(0.0, 0.3)))}"
        if self.time % DAY == GLITCH:
            shown = "124000"
        if GONE[0] <= self.time % DAY < GONE[1]:
            shown = "-256000"
        self._write("class/thermal/thermal_zone0/temp", shown)
        weak = WEAK[0] <= self.time % DAY < WEAK[1]
        self._write("class/hwmon/hwmon1/in0_lcrit_alarm", str(int(weak)))

    def _write(self, name: str, text: str) -> None:
        if self._written.get(name) == text:
            return
        self._written[name] = text
        path = self._sys / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
