"""The Raspberry Pi camera through picamera2: luma plane of the `lores` stream, sensor timestamps.

The sensor mode is set explicitly, since libcamera may choose one with a lower frame rate; temporal
noise reduction is off, since it smears brief movements.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.base.errors import CaptureError, reason
from agent.base.types import Frame
from agent.perceive.capture.camera import Camera

if TYPE_CHECKING:  # the capture process does without pydantic
    from agent.base.config import SourceConfig


class PiCamera(Camera):
    """A camera on the CSI port; frame times are the sensor's, seconds since boot."""

    def __init__(self, config: SourceConfig) -> None:
        """Open and start it. Raises `CaptureError`."""
        number = _number(config.target)
        super().__init__(f"Raspberry Pi camera {number}")
        picamera2, libcamera = _libraries()
        found = len(picamera2.Picamera2.global_camera_info())
        if number >= found:
            raise CaptureError(
                f"{self.name} is not there ({found} found). Check the ribbon cable and "
                "`rpicam-hello --list-cameras`, and that no other program uses the camera."
            )
        self._size = (config.width, config.height)
        try:
            self._camera = picamera2.Picamera2(number)
        except Exception as error:  # libcamera raises plain RuntimeError and IndexError
            raise CaptureError(
                f"{self.name} cannot be opened: {reason(error)}. Another program may use it; "
                "close that."
            ) from None
        try:
            self._configure(config, libcamera)
            self._camera.start()
        except Exception as error:
            with contextlib.suppress(Exception):
                self._camera.close()
            raise CaptureError(
                f"{self.name} refuses {config.width}x{config.height} at {config.fps:g} frames/s: "
                f"{reason(error)}. Choose a smaller size or a lower source.fps."
            ) from None

    def _configure(self, config: SourceConfig, libcamera: Any) -> None:
        mode = sensor_mode(self._camera.sensor_modes, config)
        period = round(1e6 / config.fps)
        # on a Pi 4 `lores` must be YUV420 and no larger than `main`
        main = (max(config.width, 640) // 2 * 2, max(config.height, 480) // 2 * 2)
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": main, "format": "YUV420"},
                lores={"size": self._size, "format": "YUV420"},
                sensor={"output_size": mode["size"], "bit_depth": mode["bit_depth"]},
                # JPEG's colour space: full-range luma, as in photographs
                colour_space=libcamera.ColorSpace.Sycc(),
                controls={"FrameDurationLimits": (period, period), "NoiseReductionMode": 0},
                buffer_count=6,
                queue=False,
                display=None,
                encode=None,
            )
        )

    def _grab(self) -> Frame:
        width, height = self._size
        request = self._camera.capture_request()
        try:
            rows = self.raw = request.make_array("lores")
            # the first rows are luma; their stride may exceed the width
            luma = np.ascontiguousarray(rows[:height, :width])
            stamp = request.get_metadata().get("SensorTimestamp")
        finally:
            request.release()
        if luma.shape != (height, width):
            raise CaptureError(
                f"{self.name} gave a picture of {luma.shape[1]}x{luma.shape[0]} instead of "
                f"{width}x{height}. Choose another source.width and height."
            )
        return Frame(time.monotonic() if stamp is None else stamp * 1e-9, luma)

    def _release(self) -> None:
        with contextlib.suppress(Exception):
            self._camera.stop()
        with contextlib.suppress(Exception):
            self._camera.close()


def sensor_mode(modes: list[dict[str, Any]], config: SourceConfig) -> dict[str, Any]:
    """Of the modes with the configured frame rate the one with the widest view, then the smallest
    of at least the configured size; the fastest if none has the rate.

    `modes` as listed by picamera2: `size`, `fps`, `bit_depth`, `crop_limits` (x, y, width, height
    on the sensor).
    """
    fast = [mode for mode in modes if mode["fps"] >= config.fps * 0.99]
    if not fast:
        return max(modes, key=lambda mode: float(mode["fps"]))

    def order(mode: dict[str, Any]) -> tuple[float, bool, int]:
        width, height = mode["size"]
        view = math.prod(mode.get("crop_limits", (0, 0, width, height))[2:])
        small = width < config.width or height < config.height
        return (-view, small, width * height)

    large = [m for m in fast if m["size"][0] >= config.width and m["size"][1] >= config.height]
    return min(large or fast, key=order)


def _number(target: str) -> int:
    if not target:
        return 0
    if not target.isdecimal():
        raise CaptureError(
            f'source.target {target!r} is no camera number. Use "0" or "1", or leave it empty.'
        )
    return int(target)


def _libraries() -> tuple[Any, Any]:
    try:
        import libcamera  # type: ignore[import-not-found]
        import picamera2
    except ImportError as error:
        raise CaptureError(
            f"The Raspberry Pi camera needs picamera2 ({reason(error)}). Run `sudo apt install "
            "python3-picamera2` and make the environment with `python3 -m venv "
            '--system-site-packages`; or set source.kind to "v4l2" for a USB camera.'
        ) from None
    return picamera2, libcamera
