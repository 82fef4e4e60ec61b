"""What all sources of frames share: the protocol, increasing timestamps, a reading thread."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.base.types import Frame
from agent.base.vocabulary import Flag
from agent.perceive.capture.handoff import Latest

MAX_STEP = 60.0
"""Seconds between two frames beyond which their timestamps are not believed."""
MAX_FIRST = 1e9
"""Seconds; a first timestamp beyond this is no time since anything."""


@dataclass(slots=True)
class Counters:
    """What happened to a source since it was opened."""

    frames: int = 0
    """Handed out."""
    dropped: int = 0
    """Lost because nobody read them in time."""
    bad_timestamps: int = 0
    """Frames whose timestamp did not advance and was replaced."""
    size_changes: int = 0
    truncated: int = 0
    """1 when a file ended before its own header says."""


class StuckError(CaptureError):
    """A driver holds this process: only a new process can open the camera again."""


class Source(Protocol):
    """An iterator of frames whose times strictly increase.

    Iterating ends when a file ends, and raises `CaptureError` when a sensor stops. `flags` holds
    what went wrong since the caller last cleared it; `counters` never go back.
    """

    name: str
    """For people: which file or camera."""
    fps_nominal: float
    """Frames per second that the source claims."""
    live: bool
    """True for a camera, False for a file."""
    flags: set[Flag]
    counters: Counters

    def __iter__(self) -> Iterator[Frame]: ...

    def __next__(self) -> Frame: ...

    def close(self) -> None:
        """Let go of the device or file; iterating ends. May be called twice, from any thread."""
        ...


class Timeline:
    """Makes timestamps strictly increasing; counts and replaces those that are not.

    A frame whose timestamp repeats, goes back or leaps utc_offset is placed one nominal period after the
    one before it. When the clock behind the timestamps itself was set back (they advance again, but
    from an earlier value), later ones are shifted to continue from there.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._shift = 0.0
        self._raw: float | None = None
        self._last: float | None = None

    def __call__(self, raw: float) -> tuple[float, bool]:
        """Seconds in; seconds out, and whether the timestamp was believed."""
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
            # advancing, but from elsewhere: believe the step, not the origin
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
        """The next timestamp means one period after the last one, whatever it says."""
        self._raw = None


class BaseSource:
    """Name, counters and flags of a source, and its frames' times and sizes watched."""

    def __init__(self, name: str, fps_nominal: float) -> None:
        self.name = name
        self.fps_nominal = fps_nominal
        self.flags: set[Flag] = set()
        self.counters = Counters()
        self._timeline = Timeline(1.0 / fps_nominal)
        self._shape: tuple[int, ...] | None = None

    def _retimed(self, frame: Frame) -> Frame:
        """The frame at a time after the one before it; what was wrong is counted and flagged."""
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
"""Threads that were in a driver when their camera was closed, by the camera's name."""


class ThreadedCamera(BaseSource, ABC):
    """A camera read in a thread of its own, so that one that hangs is noticed.

    Subclasses open the device in their constructor and call `start`. Nothing is ever queued: a
    reader that is late gets the newest frame, and the others are counted as dropped. A camera that
    hung is not opened a second time while its first thread is still in the driver: `StuckError`.
    """

    live = True

    def __init__(self, name: str, config: SourceConfig) -> None:
        """Raises `StuckError`; the subclass opens the device and then calls `start`."""
        if any(thread.is_alive() for thread in _hung.get(name, ())):
            raise StuckError(
                f"{name} hung, and its driver still holds this process. Restart the agent; the "
                "service does so by itself."
            )
        super().__init__(name, config.fps)
        self._stall = config.stall
        self._frames: Latest[Frame] = Latest()
        self._failure: CaptureError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"capture {name}", daemon=True)

    @abstractmethod
    def _grab(self) -> Frame:
        """Block for the next frame, its time as the device gives it. Raises `CaptureError`."""

    @abstractmethod
    def _release(self) -> None:
        """Close the device; called once, never while `_grab` runs."""

    def start(self) -> None:
        """Begin to read; called by the subclass once the device is open."""
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
            while not self._stop.is_set():
                self._frames.put(self._grab())
        except CaptureError as error:
            self._failure = error
        except Exception as error:  # a driver's own error must not die unseen in this thread
            self._failure = CaptureError(
                f"{self.name} failed: {type(error).__name__}: {error}. Check that nothing else "
                "uses it and that it is still plugged in; the agent opens it again by itself."
            )
        finally:
            self._frames.close()
            self._release()

    def close(self) -> None:
        """Stop reading and close the device.

        A thread stuck in the driver is left behind: it lets go of the device if it ever returns.
        """
        if self._stop.is_set():
            return
        self._stop.set()
        self._frames.close()
        if self._thread.ident is None:
            self._release()
        else:
            self._thread.join(1.0)
            if self._thread.is_alive():
                _hung.setdefault(self.name, []).append(self._thread)
