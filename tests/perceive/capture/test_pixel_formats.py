"""Luma of every pixel format, encoded by FFmpeg where it knows the format."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.perceive.capture.pixel_formats import (
    LAYOUTS,
    MAX_SIDE,
    Converter,
    DamagedError,
    Geometry,
)
from tests.perceive.capture.encoded import HEIGHT, RGB, WIDTH, Y, by_ffmpeg, mosaic, raw_of, wide

FFMPEG = {
    "YUYV": "yuyv422", "YVYU": "yvyu422", "UYVY": "uyvy422", "NV12": "nv12", "NV21": "nv21",
    "NV16": "nv16", "NV24": "nv24", "NV42": "nv42", "YU12": "yuv420p", "422P": "yuv422p",
    "411P": "yuv411p", "YUV9": "yuv410p", "YUV3": "vyu444", "VUYX": "vuyx", "AYUV": "ayuv",
}  # fmt: skip
COLOURS = {
    "BGR3": "bgr24", "RGB3": "rgb24", "XR24": "bgr0", "BGR4": "bgra", "AR24": "bgra",
    "AB24": "rgba", "XB24": "rgb0", "RGB4": "argb", "BX24": "0rgb", "BA24": "argb",
    "RA24": "abgr", "RX24": "0bgr", "RGBP": "rgb565le", "RGBO": "rgb555le",
}  # fmt: skip
BAYER = {"RGGB": "RGGB", "GRBG": "GRBG", "GBRG": "GBRG", "BA81": "BGGR"}
SIZE = Geometry(WIDTH, HEIGHT)


def luma_of(name: str, data: bytes, size: Geometry = SIZE) -> np.ndarray:
    picture = Converter(name, size)([np.frombuffer(data, np.uint8)])
    assert picture.luma.flags.c_contiguous
    assert picture.luma.flags.owndata
    assert not picture.green
    return picture.luma


@pytest.mark.parametrize("name", FFMPEG)
def test_luma_of_yuv_is_exact(name: str) -> None:
    if name == "YUV3":  # the same with chroma at other places
        data = np.stack([Y, np.full_like(Y, 90), np.full_like(Y, 160)], -1).tobytes()
    else:
        data = by_ffmpeg(FFMPEG[name])
    np.testing.assert_array_equal(luma_of(name, data), Y)


def test_other_orders_of_chroma_have_the_same_luma() -> None:
    for name, twin in (("VYUY", "UYVY"), ("NV61", "NV16"), ("YV12", "YU12"), ("YVU9", "YUV9")):
        np.testing.assert_array_equal(luma_of(name, by_ffmpeg(FFMPEG[twin])), Y)


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_weighted(name: str) -> None:
    grey = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY).astype(int)
    coarse = 8 if name in ("RGBP", "RGBO") else 2
    assert np.abs(luma_of(name, by_ffmpeg(COLOURS[name])) - grey).max() <= coarse


@pytest.mark.parametrize("name", BAYER)
def test_raw_bayer_is_interpolated(name: str) -> None:
    """Colour filters in another order would give a chequered picture."""
    grey = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY).astype(int)
    luma = luma_of(name, mosaic(BAYER[name]).tobytes())
    assert np.abs(luma - grey)[2:-2, 2:-2].mean() < 4


@pytest.mark.parametrize(
    ("name", "bits", "shift"),
    [
        ("Y10 ", 10, 0), ("Y10 ", 10, 6), ("Y12 ", 12, 0), ("Y12 ", 12, 4), ("Y14 ", 14, 0),
        ("Y16 ", 16, 0), ("Y16 ", 8, 0), ("Y16 ", 10, 0), ("Y16 ", 12, 0), ("Y16 ", 12, 4),
        ("Y16 ", 14, 0), ("Y16 ", 10, 6),
    ],
)  # fmt: skip
def test_which_bits_hold_the_samples_is_found(name: str, bits: int, shift: int) -> None:
    """As V4L2 puts them, in the low bits, and as some drivers do."""
    samples = wide(bits) << shift
    np.testing.assert_array_equal(luma_of(name, samples.astype("<u2").tobytes()), Y)


def test_big_endian_samples() -> None:
    np.testing.assert_array_equal(luma_of("Y16 -BE", wide(16).astype(">u2").tobytes()), Y)


def test_a_dark_picture_does_not_change_the_bits_of_later_ones() -> None:
    converter = Converter("Y16 ", SIZE)
    converter([np.frombuffer(wide(12).astype("<u2").tobytes(), np.uint8)])
    dark = (wide(12) // 16).astype("<u2").tobytes()
    np.testing.assert_array_equal(converter([np.frombuffer(dark, np.uint8)]).luma, Y // 16)


@pytest.mark.parametrize(("name", "bits"), [("Y10P", 10), ("Y12P", 12), ("Y14P", 14)])
def test_packed_samples(name: str, bits: int) -> None:
    np.testing.assert_array_equal(luma_of(name, raw_of(name, wide(bits))), Y)


@pytest.mark.parametrize("name", ["RG10", "pRAA", "RG16"])
def test_deep_bayer(name: str) -> None:
    eight = mosaic("RGGB")
    bits = 16 if name == "RG16" else 10
    samples = eight.astype(np.uint16) << (bits - 8)
    data = raw_of("Y10P", samples) if name == "pRAA" else samples.astype("<u2").tobytes()
    np.testing.assert_array_equal(luma_of(name, data), luma_of("RGGB", eight.tobytes()))


@pytest.mark.parametrize("name", ["YUYV", "UYVY", "NV12", "GREY", "BGR3", "Y16 "])
@pytest.mark.parametrize("padding", [0, 32])
def test_rows_may_be_padded_and_frames_too(name: str, padding: int) -> None:
    layout = LAYOUTS[name]
    stride = layout.bytes_per_row(WIDTH) + padding
    rows = HEIGHT * (layout.more[0] + layout.more[1]) // layout.more[1]
    data = np.frombuffer(raw_of(name, Y), np.uint8).reshape(rows, -1)
    padded = np.full((rows, stride), 7, np.uint8)
    padded[:, : data.shape[1]] = data
    size = Geometry(WIDTH, HEIGHT, stride)
    expected = luma_of(name, data.tobytes())
    np.testing.assert_array_equal(luma_of(name, padded.tobytes(), size), expected)
    np.testing.assert_array_equal(luma_of(name, padded.tobytes() + bytes(999), size), expected)


def test_a_stride_that_the_buffer_does_not_have_is_not_believed() -> None:
    size = Geometry(WIDTH, HEIGHT, WIDTH * 3)
    np.testing.assert_array_equal(luma_of("UYVY", by_ffmpeg("uyvy422"), size), Y)


@pytest.mark.parametrize("name", ["YUYV", "NV12", "GREY", "BGR3", "Y10 ", "RGGB"])
def test_half_a_frame_is_damaged(name: str) -> None:
    data = np.frombuffer(raw_of(name, Y), np.uint8)
    for part in (data[: len(data) // 2], data[:-WIDTH], data[:0]):
        with pytest.raises(DamagedError, match=rf"{len(part):,} bytes of {len(data):,}"):
            Converter(name, SIZE)([part])


@pytest.mark.parametrize(("width", "height"), [(63, 47), (1, 1), (65, 2), (17, 33)])
@pytest.mark.parametrize("name", ["GREY", "YUYV", "UYVY", "NV12", "YU12", "BGR3", "Y10 ", "Y10P"])
def test_odd_sizes(name: str, width: int, height: int) -> None:
    """Rows of packed 4:2:2 hold whole pairs; chroma planes of odd heights are rounded up."""
    layout = LAYOUTS[name]
    even = width + width % 2 if name in ("YUYV", "UYVY", "NV12", "YU12") else width
    stride = layout.bytes_per_row(even)
    chroma = layout.bytes_per_row(even) * ((height + 1) // 2) if layout.more[0] else 0
    data = np.full(stride * height + chroma, 9, np.uint8)
    assert luma_of(name, data.tobytes(), Geometry(width, height, stride)).shape == (height, width)


@pytest.mark.parametrize("name", ["YUYV", "UYVY", "NV12", "YU12", "NV16", "AYUV", "YUV3"])
def test_a_buffer_of_zeros_is_green(name: str) -> None:
    size = len(raw_of(name, Y))
    picture = Converter(name, SIZE)([np.zeros(size, np.uint8)])
    assert picture.green
    assert not picture.luma.any()


def test_a_black_picture_is_not_green() -> None:
    black = np.zeros_like(RGB)
    for name, ffmpeg in (("YUYV", "yuyv422"), ("NV12", "nv12"), ("BGR3", "bgr24")):
        data = np.frombuffer(by_ffmpeg(ffmpeg, black), np.uint8)
        assert not Converter(name, SIZE)([data]).green
    assert not Converter("GREY", SIZE)([np.zeros(WIDTH * HEIGHT, np.uint8)]).green


def test_converted_zeros_are_green_in_colours_too() -> None:
    green = np.zeros_like(RGB)
    green[:, :, 1] = 135
    data = np.frombuffer(by_ffmpeg("bgr24", green), np.uint8)
    assert Converter("BGR3", SIZE)([data]).green


def test_planes_in_memory_of_their_own() -> None:
    chroma = np.full(WIDTH * HEIGHT // 2, 120, np.uint8)
    converter = Converter("NM12", SIZE)
    picture = converter([Y.reshape(-1), chroma])
    np.testing.assert_array_equal(picture.luma, Y)
    assert not picture.green
    assert converter([np.zeros(Y.size, np.uint8), chroma * 0]).green
    with pytest.raises(DamagedError):
        converter([Y.reshape(-1)[:-1], chroma])


def test_sizes_are_bounded() -> None:
    for width, height in ((0, 48), (MAX_SIDE + 1, 48), (64, 8000)):
        with pytest.raises(ValueError, match="pixels"):
            Converter("GREY", Geometry(width, height))
