"""USB cameras and GStreamer pipelines, against a fake `cv2.VideoCapture`."""

from __future__ import annotations

import time
from itertools import islice

import cv2
import numpy as np
import pytest

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.perceive.capture.opencv_camera import OpenCvCamera, to_luma
from tests.fakes import FakeVideoCapture

RAMP = (np.arange(48 * 64) % 251).astype(np.uint8).reshape(48, 64)
V4L2 = SourceConfig(kind="v4l2", target="/dev/video7", width=64, height=64)


def opened(
    monkeypatch: pytest.MonkeyPatch, fake: FakeVideoCapture, config: SourceConfig = V4L2
) -> OpenCvCamera:
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    return OpenCvCamera(config)


def test_luma_of_every_form_a_camera_gives() -> None:
    yuyv = np.full((48, 64, 2), 128, np.uint8)
    yuyv[:, :, 0] = RAMP
    nv12 = np.full((72, 64), 128, np.uint8)
    nv12[:48] = RAMP
    size = (48, 64)
    for picture in (RAMP, RAMP[:, :, None], yuyv, nv12, cv2.cvtColor(RAMP, cv2.COLOR_GRAY2BGR)):
        luma = to_luma(picture, size)
        assert luma is not None
        np.testing.assert_array_equal(luma, RAMP)
        assert luma.flags.c_contiguous
    smooth = cv2.GaussianBlur(RAMP, (0, 0), 3)
    jpeg = cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].reshape(1, -1)
    luma = to_luma(jpeg, size)
    assert luma is not None
    assert np.abs(luma.astype(int) - smooth).max() < 12
    assert to_luma(RAMP.astype(np.uint16), size) is None
    assert to_luma(np.zeros((1, 500), np.uint8), size) is None


def test_driver_timestamps_are_used_when_they_are_monotonic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = time.monotonic()
    stamps = [start + n / 30 for n in range(50)]
    fake = FakeVideoCapture([RAMP] * 50, stamps)
    source = opened(monkeypatch, fake)
    times = [frame.time for frame in islice(source, 5)]
    source.close()
    assert all(min(abs(t - s) for s in stamps) < 1e-6 for t in times)
    assert fake.target == "/dev/video7"
    assert fake.asked[cv2.CAP_PROP_CONVERT_RGB] == 0
    assert fake.asked[cv2.CAP_PROP_FRAME_WIDTH] == 64
    assert fake.released.is_set()


def test_other_timestamps_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.monotonic()
    source = opened(monkeypatch, FakeVideoCapture([RAMP] * 50, [1.7e9 + n for n in range(50)]))
    times = [frame.time for frame in islice(source, 5)]
    source.close()
    assert before <= times[0]
    assert times[-1] <= time.monotonic()
    assert np.all(np.diff(times) > 0)
    assert source.counters.bad_timestamps == 0


def test_unplugged_camera_is_a_capture_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeVideoCapture([RAMP] * 3)
    source = opened(monkeypatch, fake)
    with pytest.raises(CaptureError, match="/dev/video7 stopped giving frames"):
        for _ in source:
            pass
    source.close()
    assert fake.released.is_set()


def test_hung_camera_is_a_capture_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeVideoCapture([RAMP] * 3, then_hangs=True)
    source = opened(monkeypatch, fake, V4L2.model_copy(update={"stall": 0.05}))
    with pytest.raises(CaptureError, match=r"gave no frame for 0\.05 s"):
        for _ in source:
            pass
    fake.released.set()
    source.close()


def test_changing_frame_size_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [cv2.cvtColor(RAMP, cv2.COLOR_GRAY2BGR)] + [np.zeros((64, 48, 3), np.uint8)] * 500
    source = opened(monkeypatch, FakeVideoCapture(frames))
    first = next(source)
    shapes = {first.luma.shape} | {frame.luma.shape for frame in islice(source, 3)}
    source.close()
    assert (64, 48) in shapes
    if first.luma.shape == (48, 64):
        assert source.counters.size_changes == 1
        assert "frame_size_changed" in source.flags


def test_unknown_form_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(monkeypatch, FakeVideoCapture([RAMP.astype(np.uint16)] * 5))
    with pytest.raises(CaptureError, match=r"uint16\[48, 64\]"):
        next(source)
    source.close()


def test_closing_ends_the_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(monkeypatch, FakeVideoCapture([RAMP] * 1000))
    next(source)
    source.close()
    source.close()
    assert len(list(source)) <= 1


def test_gstreamer_is_refused_where_opencv_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SourceConfig(kind="gstreamer", target="videotestsrc")
    monkeypatch.setattr(cv2.videoio_registry, "getCameraBackends", lambda: (cv2.CAP_V4L2,))
    with pytest.raises(CaptureError, match=r"built without GStreamer.*python3-opencv"):
        OpenCvCamera(config)


def test_gstreamer_pipeline_gets_a_sink_that_keeps_only_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "getCameraBackends", lambda: (cv2.CAP_GSTREAMER,))
    fake = FakeVideoCapture([RAMP] * 5)
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    source = OpenCvCamera(SourceConfig(kind="gstreamer", target="videotestsrc ! "))
    assert fake.target == "videotestsrc ! appsink drop=true max-buffers=1 sync=false"
    np.testing.assert_array_equal(next(source).luma, RAMP)
    source.close()


def test_gstreamer_pipeline_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "getCameraBackends", lambda: (cv2.CAP_GSTREAMER,))
    fake = FakeVideoCapture([], opens=False)
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    with pytest.raises(CaptureError, match="does not start"):
        OpenCvCamera(SourceConfig(kind="gstreamer", target="a ! appsink"))
    assert fake.target == "a ! appsink"
    assert fake.released.is_set()
