"""A camera as a source of frames: read by a process of its own, whose stalls have names.

Frames cross from the camera's process in shared memory. Here they are looked at, timed, and
compared with the last ones; what is no picture of the present raises `CameraError`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Literal

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.base.report import EventCode
from agent.base.types import Frame
from agent.perceive.capture import ring
from agent.perceive.capture.picture import Blind, Judge
from agent.perceive.capture.ring import Picture
from agent.perceive.capture.source import BaseSource, Timeline
from agent.perceive.capture.spawn import CameraProcess

STARTS_WITHIN = 30.0
"""Seconds for importing the camera's library, from a cold card."""
OPENS_WITHIN = 8.0
"""Seconds for opening the camera; more where `source.stall` is."""
RECOVERED_AFTER = 2
"""Times `source.stall` with pictures, after which a camera counts as well again."""
_SLICE = 0.5
"""Seconds after which a waiting reader looks whether it is to stop."""
_LATE = 0.8
"""Share of `stall` without a frame, after which a camera that gives up counts as hung."""
_LAST_WORD = 0.2
"""Seconds more than `stall`, in which the camera's process may say itself what is wrong."""
_GRACE = 0.1
"""Seconds to wait for a picture even where one is overdue: this process may have slept."""
_MAX_DIFFERENCE = 2.0
"""Seconds by which a frame's time may differ from this machine's monotonic clock."""
_MAX_MISSED = 60.0
"""Seconds of a pause whose frames count as dropped."""
_MAX_LOST = 10_000
"""Frames that one frame may say were lost before it."""
_BLIND_AGAIN = 60.0
"""Seconds with a picture after which darkness is a new one, and said again."""

FailureKind = Literal["gone", "hung", "crashed", "frozen", "green"]


