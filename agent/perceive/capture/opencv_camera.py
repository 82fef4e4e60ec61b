"""USB cameras (V4L2) and GStreamer pipelines, through OpenCV: luma only, monotonic timestamps."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.base.errors import CaptureError
from agent.base.types import Frame, Grey
from agent.perceive.capture import silence_opencv
from agent.perceive.capture.camera import Camera

if TYPE_CHECKING:  # the capture process does without pydantic
    from agent.base.config import SourceConfig

_MAX_CLOCK_DIFFERENCE = 2.0
"""Seconds by which a driver's timestamp may differ from the monotonic clock and still be used."""
_APPSINK = "appsink drop=true max-buffers=1 sync=false"


class OpenCvCamera(Camera):
    """A V4L2 device or a GStreamer pipeline that ends in an appsink.

    Frame times are the driver's where it stamps buffers on the monotonic clock, else the moment of
    reading.
    """

    def __init__(self, config: SourceConfig) -> None:
        """Open it. Raises `CaptureError`."""
        gstreamer = config.kind == "gstreamer"
        super().__init__("the GStreamer pipeline" if gstreamer else config.target or "/dev/video0")
        silence_opencv()
        self._size = (config.height, config.width)
        self._capture = _pipeline(config) if gstreamer else self._device(config)
        self._driver_time: bool | None = None

    def _device(self, config: SourceConfig) -> Any:
        target: str | int = int(self.name) if self.name.isdecimal() else self.name
        capture = cv2.VideoCapture(target, cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise CaptureError(
                f"{self.name} cannot be opened as a camera. List cameras with `v4l2-ctl "
                "--list-devices`, check that no other program uses it and that this user is in the "
                "group 'video'."
            )
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        for key, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, config.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, config.height),
            (cv2.CAP_PROP_FPS, config.fps),
            (cv2.CAP_PROP_BUFFERSIZE, 2),
        ):
            capture.set(key, value)
        self._size = (
            int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) or config.height,
            int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)) or config.width,
        )
        return capture

    def _grab(self) -> Frame:
        good, picture = self._capture.read()
        now = time.monotonic()
        if not good or picture is None or picture.size == 0:
            raise CaptureError(
                f"{self.name} stopped giving frames. Check its cable and power; the agent opens it "
                "again by itself."
            )
        stamp = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0
        if self._driver_time is None:
            self._driver_time = math.isfinite(stamp) and abs(now - stamp) < _MAX_CLOCK_DIFFERENCE
        self.raw = picture
        luma = to_luma(picture, self._size)
        if luma is None:
            raise CaptureError(
                f"{self.name} gives frames of a form that is not known ({picture.dtype}"
                f"{list(picture.shape)}). Choose YUYV, GREY, NV12 or MJPG with `v4l2-ctl "
                "--set-fmt-video`, or another source.width and height."
            )
        return Frame(stamp if self._driver_time else now, luma)

    def _release(self) -> None:
        self._capture.release()


def to_luma(picture: np.ndarray, size: tuple[int, int]) -> Grey | None:
    """The luma plane, uint8[H, W]; None for an unknown format.

    Parameters
    ----------
    picture
        uint8 [H, W] (GREY), [H, W, 2] (YUYV; UYVY is not supported), [H * 3/2, W] (NV12 and other
        4:2:0), [1, N] (JPEG), or [H, W, 3] (BGR).
    size
        (H, W) as the camera reports it.
    """
    if picture.dtype != np.uint8:
        return None
    if picture.ndim == 3 and picture.shape[2] == 3:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
    if picture.ndim == 3 and picture.shape[2] == 2:
        return np.ascontiguousarray(picture[:, :, 0])
    flat = picture.reshape(picture.shape[0], -1)
    if 1 in flat.shape:
        if bytes(flat.reshape(-1)[:2]) != b"\xff\xd8":
            return None
        return cv2.imdecode(flat.reshape(-1), cv2.IMREAD_GRAYSCALE)
    if flat.shape[0] * 2 == size[0] * 3 and flat.shape[1] == size[1]:
        return np.ascontiguousarray(flat[: size[0]])
    return np.ascontiguousarray(flat)


def _pipeline(config: SourceConfig) -> Any:
    if not config.target:
        raise CaptureError(
            "source.kind is 'gstreamer' but source.target holds no pipeline. Write one, for "
            'instance "nvarguscamerasrc ! nvvidconv ! video/x-raw,format=GRAY8".'
        )
    if cv2.CAP_GSTREAMER not in cv2.videoio_registry.getCameraBackends():
        raise CaptureError(
            "This OpenCV was built without GStreamer, as those from PyPI are. Use the system's own "
            "(on a Jetson or Debian: `sudo apt install python3-opencv`, and an environment made "
            "with `python3 -m venv --system-site-packages` without the opencv wheel), or set "
            'source.kind to "v4l2".'
        )
    text = config.target
    if "appsink" not in text:
        text = f"{text.rstrip(' !')} ! {_APPSINK}"
    capture = cv2.VideoCapture(text, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        capture.release()
        raise CaptureError(
            f"The GStreamer pipeline {text!r} does not start. Try it with gst-launch-1.0 and "
            "fakesink in place of appsink."
        )
    return capture
