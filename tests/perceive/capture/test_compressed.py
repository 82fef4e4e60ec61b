"""JPEG, H.264 and HEVC from cameras, whole and damaged."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from agent.perceive.capture.compressed import JpegDecoder, VideoDecoder, whole_jpeg
from agent.perceive.capture.pixel_formats import DamagedError

RNG = np.random.default_rng(3)
PICTURE = cv2.resize(RNG.integers(0, 256, (12, 16, 3), np.uint8), (320, 240))
GREY = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY)
NOISY = np.clip(PICTURE.astype(int) + RNG.normal(0, 6, PICTURE.shape), 0, 255).astype(np.uint8)
JPEG = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
RICH = cv2.imencode(".jpg", NOISY, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
END = b"\xff\xd9"


def planes(data: bytes) -> list[np.ndarray]:
    return [np.frombuffer(data, np.uint8)]


def encoded(codec: str, pixel_format: str, frame: av.VideoFrame, count: int = 1) -> list[bytes]:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, pixel_format
    encoder.time_base = Fraction(1, 30)
    if codec == "libx264":
        encoder.options = {"tune": "zerolatency", "g": "6", "preset": "ultrafast"}
    packets: list[bytes] = []
    for n in range(count):
        frame.pts = n
        packets += [bytes(each) for each in encoder.encode(frame)]
    return packets


@pytest.mark.parametrize("padding", [b"", bytes(4000), b"\xff" * 7, b"\0\xff\0" * 9])
def test_jpeg_with_what_drivers_add(padding: bytes) -> None:
    picture = JpegDecoder()(planes(JPEG + padding))
    assert np.abs(picture.luma.astype(int) - GREY).max() < 12
    assert picture.luma.flags.c_contiguous
    assert not picture.green


def test_motion_jpeg_without_huffman_tables() -> None:
    """As UVC cameras send it: the standard's own tables are meant."""
    at, parts = 2, [JPEG[:2]]
    while JPEG[at + 1] != 0xDA:
        length = 2 + int.from_bytes(JPEG[at + 2 : at + 4], "big")
        if JPEG[at + 1] != 0xC4:
            parts.append(JPEG[at : at + length])
        at += length
    stripped = b"".join([*parts, JPEG[at:]])
    assert len(stripped) < len(JPEG)
    assert np.abs(JpegDecoder()(planes(stripped)).luma.astype(int) - GREY).max() < 12


def test_grey_and_coloured_jpeg_have_the_same_luma() -> None:
    for quality in (50, 95):
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        data = cv2.imencode(".jpg", GREY, options)[1].tobytes()
        assert np.abs(JpegDecoder()(planes(data)).luma.astype(int) - GREY).mean() < 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[: len(data) * 99 // 100],
        lambda data: data[:-2],
        lambda data: data[: len(data) // 2] + END,
        lambda data: data[: len(data) // 2] + bytes(len(data) // 2),
        lambda data: data[: len(data) // 2] + bytes(len(data) // 2) + END,
        lambda data: data[: len(data) // 2] + data,
        lambda data: data[:5000] + data[5512:],  # a lost packet
        lambda data: data[:5000] + bytes(512) + data[5512:],
        lambda data: data[:5000] + b"\xff" * 512 + data[5512:],
        lambda data: data[len(data) // 2 :],
        lambda data: data[:30],
        lambda data: data[:2],
        lambda data: bytes(len(data)),
        lambda data: b"",
        lambda data: b"\xff\xd8" * 400,
        lambda data: data[:2] + END,
        lambda data: np.random.default_rng(5).bytes(len(data)),
    ],
)
def test_a_jpeg_that_is_not_whole_is_refused(damage: object) -> None:
    assert callable(damage)
    decoder = JpegDecoder()
    decoder(planes(RICH))
    with pytest.raises(DamagedError):
        decoder(planes(damage(RICH)))
    assert np.abs(decoder(planes(JPEG)).luma.astype(int) - GREY).max() < 12  # the next one is fine


def test_a_thumbnails_end_is_not_the_pictures() -> None:
    inside = JPEG[:2] + b"\xff\xe1" + (2 + 40).to_bytes(2, "big") + END * 20 + JPEG[2:]
    assert whole_jpeg(inside + bytes(9)) == inside


def test_a_jpeg_of_zeros_is_green() -> None:
    zeros = av.VideoFrame.from_ndarray(np.zeros((360, 320), np.uint8), format="yuvj420p")
    assert JpegDecoder()(planes(encoded("mjpeg", "yuvj420p", zeros)[0])).green
    black = zeros.to_ndarray()
    black[240:] = 128
    frame = av.VideoFrame.from_ndarray(black, format="yuvj420p")
    assert not JpegDecoder()(planes(encoded("mjpeg", "yuvj420p", frame)[0])).green


def test_a_jpeg_beyond_bounds() -> None:
    data = cv2.imencode(".jpg", np.zeros((16, 8000), np.uint8))[1].tobytes()
    with pytest.raises(DamagedError, match="8000x16"):
        JpegDecoder()(planes(data))


def test_video_waits_for_a_key_frame_after_damage() -> None:
    frame = av.VideoFrame.from_ndarray(PICTURE, format="bgr24").reformat(format="yuv420p")
    luma = frame.to_ndarray()[:240].astype(int)
    packets = encoded("libx264", "yuv420p", frame, 18)
    decoder, seen = VideoDecoder("H264"), ""
    # joined between key frames, which are 0, 6 and 12
    for data in (*packets[3:8], packets[8][:20], *packets[9:]):
        try:
            picture = decoder(planes(data))
        except DamagedError:
            seen += "x"
            continue
        seen += "." if picture is None else "o"
        if picture is not None:
            assert np.abs(picture.luma - luma).mean() < 4
    assert seen == "xxxoox...oooooo"