class CameraError(CaptureError):
    """A camera gives no frames. `gone`: it said so itself (unplugged, busy, refused); `hung`: no
    frame in time; `crashed`: its process ended; `frozen`, `green`: what it gives is no picture."""

    def __init__(self, kind: FailureKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class LiveCamera(BaseSource):
    """Frames of the camera, once `start` was called; a failed one can be started again.

    A late reader gets the newest frame; the others are counted as dropped, and so are frames that
    are no picture of the present.
    """

    live = True

    def __init__(
        self, config: SourceConfig, process: CameraProcess, stop: threading.Event | None = None
    ) -> None:
        super().__init__(_name(config), config.fps)
        self._process, self._stall = process, config.stall
        self._stop = stop or threading.Event()
        self._judge = Judge(config.stall)
        self._must_change = False
        self._blind: Blind | None = None
        self._blind_ends = 0.0
        self._before: float | None = None
        self._notices: list[EventCode] = []

    def limit(self, fps: float | None) -> None:
        """Give at most this many frames a second, the others not even being copied; None: all."""
        self._process.limit(fps)

    def start(self) -> None:
        """Have the camera opened by a new process. Raises `StuckError`."""
        self._process.start()
        self._timeline = Timeline(1.0 / self.fps_nominal)
        self._judge.restart()
        self._number = self._damaged = 0
        self._phase, self._was_open = ring.STARTING, False
        self._moved = self._first = time.monotonic()

    def end(self) -> None:
        """End the camera's process. Raises `StuckError`."""
        self._process.kill()

    @property
    def well(self) -> bool:
        """Whether there have been pictures for some time."""
        return self._moved - self._first > RECOVERED_AFTER * self._stall and self._number > 0

    def drain_notices(self) -> list[EventCode]:
        """What is to be reported since the last call, though frames go on."""
        found, self._notices = self._notices, []
        return found

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        waited = False
        while not self._stop.is_set():
            picture = self._process.ring.newest(self._number)
            if picture is not None:
                frame = self._take(picture)
                if frame is not None:
                    return frame
                waited = False
                continue
            left = self._due() - time.monotonic()
            if self._process.state == "idle" or self._phase == ring.FAILED:
                raise self._ended()
            if left <= 0.0 and waited:
                raise self._hung()
            self._process.wait(min(max(left, _GRACE), _SLICE))
            waited = True
        raise StopIteration

    def close(self) -> None:
        """End the iteration and both processes. Idempotent."""
        self._stop.set()
        if self._process.state != "lost":
            self._process.close()

    def _due(self) -> float:
        """Monotonic seconds at which the next sign of life is overdue."""
        phase = self._process.ring.phase
        if phase != self._phase:
            self._phase = phase
            if phase != ring.FAILED:
                self._first = self._moved = time.monotonic()
            if phase == ring.OPEN:
                self._was_open = True
                self.name = self._process.ring.text or self.name
        if self._phase == ring.STARTING:
            return self._moved + STARTS_WITHIN
        return self._moved + (
            self._stall + _LAST_WORD if self._was_open else max(OPENS_WITHIN, self._stall)
        )

    def _take(self, picture: Picture) -> Frame | None:
        """The frame; None for one that is no picture of the present. Raises `CameraError`."""
        now = time.monotonic()
        self._due()
        self._count(picture)
        self._number, self._moved = picture.number, now
        green = bool(picture.marks & ring.GREEN)
        stalled = self._judge(now, picture.luma, picture.checksum, green)
        if stalled is not None:
            self._must_change = True
            raise CameraError(stalled, f"{self.name} {_STALLS[stalled]}")
        if green or (self._must_change and not self._judge.changed):
            self.counters.dropped += 1
            self.flags.add("frames_dropped")
            return None
        self._must_change = False
        self._note_blindness(now)
        stamp = picture.time if abs(picture.time - now) <= _MAX_DIFFERENCE else now
        if stamp is not picture.time:
            self.counters.bad_timestamps += 1
            self.flags.add("bad_timestamps")
        return self._retimed(Frame(stamp, picture.luma))

    def _count(self, picture: Picture) -> None:
        """Frames lost: overwritten unread, damaged, or missed while there was no camera."""
        damaged = self._process.ring.damaged
        lost = min(max(0, damaged - self._damaged), _MAX_LOST)
        self._damaged = damaged
        self.counters.damaged += lost
        now = time.monotonic()
        if self._number:
            lost += min(picture.number - self._number - 1, _MAX_LOST)
        elif self._before is not None:
            lost += round(min(now - self._before, _MAX_MISSED) * self.fps_nominal)
        self._before = now
        if lost > 0:
            self.counters.dropped += lost
            self.flags.add("frames_dropped")

    def _note_blindness(self, now: float) -> None:
        blind = self._judge.blind
        if blind is not None:
            self._blind_ends = now + _BLIND_AGAIN
            if blind != self._blind:
                self._blind = blind
                self._notices.append("camera_black" if blind == "black" else "camera_covered")
        elif now > self._blind_ends:
            self._blind = None

    def _ended(self) -> CameraError:
        said = self._phase == ring.FAILED and self._process.ring.text
        if said:
            # one that waited in vain says so itself, perhaps with more than could be seen from here
            late = self._was_open and time.monotonic() - self._moved > _LATE * self._stall
            return CameraError("hung" if late else "gone", said)
        return CameraError(
            "crashed",
            f"The process that reads {self.name} ended ({self._process.how_it_ended}). The agent "
            "starts another; if it happens often, look for the camera in the kernel's log.",
        )

    def _hung(self) -> CameraError:
        if not self._was_open:
            what = "did not open" if self._phase == ring.OPENING else "was not reached"
            return CameraError(
                "hung",
                f"{self.name} {what} in time. Check its cable and power, and that no other "
                "program uses it; the agent opens it again by itself.",
            )
        return CameraError(
            "hung",
            f"{self.name} gave no frame for {self._stall:g} s. Check its cable and power; the "
            "agent opens it again by itself. If it happens often, lower source.fps or the size.",
        )


_STALLS = {
    "frozen": "repeats one picture byte for byte. The agent opens it again by itself; a virtual "
    "camera that shows a still cannot be told from one that hangs.",
    "green": "delivers empty buffers, which are green. The agent opens it again by itself; if it "
    "happens often, check its cable and power, and lower source.fps or the size.",
}


def _name(config: SourceConfig) -> str:
    """Until the camera has said its own."""
    if config.kind == "gstreamer":
        return "The GStreamer pipeline"
    return f"The camera {config.target}".strip()
