"""Opening the configured source, and reopening a camera that stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.base.types import Frame
from agent.base.vocabulary import Flag
from agent.perceive.capture.handoff import Latest
from agent.perceive.capture.source import Source, StuckError

log = logging.getLogger(__name__)

_MAX_BACKOFF = 60.0


def open_source(config: SourceConfig) -> Source:
    """Open the configured camera or file.

    Raises `CaptureError`. Libraries are imported only for the kind that is asked for.
    """
    if config.kind == "file":
        from agent.perceive.capture.video_file import VideoFile

        if not config.target:
            raise CaptureError("source.kind is 'file' but source.target names none. Set its path.")
        return VideoFile(Path(config.target), config.pace, config.loop)
    if config.kind == "picamera2":
        from agent.perceive.capture.picamera import PiCamera

        return PiCamera(config)
    from agent.perceive.capture.opencv_camera import OpenCvCamera

    return OpenCvCamera(config)


class CaptureListener(Protocol):
    """Is told when a camera stops and when it is back."""

    def stalled(self) -> None:
        """It stopped, or could still not be opened."""

    def reopened(self) -> None:
        """It is back."""


def resilient_frames(
    params: SourceConfig, stop: threading.Event, listener: CaptureListener
) -> Iterator[tuple[Frame, int, set[Flag]]]:
    """Each frame with the number dropped before it and the source's flags, until the file ends or
    `stop` is set. Cameras are opened restart_flags, with backoff, for as long as it takes.

    Raises `CaptureError` for a file, for a camera that cannot be opened at the start, and for one
    whose driver holds this process.
    """
    source = open_source(params)
    backoff = 1.0
    restart_flags: set[Flag] = set()
    while True:
        try:
            for frame, dropped in _paced(params, source, stop):
                backoff = 1.0
                # Taken whole: the reading thread may raise another at any time.
                flags, source.flags = source.flags, set()
                yield frame, dropped, flags | restart_flags
                restart_flags = set()
                if stop.is_set():
                    break
            return
        except StuckError:
            # The driver holds this process; only a new one, started by the supervisor, gets free.
            raise
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
                log.warning("%s Trying again in %.0f s.", error, backoff)
                listener.stalled()
                continue
            listener.reopened()
            restart_flags = {"camera_restart"}
            break
        if stop.is_set():
            return


def _paced(
    params: SourceConfig, source: Source, stop: threading.Event
) -> Iterator[tuple[Frame, int]]:
    """A file at its own pace is read like a camera: who is late gets the newest frame."""
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
