"""The Raspberry Pi camera through picamera2: luma plane of the `lores` stream, sensor timestamps.

The sensor mode is set explicitly, since libcamera may choose one with a lower frame rate; temporal
noise reduction is off, since it smears brief movements. Half a turn and mirroring are the sensor's
or the image processor's work (libcamera's Transform); a quarter turn neither can do.

Source: The Picamera2 Library, https://datasheets.raspberrypi.com/camera/picamera2-manual.pdf
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
from agent.perceive.capture.orientation import Upright

if TYPE_CHECKING:  # the capture process does without pydantic
    from agent.base.config import SourceConfig


class PiCamera(Camera):
    """A camera on the CSI port; frame times are the sensor's, seconds since boot."""

    def __init__(self, config: SourceConfig) -> None:
        """Open and start it. Raises `CaptureError`."""
        wanted = _number(config.target)
        picamera2, libcamera = _libraries()
        number, model = chosen(wanted, picamera2.Picamera2.global_camera_info())
        super().__init__(f"Raspberry Pi camera {number}")
        quarter = config.rotate % 180 != 0
        self._upright = Upright(config.rotate, config.mirror) if quarter else Upright()
        try:
            self._camera = picamera2.Picamera2(number)
        except Exception as error:  # libcamera raises plain RuntimeError and IndexError
            raise CaptureError(
                f"{self.name} cannot be opened: {reason(error)}. Another program may use it; "
                "close that."
            ) from None
        try:
            width, height = self._configure(config, libcamera)
            self._camera.start()
        except Exception as error:
            with contextlib.suppress(Exception):
                self._camera.close()
            raise CaptureError(
                f"{self.name} refuses {config.width}x{config.height} at {config.fps:g} frames/s: "
                f"{reason(error)}. Choose a smaller size or a lower source.fps."
            ) from None
        self._size = (width, height)
        self.mode = f"{model} {width}x{height}".strip()

    def _configure(self, config: SourceConfig, libcamera: Any) -> tuple[int, int]:
        """Width and height that it delivers."""
        mode = sensor_mode(self._camera.sensor_modes, config)
        period = round(1e6 / config.fps)
        # of YUV420 sides are even; on a Pi 4 `lores` must be no larger than `main`
        size = (config.width // 2 * 2, config.height // 2 * 2)
        main = (max(size[0], 640), max(size[1], 480))
        half, quarter = config.rotate == 180, config.rotate % 180 != 0
        flips = (half != config.mirror, half) if not quarter else (False, False)
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": main, "format": "YUV420"},
                lores={"size": size, "format": "YUV420"},
                sensor=mode and {"output_size": mode["size"], "bit_depth": mode["bit_depth"]},
                transform=libcamera.Transform(hflip=flips[0], vflip=flips[1]),
                # JPEG's colour space: full-range luma, as in photographs
                colour_space=libcamera.ColorSpace.Sycc(),
                controls={"FrameDurationLimits": (period, period), "NoiseReductionMode": 0},
                buffer_count=6,
                queue=False,
                display=None,
                encode=None,
            )
        )
        # libcamera may have adjusted it
        width, height = self._camera.camera_configuration()["lores"]["size"]
        return int(width), int(height)

    def _grab(self) -> Frame:
        width, height = self._size
        request = self._camera.capture_request()
        try:
            rows = request.make_array("lores")
            # the first rows are luma, the rest is chroma; their stride may exceed the width
            luma = np.array(rows[:height, :width], np.uint8, order="C")
            chroma = rows[height::5, ::7]
            self.green = chroma.size > 0 and not chroma.any()
            stamp = request.get_metadata().get("SensorTimestamp")
        finally:
            request.release()
        if luma.shape != (height, width):
            raise CaptureError(
                f"{self.name} gave a picture of {luma.shape[1]}x{luma.shape[0]} instead of "
                f"{width}x{height}. Choose another source.width and height."
            )
        upright = self._upright(luma)
        return Frame(time.monotonic() if stamp is None else stamp * 1e-9, upright)

    def _release(self) -> None:
        with contextlib.suppress(Exception):
            self._camera.stop()
        with contextlib.suppress(Exception):
            self._camera.close()


def chosen(wanted: int | None, found: list[dict[str, Any]]) -> tuple[int, str]:
    """Number and model of the wanted camera; None: of the first on a ribbon cable. `found` as
    listed by picamera2: `Id`, and `Model` where it is known. Raises `CaptureError`."""
    listed = [(str(each.get("Model", "")), "usb" in str(each.get("Id", ""))) for each in found]
    ribbon = [number for number, (_, usb) in enumerate(listed) if not usb]
    number = wanted if wanted is not None else (ribbon[0] if ribbon else 0)
    name = f"Raspberry Pi camera {number}"
    if number < len(listed) and not listed[number][1]:
        return number, listed[number][0]
    cameras = ", ".join(f"{each} ({listed[each][0] or 'unknown'})" for each in ribbon) or "none"
    if number < len(listed):
        raise CaptureError(
            f'{name} is a USB camera. Set source.kind to "v4l2"; on ribbon cables there '
            f"is: {cameras}."
        )
    raise CaptureError(
        f"{name} is not there (found: {cameras}). Check the ribbon cable and "
        "`rpicam-hello --list-cameras`, and that no other program uses the camera; a USB camera "
        'needs source.kind = "v4l2".'
    )


def sensor_mode(modes: list[dict[str, Any]], config: SourceConfig) -> dict[str, Any] | None:
    """Of the modes with the configured frame rate the one with the widest view, then the smallest
    of at least the configured size; the fastest if none has the rate. None: libcamera chooses.

    `modes` as listed by picamera2: `size`, `fps`, `bit_depth`, `crop_limits` (x, y, width, height
    on the sensor). Sensors with an image processor of their own list none.
    """
    modes = [mode for mode in modes if {"size", "fps", "bit_depth"} <= mode.keys()]
    if not modes:
        return None
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


def _number(target: str) -> int | None:
    if not target:
        return None
    if not (target.isascii() and target.isdecimal()):
        raise CaptureError(
            f'source.target {target!r} is no camera number. Use "0" or "1", or leave it empty; a '
            'device file needs source.kind = "v4l2".'
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
