"""Video files as a source: paced by their own timestamps, or as fast as possible."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from agent.base.errors import CaptureError
from agent.base.types import Frame
from agent.perceive.capture.file_timeline import FileTimeline
from agent.perceive.capture.media import printable
from agent.perceive.capture.pictures import Pictures, Shown
from agent.perceive.capture.source import BaseSource


class VideoFile(BaseSource):
    """A video file; times are its presentation timestamps in seconds after the stream's beginning.

    Pictures are as a viewer shows them (`luma.Converter`): upright, with square pixels, in
    full-range luma, each field of an interlaced frame by itself. Gaps between them are as long as
    the file says. A stream without timestamps (bare H.264, MJPEG) is timed by its frame rate.
    """

    live = False

    def __init__(
        self, path: Path, pace: Literal["realtime", "fast"] = "fast", loop: bool = False
    ) -> None:
        """Open it and decode the first frame. Raises `CaptureError` when there is none."""
        self._pictures, self._edits = Pictures(path), True
        try:
            self._waiting = next(self._pictures, None)
            """Look-ahead picture, so that the last one is recognised."""
            if self._waiting is None and self._pictures.edited_away:
                # some writers state an edit of no length; nobody means to show nothing
                self._pictures.close()
                self._pictures, self._edits = Pictures(path, edits=False), False
                self._waiting = next(self._pictures, None)
            if self._waiting is None:
                raise CaptureError(self._pictures.why_empty())
        except BaseException:
            self._pictures.close()
            raise
        super().__init__(printable(path), self._pictures.fps * self._pictures.doubles)
        self._times = FileTimeline(1.0 / self.fps_nominal)
        self._path = path
        self._loop = loop
        self._pace = pace
        self._stop = threading.Event()
        self._lock = threading.Lock()
        seconds = self._pictures.seconds
        self.frame_count = None if seconds is None else max(1, round(seconds * self.fps_nominal))
        """As its stated length and rate would have it; None where it states no length."""
        self._damaged = 0
        self._start: float | None = None
        self._first_time = 0.0

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        with self._lock:
            if self._stop.is_set():
                raise StopIteration
            frame = self._next()
        if self._pace == "realtime":
            self._wait(frame.time)
        return frame

    def close(self) -> None:
        """Close the file and wake a reader that waits for the next frame's time."""
        self._stop.set()
        with self._lock:
            self._pictures.close()

    def _next(self) -> Frame:
        if self._waiting is None:
            if not self._loop:
                raise StopIteration
            self._again()
        assert self._waiting is not None
        shown, self._waiting = self._waiting, next(self._pictures, None)
        frame = self._timed(shown, self._waiting)
        lost = self._pictures.damaged - self._damaged
        if lost:
            self._damaged += lost
            self.counters.dropped += lost
            self.flags.add("frames_dropped")
        # flagged with the last frame
        if self._waiting is None and self._pictures.cut_short and not self.counters.truncated:
            self.counters.truncated = 1
            self.flags.add("source_truncated")
        return frame

    def _again(self) -> None:
        self._pictures.close()
        self._pictures = Pictures(self._path, edits=self._edits)
        self._damaged = 0
        self._times.restart()
        self._waiting = next(self._pictures, None)
        if self._waiting is None:
            raise CaptureError(f"{self.name} can no longer be read. Was it moved or overwritten?")

    def _timed(self, shown: Shown, following: Shown | None) -> Frame:
        """The picture with a valid time; problems are counted and flagged."""
        if self._shape not in (None, shown.luma.shape):
            self.counters.size_changes += 1
            self.flags.add("frame_size_changed")
        self._shape = shown.luma.shape
        moment, good = self._times(shown.stated, following.stated if following else None)
        if not good:
            self.counters.bad_timestamps += 1
            self.flags.add("bad_timestamps")
        self.counters.frames += 1
        return Frame(moment, shown.luma)

    def _wait(self, moment: float) -> None:
        now = time.monotonic()
        if self._start is None:
            self._start, self._first_time = now, moment
        self._stop.wait(max(0.0, self._start + (moment - self._first_time) - now))
