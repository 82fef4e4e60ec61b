"""Common to all frame sources: protocol, monotonic timestamps, capture thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.base.types import Frame
from agent.base.vocabulary import Flag
from agent.perceive.capture.camera import Camera
from agent.perceive.capture.handoff import Latest

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
    size_changes: int = 0
    truncated: int = 0
    """1 when a file ended before its stated length."""


class StuckError(CaptureError):
    """A driver hangs: only a new process can reopen the camera."""


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


_hung: dict[str, list[threading.Thread]] = {}
"""Capture threads still in a driver after `close`, by camera name."""


class ThreadedCamera(BaseSource):
    """A camera read in a thread of its own, so that a hang is detected.

    A late reader gets the newest frame; the others are counted as dropped.
    """

    live = True

    def __init__(self, camera: Camera, config: SourceConfig) -> None:
        """Raises `StuckError` while a thread of the same camera still hangs in the driver."""
        name = camera.name
        if any(thread.is_alive() for thread in _hung.get(name, ())):
            raise StuckError(
                f"{name} hung, and its driver still holds this process. Restart the agent; the "
                "service does so by itself."
            )
        super().__init__(name, config.fps)
        self._camera = camera
        self._stall = config.stall
        self._interval = 0.0
        self._frames: Latest[Frame] = Latest()
        self._failure: CaptureError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"capture {name}", daemon=True)

    def limit(self, fps: float | None) -> None:
        """Give at most this many frames a second, the others not even being copied; None: all."""
        self._interval = 0.0 if fps is None else 1.0 / fps

    def start(self) -> None:
        """Start reading; called by the subclass once the device is open."""
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        frame = self._frames.get(self._stall)
        if frame is not None:
            if self._frames.dropped > self.counters.dropped:
                self.counters.dropped = self._frames.dropped
                self.flags.add("frames_dropped")
            return self._retimed(frame)
        if self._failure is not None:
            raise self._failure
        if self._stop.is_set():
            raise StopIteration
        raise CaptureError(
            f"{self.name} gave no frame for {self._stall:g} s. Check its cable and power; the "
            "agent opens it again by itself. If it happens often, lower source.fps or the size."
        )

    def _read(self) -> None:
        try:
            due = 0.0
            while not self._stop.is_set():
                frame = self._camera.grab()
                if frame.time >= due:
                    due = frame.time + 0.9 * self._interval
                    self._frames.put(frame)
        except CaptureError as error:
            self._failure = error
        finally:
            self._frames.close()
            self._camera.close()

    def close(self) -> None:
        """Stop reading and close the device. A thread that hangs in the driver is abandoned; it
        releases the device when it returns."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._frames.close()
        if self._thread.ident is None:
            self._camera.close()
        else:
            self._thread.join(1.0)
            if self._thread.is_alive():
                _hung.setdefault(self.name, []).append(self._thread)
