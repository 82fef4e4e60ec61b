"""Common to all frame sources: protocol, monotonic timestamps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.base.types import Frame
from agent.base.vocabulary import Flag

MAX_STEP = 60.0
"""Seconds; a larger step between two frames is an invalid timestamp."""
MAX_FIRST = 1e9
"""Seconds; a larger first timestamp is invalid."""


@dataclass(slots=True)
class Counters:
    """Counters since a source was opened."""

    frames: int = 0
    """Frames returned."""
    dropped: int = 0
    """Frames not read in time."""
    bad_timestamps: int = 0
    """Frames whose timestamp was invalid and replaced."""
    damaged: int = 0
    """Frames that came damaged and were left out; they count as dropped too."""
    size_changes: int = 0
    truncated: int = 0
    """1 when a file ended before its stated length, or goes on with another film."""


class Source(Protocol):
    """An iterator of frames whose times strictly increase.

    Iteration ends at the end of a file, and raises `CaptureError` when a camera fails.
    """

    name: str
    """File or camera, for messages."""
    fps_nominal: float
    """Frames per second as stated by the source."""
    live: bool
    """True for a camera, False for a file."""
    counters: Counters

    def drain_flags(self) -> set[Flag]:
        """Problems since the last call."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __next__(self) -> Frame: ...

    def close(self) -> None:
        """Release the device or file and end the iteration. Idempotent and thread-safe."""
        ...


class Timeline:
    """Makes timestamps strictly increasing.

    A timestamp that repeats, decreases or jumps ahead is replaced by the last one plus one nominal
    period. After the source's clock was set back, later timestamps are shifted to continue.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._shift = 0.0
        self._raw: float | None = None
        self._last: float | None = None

    def __call__(self, raw: float) -> tuple[float, bool]:
        """Corrected seconds, and whether the given timestamp was valid."""
        if self._last is None:
            good = abs(raw) <= MAX_FIRST
            self._raw = self._last = raw if good else 0.0
            return self._last, good
        if self._raw is None:
            good = math.isfinite(raw)
            self._raw, self._last = (raw if good else 0.0), self._last + self._period
            self._shift = self._last - self._raw
            return self._last, good
        step, time = raw - self._raw, raw + self._shift
        good = math.isfinite(raw) and self._last < time <= self._last + MAX_STEP
        if not good and 0.0 < step <= MAX_STEP:
            # the clock was set: keep the step, change the offset
            time = self._last + step
            good = time > self._last
            self._shift = time - raw
        if not good:
            time = self._last + self._period
        if math.isfinite(raw):
            self._raw = raw
        self._last = time
        return time, good

    def restart(self) -> None:
        """Map the next timestamp to one period after the last one."""
        self._raw = None


class BaseSource:
    """Name, counters and flags of a source; checks times and sizes of its frames."""

    def __init__(self, name: str, fps_nominal: float) -> None:
        self.name = name
        self.fps_nominal = fps_nominal
        self.flags: set[Flag] = set()
        self.counters = Counters()
        self._timeline = Timeline(1.0 / fps_nominal)
        self._shape: tuple[int, ...] | None = None

    def drain_flags(self) -> set[Flag]:
        """Problems since the last call."""
        flags, self.flags = self.flags, set()
        return flags

    def _retimed(self, frame: Frame) -> Frame:
        """The frame with a valid time; problems are counted and flagged."""
        if self._shape not in (None, frame.luma.shape):
            self.counters.size_changes += 1
            self.flags.add("frame_size_changed")
        self._shape = frame.luma.shape
        time, good = self._timeline(frame.time)
        if not good:
            self.counters.bad_timestamps += 1
            self.flags.add("bad_timestamps")
        self.counters.frames += 1
        return Frame(time, frame.luma)
