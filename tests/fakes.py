"""Test doubles for hardware."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

MODES = [
    {"size": (1536, 864), "bit_depth": 10, "fps": 120.13, "crop_limits": (768, 432, 3072, 1728)},
    {"size": (2304, 1296), "bit_depth": 10, "fps": 56.03, "crop_limits": (0, 0, 4608, 2592)},
    {"size": (4608, 2592), "bit_depth": 10, "fps": 14.35, "crop_limits": (0, 0, 4608, 2592)},
]
"""Camera Module 3, as picamera2 lists it."""


class FakePicamera2:
    """One request per call, stamped by the sensor; rows longer than the picture, as libcamera's."""

    modes: Sequence[dict[str, Any]] = MODES
    made: list[FakePicamera2]
    """Every instance, newest last."""
    hang_after: int | None = None
    fail_after: int | None = None
    refuse: str | None = None
    aligned: int = 2
    """What libcamera makes widths a multiple of."""
    fill: int = 128
    """Chroma."""
    stamps: Callable[[int], int | None]
    """Nanoseconds of frame n."""

    def __init__(self, number: int) -> None:
        if self.refuse == "open":
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.sensor_modes = list(self.modes)
        self.config: dict[str, Any] = {}
        self.started = self.closed = False
        self.requests = self.released = 0
        self.wake = threading.Event()
        type(self).made.append(self)

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [
            {"Num": 0, "Model": "C920", "Id": "/base/scb/pcie@7d500000/usb@0,0-1.4:1.0-046d:0892"},
            {"Num": 1, "Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"},
        ]

    def create_video_configuration(self, **config: Any) -> dict[str, Any]:
        return config

    def configure(self, config: dict[str, Any]) -> None:
        if self.refuse == "configure":
            raise RuntimeError("Failed to configure camera")
        self.config = config

    def camera_configuration(self) -> dict[str, Any]:
        width, height = self.config["lores"]["size"]
        return {**self.config, "lores": {"size": (width - width % self.aligned, height)}}

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        self.closed = True
        self.wake.set()

    def capture_request(self) -> FakeRequest:
        count = self.requests
        if self.hang_after is not None and count >= self.hang_after:
            self.wake.wait()
        if self.fail_after is not None and count >= self.fail_after:
            raise RuntimeError("Camera frontend has timed out!")
        time.sleep(0.002)
        self.requests += 1
        return FakeRequest(self, count, type(self).stamps(count))


class FakeRequest:
    """One frame: 32 more bytes per row than asked, luma = 10 + row, then chroma rows of 128."""

    def __init__(self, camera: FakePicamera2, count: int, stamp: int | None) -> None:
        self.camera, self.count, self.stamp = camera, count, stamp

    def make_array(self, stream: str) -> np.ndarray:
        width, height = self.camera.camera_configuration()[stream]["size"]
        rows = np.full((height * 3 // 2, width + 32), self.camera.fill, np.uint8)
        rows[:height, :width] = (10 + np.arange(height) % 200)[:, None]
        return rows

    def get_metadata(self) -> dict[str, Any]:
        return {} if self.stamp is None else {"SensorTimestamp": self.stamp}

    def release(self) -> None:
        self.camera.released += 1


def picamera2_modules() -> tuple[type[FakePicamera2], dict[str, ModuleType]]:
    """A fresh fake class and the modules to put into `sys.modules`."""
    start = time.monotonic_ns()

    class Fresh(FakePicamera2):
        made: list[FakePicamera2] = []  # noqa: RUF012 - shared on purpose
        stamps = staticmethod(lambda count: start + count * 33_333_333)

    picamera2, libcamera = ModuleType("picamera2"), ModuleType("libcamera")
    picamera2.Picamera2 = Fresh  # type: ignore[attr-defined]
    libcamera.Transform = lambda **flips: flips  # type: ignore[attr-defined]
    libcamera.ColorSpace = SimpleNamespace(Sycc=lambda: "sYCC")  # type: ignore[attr-defined]
    return Fresh, {"picamera2": picamera2, "libcamera": libcamera}


def full_disk(*_: object) -> None:
    """In place of a system call that writes."""
    raise OSError(28, "No space left on device")


class FakeVideoCapture:
    """OpenCV's capture of a camera: returns `frames`, then None or blocks."""

    def __init__(
        self,
        frames: Sequence[np.ndarray],
        stamps: Sequence[float] | None = None,
        opens: bool = True,
        then_hangs: bool = False,
        size: tuple[int, int] = (48, 64),
    ) -> None:
        self.frames, self.stamps = list(frames), stamps
        self.opens, self.then_hangs = opens, then_hangs
        self.given: dict[int, float] = {
            cv2.CAP_PROP_FRAME_HEIGHT: size[0],
            cv2.CAP_PROP_FRAME_WIDTH: size[1],
        }
        self.asked: dict[int, float] = {}
        self.target: object = None
        self.count = 0
        self.released = threading.Event()

    def __call__(self, target: object, backend: int) -> FakeVideoCapture:
        self.target = target
        return self

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opens

    def set(self, key: int, value: float) -> bool:
        self.asked[key] = value
        return True

    def get(self, key: int) -> float:
        if key == cv2.CAP_PROP_POS_MSEC:
            return self.stamps[self.count - 1] * 1000.0 if self.stamps else 0.0
        return self.given.get(key, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.002)
        if self.count >= len(self.frames):
            if self.then_hangs:
                self.released.wait(30)
            return False, None
        self.count += 1
        return True, self.frames[self.count - 1]

    def release(self) -> None:
        self.released.set()


@pytest.fixture(autouse=True)
def untrusted_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent and stored depends on whether the clock is trusted, which a machine may decide
    either way."""
    monkeypatch.setattr("agent.base.clock._synchronised", lambda: False)
    monkeypatch.setattr("agent.base.clock._set_from_rtc", lambda now: False)
