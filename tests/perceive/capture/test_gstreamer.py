"""GStreamer pipelines, against a fake `cv2.VideoCapture`."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.perceive.capture.gstreamer import GStreamerCamera, pipeline
from tests.fakes import FakeVideoCapture

RAMP = (np.arange(48 * 64) % 251).astype(np.uint8).reshape(48, 64)
GREY = "videoconvert ! video/x-raw,format=GRAY8"
SINK = "appsink drop=true max-buffers=1 sync=false"


@pytest.fixture(autouse=True)
def _with_gstreamer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "getCameraBackends", lambda: (cv2.CAP_GSTREAMER,))


def started(
    monkeypatch: pytest.MonkeyPatch, fake: FakeVideoCapture, target: str = "videotestsrc"
) -> GStreamerCamera:
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    return GStreamerCamera(SourceConfig(kind="gstreamer", target=target))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("videotestsrc ! ", f"videotestsrc ! {GREY} ! {SINK}"),
        ("a ! video/x-raw, format = NV12", f"a ! video/x-raw, format = NV12 ! {GREY} ! {SINK}"),
        ("a ! video/x-raw, format=GRAY8", f"a ! video/x-raw, format=GRAY8 ! {SINK}"),
        (
            "a ! video/x-raw(memory:NVMM),format=GRAY8",
            f"a ! video/x-raw(memory:NVMM),format=GRAY8 ! {GREY} ! {SINK}",
        ),
        ("a ! appsink name=mine", "a ! appsink name=mine"),
    ],
)
def test_a_pipeline_is_made_to_end_in_grey_pictures(target: str, expected: str) -> None:
    assert pipeline(target) == expected


@pytest.mark.parametrize("target", ["", " ", " ! "])
def test_no_pipeline(target: str) -> None:
    with pytest.raises(CaptureError, match="holds no pipeline"):
        pipeline(target)


@pytest.mark.parametrize("kind", ["grey", "grey with a channel", "BGR", "NV12"])
def test_luma_of_what_it_delivers(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    pictures = {
        "grey": RAMP,
        "grey with a channel": RAMP[:, :, None],
        "BGR": cv2.cvtColor(RAMP, cv2.COLOR_GRAY2BGR),
        "NV12": np.concatenate([RAMP, np.full((24, 64), 128, np.uint8)]),
    }
    fake = FakeVideoCapture([pictures[kind]] * 2)
    camera = started(monkeypatch, fake)
    frame = camera.grab()
    np.testing.assert_array_equal(frame.luma, RAMP)
    assert frame.luma.flags.c_contiguous
    assert frame.time < camera.grab().time
    camera.close()
    assert fake.released.is_set()


@pytest.mark.parametrize(
    "picture",
    [RAMP.astype(np.uint16), np.zeros((48, 64, 2), np.uint8), np.zeros((1, 500), np.uint8)],
)
def test_forms_without_a_name_are_refused(
    monkeypatch: pytest.MonkeyPatch, picture: np.ndarray
) -> None:
    """[H, W, 2] may be YUY2 or UYVY, one row JPEG."""
    camera = started(monkeypatch, FakeVideoCapture([picture]))
    with pytest.raises(CaptureError, match=r"form that is not known .* Let it end in `videoconv"):
        camera.grab()
    camera.close()


def test_a_picture_beyond_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = started(monkeypatch, FakeVideoCapture([np.zeros((48, 8000), np.uint8)]))
    with pytest.raises(CaptureError, match="8000x48, beyond 4096"):
        camera.grab()
    camera.close()


def test_a_pipeline_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = started(monkeypatch, FakeVideoCapture([RAMP]))
    camera.grab()
    with pytest.raises(CaptureError, match="stopped giving frames"):
        camera.grab()
    camera.close()


def test_a_pipeline_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeVideoCapture([], opens=False)
    with pytest.raises(CaptureError, match=r"does not start\. Try it with gst-launch"):
        started(monkeypatch, fake, "a ! appsink")
    assert fake.target == "a ! appsink"
    assert fake.released.is_set()


def test_opencv_without_gstreamer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "getCameraBackends", lambda: (cv2.CAP_V4L2,))
    with pytest.raises(CaptureError, match=r"built without GStreamer.*python3-opencv"):
        GStreamerCamera(SourceConfig(kind="gstreamer", target="videotestsrc"))
