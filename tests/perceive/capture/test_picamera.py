"""The Raspberry Pi camera, against a fake picamera2."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.perceive.capture.picamera import PiCamera, chosen, sensor_mode
from tests.fakes import MODES, FakePicamera2, picamera2_modules


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakePicamera2]]:
    camera, modules = picamera2_modules()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield camera
    for made in camera.made:
        made.wake.set()


def test_frames_are_luma_at_the_sensors_time(fake: type[FakePicamera2]) -> None:
    source = PiCamera(SourceConfig(width=320, height=240))
    frames = [source.grab() for _ in range(5)]
    source.close()
    made = fake.made[0]
    for frame in frames:
        assert frame.luma.shape == (240, 320)
        assert frame.luma.flags.c_contiguous
        np.testing.assert_array_equal(frame.luma[:, 0], 10 + np.arange(240) % 200)
        assert abs(frame.time - time.monotonic()) < 60
    steps = np.diff([frame.time for frame in frames])
    assert (np.round(steps / 0.033333333) >= 1).all()
    np.testing.assert_allclose(steps / 0.033333333, np.round(steps / 0.033333333), atol=1e-3)
    assert made.closed
    assert not made.started
    assert made.released == made.requests


def test_configuration_asks_for_the_sensor_mode_and_full_range(fake: type[FakePicamera2]) -> None:
    PiCamera(SourceConfig(width=640, height=360, fps=60.0)).close()
    config: dict[str, Any] = fake.made[0].config
    assert config["lores"] == {"size": (640, 360), "format": "YUV420"}
    assert config["main"]["format"] == "YUV420"
    assert config["main"]["size"] >= config["lores"]["size"]
    assert config["sensor"] == {"output_size": (1536, 864), "bit_depth": 10}
    assert config["controls"] == {
        "FrameDurationLimits": (16667, 16667),
        "NoiseReductionMode": 0,
    }
    assert config["colour_space"] == "sYCC"


@pytest.mark.parametrize(
    ("fps", "width", "height", "expected"),
    [
        (30.0, 640, 480, (2304, 1296)),  # widest view that is fast enough
        (120.0, 640, 480, (1536, 864)),
        (240.0, 640, 480, (1536, 864)),  # none is: the fastest
        (10.0, 640, 480, (2304, 1296)),  # same view: the smaller one
        (10.0, 3840, 2160, (4608, 2592)),
    ],
)
def test_sensor_mode(fps: float, width: int, height: int, expected: tuple[int, int]) -> None:
    config = SourceConfig(fps=fps, width=width, height=height)
    mode = sensor_mode(list(MODES), config)
    assert mode is not None
    assert mode["size"] == expected


def test_a_sensor_without_modes_is_left_to_libcamera(fake: type[FakePicamera2]) -> None:
    assert sensor_mode([], SourceConfig()) is None
    fake.modes = [{"format": "UYVY", "size": (640, 480)}]
    PiCamera(SourceConfig()).close()
    assert fake.made[0].config["sensor"] is None


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_the_picture_is_turned_once(fake: type[FakePicamera2], rotate: int, mirror: bool) -> None:
    """By libcamera where it can, else here."""
    camera = PiCamera(
        SourceConfig.model_validate(
            {"width": 320, "height": 240, "rotate": rotate, "mirror": mirror}
        )
    )
    luma = camera.grab().luma
    camera.close()
    flips = fake.made[0].config["transform"]
    turned = np.broadcast_to((10 + np.arange(240) % 200)[:, None], (240, 320))
    turned = turned[:, ::-1] if flips["hflip"] else turned
    turned = turned[::-1] if flips["vflip"] else turned
    if rotate % 180:
        assert not any(flips.values())
        turned = np.rot90(turned, -rotate // 90)
        turned = turned[:, ::-1] if mirror else turned
        np.testing.assert_array_equal(luma, turned)
    else:
        assert (flips["hflip"], flips["vflip"]) == ((rotate == 180) != mirror, rotate == 180)


def test_the_size_is_the_one_libcamera_made(fake: type[FakePicamera2]) -> None:
    fake.aligned = 32
    camera = PiCamera(SourceConfig(width=645, height=481))
    assert fake.made[0].config["lores"]["size"] == (644, 480)
    assert camera.grab().luma.shape == (480, 640)
    assert camera.title == "Raspberry Pi camera 1 (imx708 640x480)"
    camera.close()


@pytest.mark.parametrize("fill", [0, 128])
def test_empty_buffers_are_green(fake: type[FakePicamera2], fill: int) -> None:
    fake.fill = fill
    camera = PiCamera(SourceConfig())
    camera.grab()
    assert camera.green == (fill == 0)
    camera.close()


def test_cameras_on_ribbon_cables_are_chosen() -> None:
    ribbon, usb = {"Model": "imx219", "Id": "/base/i2c"}, {"Model": "x", "Id": "/base/usb@0"}
    assert chosen(None, [usb, ribbon]) == (1, "imx219")
    assert chosen(0, [ribbon, ribbon]) == (0, "imx219")
    assert chosen(1, [ribbon, {"Id": "/base/i2c"}]) == (1, "")
    with pytest.raises(CaptureError, match=r"camera 0 is a USB camera\. .*there is: 1 \(imx219\)"):
        chosen(0, [usb, ribbon])
    with pytest.raises(CaptureError, match=r'USB camera.*"v4l2".*none'):
        chosen(None, [usb])
    with pytest.raises(CaptureError, match=r"camera 0 is not there \(found: none\)"):
        chosen(None, [])


def test_a_failing_driver_is_a_capture_error(fake: type[FakePicamera2]) -> None:
    fake.fail_after = 2
    source = PiCamera(SourceConfig())
    source.grab()
    source.grab()
    with pytest.raises(CaptureError, match="failed: RuntimeError"):
        source.grab()
    source.close()
    assert fake.made[0].closed


def test_without_sensor_timestamps_the_clock_is_read(fake: type[FakePicamera2]) -> None:
    fake.stamps = staticmethod(lambda count: None)
    before = time.monotonic()
    source = PiCamera(SourceConfig())
    times = [source.grab().time for _ in range(3)]
    source.close()
    assert before <= times[0] < times[1] < times[2] <= time.monotonic()


@pytest.mark.parametrize(
    ("step", "message"), [("open", "cannot be opened"), ("configure", "refuses")]
)
def test_a_camera_that_refuses_is_named(fake: type[FakePicamera2], step: str, message: str) -> None:
    fake.refuse = step
    with pytest.raises(CaptureError, match=f"Raspberry Pi camera 1 {message}"):
        PiCamera(SourceConfig())
    assert all(made.closed for made in fake.made)


def test_a_camera_that_is_not_there(fake: type[FakePicamera2]) -> None:
    with pytest.raises(CaptureError, match=r"camera 2 is not there \(found: 1 \(imx708\)\)"):
        PiCamera(SourceConfig(target="2"))
    with pytest.raises(CaptureError, match="'front' is no camera number"):
        PiCamera(SourceConfig(target="front"))


def test_without_picamera2_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setitem(sys.modules, "libcamera", None)
    with pytest.raises(
        CaptureError, match=r"apt install python3-picamera2.*--system-site-packages"
    ):
        PiCamera(SourceConfig())
