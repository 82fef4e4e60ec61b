"""GStreamer pipelines, through OpenCV: luma only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.base.errors import CaptureError
from agent.base.types import Frame, Grey
from agent.perceive.capture import silence_opencv
from agent.perceive.capture.camera import Camera
from agent.perceive.capture.orientation import Upright
from agent.perceive.capture.pixel_formats import MAX_SIDE

if TYPE_CHECKING:  # the capture process does without pydantic
    from agent.base.config import SourceConfig

_GREY = "videoconvert ! video/x-raw,format=GRAY8"
_APPSINK = "appsink drop=true max-buffers=1 sync=false"


class GStreamerCamera(Camera):
    """A GStreamer pipeline, which is made to end in grey pictures and an appsink. Frame times are
    the moments of reading."""

    def __init__(self, config: SourceConfig) -> None:
        """Start it. Raises `CaptureError`."""
        super().__init__("the GStreamer pipeline")
        silence_opencv()
        self._upright = Upright(config.rotate, config.mirror)
        self._capture = _started(pipeline(config.target))

    def _grab(self) -> Frame:
        good, picture = self._capture.read()
        now = time.monotonic()
        if not good or picture is None or picture.size == 0:
            raise CaptureError(
                f"{self.name} stopped giving frames. Check its cable and power; the agent opens it "
                "again by itself."
            )
        if max(picture.shape[:2]) > MAX_SIDE:
            raise CaptureError(
                f"{self.name} gives pictures of {picture.shape[1]}x{picture.shape[0]}, beyond "
                f"{MAX_SIDE} pixels. Put `videoscale ! video/x-raw,width=1280,height=720` into it."
            )
        luma = _luma(picture, int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        if luma is None:
            raise CaptureError(
                f"{self.name} gives frames of a form that is not known ({picture.dtype}"
                f"{list(picture.shape)}). Let it end in `{_GREY}`, without an appsink."
            )
        self.mode = f"{'BGR' if picture.ndim == 3 and picture.shape[2] == 3 else 'GRAY8'} "
        self.mode += f"{picture.shape[1]}x{picture.shape[0]}"
        return Frame(now, self._upright(luma))

    def _release(self) -> None:
        self._capture.release()


def _luma(picture: np.ndarray, height: int) -> Grey | None:
    """Of grey pictures, uint8[H, W] or [H, W, 1], BGR ones, uint8[H, W, 3], and NV12 and I420,
    uint8[H * 3/2, W]. None for others: a pipeline with an appsink of its own may deliver YUY2, UYVY
    or JPEG, which OpenCV hands over without their name. `height`: as the pipeline states it."""
    if picture.dtype != np.uint8:
        return None
    if picture.ndim == 3 and picture.shape[2] == 3:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
    if picture.ndim == 3 and picture.shape[2] != 1:
        return None
    grey = picture.reshape(picture.shape[0], -1)
    if 2 * grey.shape[0] == 3 * height:
        grey = grey[:height]
    return None if 1 in grey.shape else np.ascontiguousarray(grey)


def pipeline(target: str) -> str:
    """`target`, made to end in an appsink that keeps only the newest picture, grey unless it says
    so itself. One with an appsink is left as it is. Raises `CaptureError` without a target."""
    text = target.strip().rstrip("!").rstrip()
    if not text:
        raise CaptureError(
            "source.kind is 'gstreamer' but source.target holds no pipeline. Write one, for "
            'instance "nvarguscamerasrc ! nvvidconv ! video/x-raw,format=GRAY8".'
        )
    if "appsink" in text:
        return text
    last = text.rpartition("!")[2].replace(" ", "")
    ends = last.startswith("video/x-raw") and "GRAY8" in last and "memory:" not in last
    return " ! ".join([text, *([] if ends else [_GREY]), _APPSINK])


def _started(text: str) -> Any:
    if cv2.CAP_GSTREAMER not in cv2.videoio_registry.getCameraBackends():
        raise CaptureError(
            "This OpenCV was built without GStreamer, as those from PyPI are. Use the system's own "
            "(on a Jetson or Debian: `sudo apt install python3-opencv`, and an environment made "
            "with `python3 -m venv --system-site-packages` without the opencv wheel), or set "
            'source.kind to "v4l2".'
        )
    capture = cv2.VideoCapture(text, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        capture.release()
        raise CaptureError(
            f"The GStreamer pipeline {text!r} does not start. Try it with gst-launch-1.0 and "
            "fakesink in place of appsink."
        )
    return capture
