"""Opening the configured source, and reopening a camera that stopped."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.base.types import Frame
from agent.base.vocabulary import Flag
from agent.perceive.capture.camera import Camera
from agent.perceive.capture.handoff import Latest
from agent.perceive.capture.source import Source, StuckError, ThreadedCamera

log = logging.getLogger(__name__)

_MAX_BACKOFF = 60.0
_DEVICES = Path("/dev")


def open_source(config: SourceConfig) -> Source:
    """Open the configured camera or file, importing only its library. Raises `CaptureError`."""
    if config.kind == "file":
        from agent.perceive.capture.video_file import VideoFile

        if not config.target:
            raise CaptureError("source.kind is 'file' but source.target names none. Set its path.")
        return VideoFile(Path(config.target), config.pace, config.loop)
    if config.kind == "picamera2":
        from agent.perceive.capture.picamera import PiCamera

        return _started(PiCamera(config), config)
    if config.kind == "gstreamer":
        from agent.perceive.capture.gstreamer import GStreamerCamera

        return _started(GStreamerCamera(config), config)
    from agent.perceive.capture.v4l2_camera import V4l2Camera

    return _started(V4l2Camera(config), config)


def _started(camera: Camera, config: SourceConfig) -> Source:
    source = ThreadedCamera(camera, config)
    source.start()
    return source


class CaptureListener(Protocol):
    """Notified about camera failures."""

    def stalled(self) -> None:
        """The camera stopped, or could not be reopened."""

    def reopened(self) -> None:
        """The camera was reopened."""


def resilient_frames(
    params: SourceConfig, stop: threading.Event, listener: CaptureListener
) -> Iterator[tuple[Frame, int, set[Flag]]]:
    """Frames with the number dropped before each and the source's flags, until the file ends or
    `stop` is set. A failed camera is reopened with backoff, without limit.

    Raises `CaptureError` for a file, for a camera that cannot be opened at startup, for one whose
    driver hangs, and for one that was plugged in again: to the sandbox it is another.
    """
    known = out_of_reach()
    source = open_source(params)
    backoff = 1.0
    restart_flags: set[Flag] = set()
    while True:
        try:
            for frame, dropped in _paced(params, source, stop):
                backoff = 1.0
                yield frame, dropped, source.drain_flags() | restart_flags
                restart_flags = set()
                if stop.is_set():
                    break
            return
        except StuckError:
            raise  # only a restart of the process helps
        except CaptureError as error:
            if not source.live:
                raise
            log.warning("%s Opening it again in %.0f s.", error, backoff)
        finally:
            source.close()
        listener.stalled()
        while not stop.wait(backoff):
            backoff = min(2 * backoff, _MAX_BACKOFF)
            try:
                source = open_source(params)
            except StuckError:
                raise
            except CaptureError as error:
                for camera in sorted(out_of_reach() - known):
                    raise StuckError(
                        f"{camera} was plugged in after this process gave up the right to open "
                        "more. Restart the agent; the service does so by itself."
                    ) from None
                log.warning("%s Trying again in %.0f s.", error, backoff)
                listener.stalled()
                continue
            listener.reopened()
            restart_flags = {"camera_restart"}
            break
        if stop.is_set():
            return


def out_of_reach(folder: Path = _DEVICES) -> set[Path]:
    """Cameras that this process may not open."""
    return {path for path in folder.glob("video*") if _forbidden(path)}


def _forbidden(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EACCES
    return False


def _paced(
    params: SourceConfig, source: Source, stop: threading.Event
) -> Iterator[tuple[Frame, int]]:
    """Frames with the number dropped before each; a file at `realtime` pace drops late frames."""
    if source.live or params.pace == "fast":
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
