"""Frames of the configured source, and of a camera that stopped once it is there again.

A camera that hangs is ended at once and opened by a new process after 1, 2 and 4 s. Where three in
a row did not help, this process ends, so that the service manager starts everything anew. One that
says itself that it is not there, as after it was unplugged, is waited for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.base.report import EventCode
from agent.base.types import Frame
from agent.base.vocabulary import Flag
from agent.perceive.capture.handoff import Latest
from agent.perceive.capture.live import CameraError, FailureKind, LiveCamera
from agent.perceive.capture.source import Source
from agent.perceive.capture.spawn import CameraProcess, StuckError

log = logging.getLogger(__name__)

TRIES = 3
"""New processes in a row, after which a camera that hangs is given up."""
_MAX_WAIT = 30.0
"""Seconds between tries to open a camera that is not there; below half of the watchdog's time."""
_EVENTS: dict[FailureKind, EventCode] = {"frozen": "camera_frozen", "green": "camera_green"}


class CaptureListener(Protocol):
    """Notified about the camera, and asked how much of it is wanted."""

    @property
    def fps(self) -> float | None:
        """Frames a second that are wanted at most; None: all."""

    def stalled(self, *, away: bool) -> None:
        """There is no picture now. Called at each failure. `away`: the camera is known not to be
        there, and is waited for."""

    def noticed(self, code: EventCode) -> None:
        """Something to report, once in each episode."""

    def reopened(self) -> None:
        """There are pictures again."""


def open_source(config: SourceConfig, process: CameraProcess | None = None) -> Source:
    """Open the configured camera or file, importing only its library. `process`: what reads a
    camera; started here where it was not before, which the sandbox does not allow. A camera is
    open with its first frame. Raises `CaptureError`."""
    if config.kind == "file":
        from agent.perceive.capture.orientation import TurnedSource, Upright
        from agent.perceive.capture.video_file import VideoFile

        if not config.target:
            raise CaptureError("source.kind is 'file' but source.target names none. Set its path.")
        film = VideoFile(Path(config.target), config.pace, config.loop)
        if not config.rotate and not config.mirror:
            return film
        return TurnedSource(film, Upright(config.rotate, config.mirror))
    camera = LiveCamera(config, process or CameraProcess(config))
    camera.start()
    return camera


def resilient_frames(
    params: SourceConfig,
    stop: threading.Event,
    listener: CaptureListener,
    process: CameraProcess | None = None,
) -> Iterator[tuple[Frame, int, set[Flag]]]:
    """Frames with the number dropped before each and the source's flags, until the file ends or
    `stop` is set. `process`: as in `open_source`.

    Raises `CaptureError` for a file, and for a camera that cannot be opened at startup;
    `StuckError` for one that does not come back though it was opened again and again.
    """
    if params.kind == "file":
        return _frames_of_file(params, stop)
    camera = LiveCamera(params, process or CameraProcess(params), stop)
    return _frames_of_camera(camera, stop, listener)


class _Episode:
    """What happened since the camera was last well."""

    def __init__(self) -> None:
        self.failures = 0
        """Of a kind that a new process may mend."""
        self.absences = 0
        self.said: set[EventCode] = set()

    def add(self, kind: FailureKind) -> tuple[float, EventCode | None]:
        """Seconds to wait, and what is to be reported."""
        if kind == "gone":
            self.absences += 1
            wait = min(2.0 ** min(self.absences - 1, 10), _MAX_WAIT)
        else:
            self.failures += 1
            wait = 2.0 ** (self.failures - 1)
        code = _EVENTS.get(kind, "camera_stalled")
        new = None if code in self.said else code
        self.said.add(code)
        return wait, new


def _frames_of_camera(
    camera: LiveCamera, stop: threading.Event, listener: CaptureListener
) -> Iterator[tuple[Frame, int, set[Flag]]]:
    episode = _Episode()
    opened = False
    asked: float | None = None
    camera.limit(asked)
    try:
        while not stop.is_set():
            restart_flags: set[Flag] = {"camera_restart"} if opened else set()
            away = opened or episode.failures > 0
            lost = camera.counters.dropped
            try:
                camera.start()
                for frame in camera:
                    if away:
                        away = False
                        listener.reopened()
                    opened = True
                    for code in camera.drain_notices():
                        log.warning("%s shows nothing (%s).", camera.name, code)
                        listener.noticed(code)
                    dropped, lost = camera.counters.dropped - lost, camera.counters.dropped
                    yield frame, dropped, camera.drain_flags() | restart_flags
                    restart_flags = set()
                    if listener.fps != asked:
                        asked = listener.fps
                        camera.limit(asked)
                    if camera.well:
                        episode = _Episode()
                return
            except CameraError as failure:
                camera.end()
                if failure.kind == "gone" and not opened and not episode.failures:
                    raise
                wait, event = episode.add(failure.kind)
                listener.stalled(away=failure.kind == "gone")
                if event is not None:
                    listener.noticed(event)
                if episode.failures > TRIES:
                    raise StuckError(
                        f"{failure} It was opened again {TRIES} times in a row; this process ends, "
                        "so that the service starts anew."
                    ) from None
                log.warning("%s Opening it again in %.0f s.", failure, wait)
            stop.wait(wait)
    finally:
        camera.close()


def _frames_of_file(
    params: SourceConfig, stop: threading.Event
) -> Iterator[tuple[Frame, int, set[Flag]]]:
    source = open_source(params)
    try:
        for frame, dropped in _paced(params, source, stop):
            yield frame, dropped, source.drain_flags()
            if stop.is_set():
                break
    finally:
        source.close()


def _paced(
    params: SourceConfig, source: Source, stop: threading.Event
) -> Iterator[tuple[Frame, int]]:
    """Frames with the number dropped before each; at `realtime` pace late ones are dropped."""
    if params.pace == "fast":
        lost = source.counters.dropped
        for frame in source:
            yield frame, source.counters.dropped - lost
            lost = source.counters.dropped
        return
    handoff: Latest[Frame] = Latest()
    failure: list[CaptureError] = []

    def read() -> None:
        try:
            for frame in source:
                handoff.put(frame)
        except CaptureError as error:
            failure.append(error)
        finally:
            handoff.close()

    reader = threading.Thread(target=read, name="replay", daemon=True)
    reader.start()
    lost = 0
    while not stop.is_set():
        newest = handoff.get(0.5)
        if newest is None:
            if reader.is_alive():
                continue
            break
        yield newest, handoff.dropped - lost
        lost = handoff.dropped
    source.close()
    reader.join(5.0)
    if failure:
        raise failure[0]


__all__ = ["CameraError", "StuckError", "open_source", "resilient_frames"]
