"""The process that reads the camera: it opens it, and puts pictures into the shared memory.

It is forked by the spawner, which kills it as soon as no picture comes. It may hang in any call of
a driver or of its library, ignore signals, or crash: nobody waits for it. It never opens a camera
twice; the next opening is another process's.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from agent.base.errors import CaptureError, reason
from agent.host import swap
from agent.host.sandbox.camera import restrict_camera
from agent.perceive.capture import ring

if TYPE_CHECKING:
    from agent.base.config import SourceConfig
    from agent.perceive.capture.camera import Camera

_EARLY = 0.2
"""Share of the interval by which a frame may be early under a limit: cameras are not even."""


def import_libraries(kind: str) -> None:
    """What the configured camera needs, without touching a device or starting a thread."""
    if kind == "v4l2":
        from agent.perceive.capture import v4l2_camera  # noqa: F401
    elif kind == "gstreamer":
        from agent.perceive.capture import gstreamer  # noqa: F401
    # libcamera may start threads: each child imports it for itself


def open_camera(config: SourceConfig) -> Camera:
    """Open the configured camera, importing only its library. Raises `CaptureError`."""
    if config.kind == "picamera2":
        from agent.perceive.capture.picamera import PiCamera

        return PiCamera(config)
    if config.kind == "gstreamer":
        from agent.perceive.capture.gstreamer import GStreamerCamera

        return GStreamerCamera(config)
    from agent.perceive.capture.v4l2_camera import V4l2Camera

    return V4l2Camera(config)


def run(config: SourceConfig, frames: int, bell: int) -> int:
    """Until the camera fails; returns the exit code. `frames`, `bell`: descriptors of the shared
    memory and of the eventfd(2) that says there is something new."""
    writer = ring.Writer(frames)
    try:
        swap.keep_out()
        named = [] if config.device is None else [config.device]
        restrict_camera(named, local_clients=config.kind == "gstreamer")
        writer.say(ring.OPENING, "")
        _ring_the(bell)
        with contextlib.closing(open_camera(config)) as camera:
            writer.say(ring.OPEN, camera.title)
            _ring_the(bell)
            why = _read(camera, writer, bell)
            writer.say(ring.FAILED, why)
            _ring_the(bell)  # before closing, which may hang
    except CaptureError as error:
        writer.say(ring.FAILED, str(error))
    except Exception as error:
        text = f"The process that reads the camera failed ({reason(error)}). Report it."
        writer.say(ring.FAILED, text)
    _ring_the(bell)
    return 1


def _read(camera: Camera, writer: ring.Writer, bell: int) -> str:
    """Until the camera fails; returns why."""
    due = 0.0
    while True:
        try:
            frame = camera.grab()
        except CaptureError as error:
            return str(error)
        limit, now = writer.limit, time.monotonic()
        if limit > 0.0:
            if now < due - _EARLY / limit:
                continue
            due = max(due, now - _EARLY / limit) + 1.0 / limit
        marks = ring.GREEN if camera.green else 0
        try:
            writer.put(frame.time, frame.luma, marks, camera.damaged)
        except ValueError as error:
            return (
                f"{camera.name} gives pictures of {error}, which is too small or too large. Choose "
                "another source.width and height."
            )
        _ring_the(bell)


def _ring_the(bell: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.eventfd_write(bell, 1)
