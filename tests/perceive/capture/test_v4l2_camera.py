"""V4L2 cameras, opened and read through a preloaded library's version of the kernel's interface."""

from __future__ import annotations

import re
import struct
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.perceive.capture import pretended
from tests.perceive.capture.encoded import HEIGHT, RGB, WIDTH, Y, by_ffmpeg, raw_of
from tests.perceive.capture.pretended import CAPTURE, MPLANE, STREAMING, Found, Record, Scenario

pytestmark = pytest.mark.slow
CAMERA = CAPTURE | STREAMING
M2M_MPLANE, META, IO_MC = 0x4000, 0x0080_0000, 0x2000_0000
SOURCE = {"width": WIDTH, "height": HEIGHT, "fps": 30.0}
FRAMES = {
    "YUYV": by_ffmpeg("yuyv422"), "UYVY": by_ffmpeg("uyvy422"), "NV12": by_ffmpeg("nv12"),
    "YU12": by_ffmpeg("yuv420p"), "GREY": Y.tobytes(), "Y10_": raw_of("Y10 ", Y),
}  # fmt: skip
SMOOTH = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
JPEG = cv2.imencode(".jpg", RGB[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
CUT = JPEG[: len(JPEG) // 2]
ENOSPC, EBUSY = 28, 16


def node(path: str, *formats: str, caps: int = CAMERA, driver: str = "uvcvideo") -> str:
    lines = "".join(f"format {each}\n" for each in formats)
    return f"node {path} {caps:#x} {driver}\n{lines}"


def sized(name: str, fps: int = 30, planes: int = 1, stride: int = 0) -> str:
    return f"{name} {WIDTH} {HEIGHT} {stride} {planes} {fps}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pretended")


def scenarios(folder: Path) -> dict[str, Scenario]:
    count = iter(range(1000))

    def camera(
        *formats: str, frames: list[bytes | Record], more: str = "", caps: int = CAMERA
    ) -> str:
        records = [each if isinstance(each, tuple) else ([each], 0) for each in frames]
        line = pretended.recorded(folder / f"{next(count)}.frames", records)
        return node("/dev/video0", *formats, caps=caps) + line + more

    def seen(cameras: str, grabs: int = 2, **source: object) -> Scenario:
        return Scenario(cameras, {**SOURCE, **source}, grabs)

    yuyv = FRAMES["YUYV"]
    every: dict[str, Scenario] = {
        f"format {name}": seen(camera(sized(name), frames=[data])) for name, data in FRAMES.items()
    }
    padded = np.pad(np.frombuffer(FRAMES["UYVY"], np.uint8).reshape(HEIGHT, -1), ((0, 0), (0, 64)))
    y, chroma = Y.tobytes(), bytes([100]) * (Y.size // 2)
    mjpeg = sized("MJPG")
    thirtieth = [JPEG] * 29 + [CUT]
    multi = MPLANE | STREAMING
    small, large = f"YUYV {WIDTH} {HEIGHT} 0 1 30", "YUYV 1280 720 0 1 10"
    every |= {
        "stride": seen(camera(sized("UYVY", stride=WIDTH * 2 + 64), frames=[padded.tobytes()])),
        "planes in one": seen(camera(sized("NV12"), frames=[FRAMES["NV12"]], caps=multi)),
        "planes": seen(camera(sized("NM12", planes=2), frames=[([y, chroma], 0)], caps=multi)),
        "zeros": seen(camera(sized("UYVY"), frames=[bytes(len(yuyv))])),
        "half": seen(camera(sized("YUYV"), frames=[yuyv, yuyv[: len(yuyv) // 2]]), 5),
        "only half": seen(camera(sized("YUYV"), frames=[yuyv[: len(yuyv) // 2]])),
        "marked": seen(camera(sized("YUYV"), frames=[yuyv, ([yuyv], 0x40)]), 5),
        "jpeg": seen(camera(mjpeg, frames=[JPEG, JPEG + bytes(5000)])),
        "one in 30": seen(camera(mjpeg, frames=[*thirtieth]), 59),
        "ten in a row": seen(camera(mjpeg, frames=[JPEG, *[CUT] * 10]), 3),
        "odd": seen(
            camera(
                mjpeg,
                frames=[
                    JPEG,
                    b"",
                    bytes(900),
                    JPEG[:-2],
                    CUT + bytes(900),
                    JPEG[90:],
                    b"\xff" * 99,
                ],
            ),
            3,
        ),
        "only damaged": seen(camera(mjpeg, frames=[CUT])),
        "unknown": seen(camera(sized("S920"), sized("Z16_"), frames=[yuyv])),
        "silent": seen(camera(sized("YUYV"), frames=[yuyv], more="stop -3\n"), 9),
        "unplugged": seen(camera(sized("YUYV"), frames=[yuyv], more="stop 3\n"), 9),
        "no sizes": seen(camera(sized("YUYV"), frames=[yuyv], more="unlisted\n")),
        "steps": seen(
            camera(sized("GREY"), frames=[bytes(96 * 90)], more="steps GREY 32 320 16 30 240 30\n"),
            width=81,
            height=64,
        ),
        "fast enough": seen(camera(sized("YUYV", 10), sized("MJPG"), frames=[JPEG])),
        "cheapest": seen(camera(sized("MJPG"), sized("YUYV"), frames=[yuyv])),
        "size first": seen(camera(small, large, frames=[yuyv]), width=WIDTH),
        "no bandwidth": seen(camera(sized("YUYV"), mjpeg, frames=[JPEG], more="refuse 28 YUYV\n")),
        "no bandwidth at all": seen(camera(sized("YUYV"), frames=[yuyv], more="refuse 28 YUYV\n")),
        "busy": seen(camera(sized("YUYV"), frames=[yuyv], more="refuse 16 YUYV\n")),
        "turned": seen(camera(sized("UYVY"), frames=[FRAMES["UYVY"]]), rotate=90, mirror=True),
        "huge": seen(camera("GREY 8000 100 0 1 30", frames=[yuyv])),
        "bayer by name": seen(camera(sized("RGGB"), frames=[y]), target="0"),
    }
    line = pretended.recorded(folder / "first.frames", [([yuyv], 0)])
    board = (
        node("/dev/video0", sized("NV12"), caps=MPLANE | META | STREAMING | M2M_MPLANE, driver="x")
        + node("/dev/video1", caps=META | STREAMING)
        + node("/dev/video2", sized("YUYV"), driver="bcm2835-isp")
        + node("/dev/video3", sized("YUYV"), caps=CAMERA | IO_MC, driver="rp1-cfe")
        + node("/dev/video4", sized("YUYV"), driver="unicam")
        + node("/dev/video5", sized("RG10"))
    )
    usb = node("/dev/video7", sized("YUYV")) + line
    link = node("/dev/v4l/by-id/usb-A_Camera-video-index0", sized("YUYV")) + line
    return every | {
        "first": seen(board + usb),
        "none": seen(board),
        "codecs": seen(board.partition("node /dev/video5")[0]),
        "nothing": seen(""),
        "by number": seen(board + usb, target="7"),
        "by link": seen(board + link, target="/dev/v4l/by-id/usb-A_Camera-video-index0"),
        "not there": seen(board + usb, target="/dev/video9"),
        "codec": seen(board + usb, target="/dev/video0"),
        "no camera": seen(usb, target="/dev/null"),
    }


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Found]:
    library = pretended.built(folder)
    if library is None:
        pytest.skip("there is no C compiler")
    return pretended.run(scenarios(folder), library, folder)


@pytest.mark.parametrize(
    "name",
    [*(f"format {each}" for each in FRAMES), "stride", "planes in one", "planes", "first",
     "by number", "by link", "no sizes", "cheapest", "size first"],
)  # fmt: skip
def test_luma_whatever_the_camera_offers(found: dict[str, Found], name: str) -> None:
    assert not found[name].error
    for luma in found[name].luma:
        np.testing.assert_array_equal(luma, Y)
    assert len(found[name].luma) == 2
    assert found[name].damaged == 0
    assert not any(found[name].green)
    assert f"{WIDTH}x{HEIGHT}" in found[name].mode


def test_times_are_the_drivers(found: dict[str, Found]) -> None:
    times = found["half"].times
    assert np.all(np.diff(times) > 0)
    assert abs(times[0] - time.monotonic()) < 3600


def test_zeros_are_green(found: dict[str, Found]) -> None:
    assert found["zeros"].green == [True, True]


@pytest.mark.parametrize("name", ["half", "marked"])
def test_a_damaged_frame_is_left_out_and_counted(found: dict[str, Found], name: str) -> None:
    assert found[name].damaged == 4
    for luma in found[name].luma:
        np.testing.assert_array_equal(luma, Y)


@pytest.mark.parametrize(
    ("name", "frames", "damaged"), [("one in 30", 59, 2), ("ten in a row", 3, 20), ("odd", 3, 12)]
)
def test_a_damaged_jpeg_is_never_shown(
    found: dict[str, Found], name: str, frames: int, damaged: int
) -> None:
    assert not found[name].error
    assert len(found[name].luma) == frames
    assert found[name].damaged == damaged
    for luma in found[name].luma:
        assert np.abs(luma.astype(int) - SMOOTH).max() < 12


def test_padding_after_a_jpeg_is_no_damage(found: dict[str, Found]) -> None:
    assert (len(found["jpeg"].luma), found["jpeg"].damaged) == (2, 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("only half", r"only damaged frames for 0\.5 s, the last: 5,120 bytes of 10,240\. Check"),
        ("only damaged", r"only damaged frames for 0\.5 s, the last: a JPEG picture .* without"),
        ("silent", r"gave no frame for 0\.5 s"),
        ("unplugged", r"stopped giving frames \(No such device\)"),
        ("unknown", r"no pixel format that can be used \(S920, Z16\)\. YUYV"),
        ("no bandwidth at all", "no bandwidth left"),
        ("busy", "used by another program"),
        ("huge", "8000x100, not within 4096 pixels"),
        ("none", r"/dev/video5 \(Pretended\) offers no pixel format that can be used \(RG10\)\. "),
        ("codecs", r"No V4L2 camera is there \(/dev/video0 \(Pretended\), .*/dev/video4 "),
        ("nothing", "No V4L2 camera is there. Plug one in"),
        ("not there", r"/dev/video9 does not exist\. There are: .*/dev/video7 \(Pretended\)"),
        ("codec", r"driver x\) is no camera that gives pictures by itself"),
        ("no camera", r"/dev/null cannot be opened as a camera"),
    ],
)
def test_what_cannot_be_read_is_named(found: dict[str, Found], name: str, message: str) -> None:
    assert re.search(message, found[name].error), found[name].error
    what, _, advice = found[name].error.partition(". ")
    assert what
    assert advice


def test_nodes_that_give_no_pictures_are_passed_over(found: dict[str, Found]) -> None:
    assert found["first"].name == "/dev/video7"
    assert found["by link"].name.startswith("/dev/v4l/by-id/")


def test_the_mode_is_the_one_that_reaches_size_and_rate(found: dict[str, Found]) -> None:
    assert found["fast enough"].mode.startswith("MJPG")
    assert found["cheapest"].mode.startswith("YUYV")
    assert found["no bandwidth"].mode.startswith("MJPG")
    assert found["steps"].mode == "GREY 96x90"
    assert not found["fast enough"].error


def test_raw_bayer_is_read_where_it_is_named(found: dict[str, Found]) -> None:
    assert found["bayer by name"].mode.startswith("RGGB")
    assert len(found["bayer by name"].luma) == 2


def test_the_picture_is_turned_upright(found: dict[str, Found]) -> None:
    np.testing.assert_array_equal(found["turned"].luma[0], np.rot90(Y, -1)[:, ::-1])
    assert found["turned"].luma[0].flags.c_contiguous


def test_structures_are_the_kernels() -> None:
    """Their sizes are within the requests; this is what 64-bit kernels have."""
    from agent.perceive.capture import v4l2_abi as abi

    assert (abi.QUERYCAP, abi.S_FMT, abi.QBUF) == (0x80685600, 0xC0D05605, 0xC058560F)
    assert (abi.S_PARM, abi.ENUM_FRAMEINTERVALS) == (0xC0CC5616, 0xC034564B)
    assert (abi.Buffer.m.offset, abi.Format.fmt.offset) == (64, 8)
    assert struct.calcsize("P") == 8
    for name in ("YUYV", "Y16 ", "Y16 -BE"):
        assert abi.fourcc(abi.code_of(name)) == name
