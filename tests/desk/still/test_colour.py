"""Brightness and transparency that a PNG states without a profile."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from agent.desk.still import colour
from agent.desk.still.read import Still, read_still
from tests.desk.still.pngs import chunk, png

_GREY = np.tile(np.linspace(10, 250, 40).astype(np.uint8), (24, 1))


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def read(path: Path, data: bytes) -> Still:
    path.write_bytes(data)
    return read_still(path)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_stated_gamma_counts(tmp_path: Path, kind: type, channels: int) -> None:
    most = int(np.iinfo(kind).max)
    values: NDArray[Any] = _GREY.astype(kind) * (most // 255)
    if channels > 1:
        values = np.dstack([values] * channels)
    if channels == 2:
        values[..., 1] = most
    path = tmp_path / "a.png"
    plain = read(path, png(values)).luma
    assert np.array_equal(read(path, png(values, gamma(1 / 2.2))).luma, plain)
    linear = read(path, png(values, gamma(1.0))).luma.astype(int)
    assert np.abs(linear - 255 * (_GREY / 255) ** (1 / 2.2)).max() <= 1.5
    said_srgb = png(values, gamma(1.0), chunk(b"sRGB", b"\0"))
    assert np.array_equal(read(path, said_srgb).luma, plain)


@pytest.mark.parametrize("stated", [0.0, 21_000.0])
def test_an_impossible_gamma_harms_nothing(tmp_path: Path, stated: float) -> None:
    assert read(tmp_path / "a.png", png(_GREY, gamma(stated))).luma.shape == _GREY.shape


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_transparent_grey_is_white(tmp_path: Path, kind: type) -> None:
    values: NDArray[Any] = np.full((24, 40), 40, kind) * (257 if kind is np.uint16 else 1)
    values[:, 20:] *= 2
    clear = chunk(b"tRNS", struct.pack(">H", int(values[0, 0])))
    still = read(tmp_path / "a.png", png(values, clear))
    assert still.luma[0, 0] == 255
    assert still.luma[0, 30] == 80
    assert still.notes == ("transparent parts are shown on white",)


def test_beside_a_small_first_frame_is_nothing(tmp_path: Path) -> None:
    """A GIF's canvas is larger; its background colour is not shown, as browsers do."""
    target = io.BytesIO()
    Image.fromarray(_GREY).save(target, "GIF", interlace=0)
    data = bytearray(target.getvalue())
    data[6:10] = struct.pack("<HH", 60, 50)
    frame = data.index(b"\x2c\0\0\0\0\x28\0\x18\0")
    data[frame + 1 : frame + 5] = struct.pack("<HH", 8, 20)
    still = read(tmp_path / "a.gif", bytes(data))
    canvas = np.full((50, 60), 255, np.uint8)
    canvas[20:44, 8:48] = _GREY
    assert np.array_equal(still.luma, canvas)
    assert still.notes == ("transparent parts are shown on white",)


@pytest.mark.parametrize(("alpha", "shown"), [(0, 100), (255, 100), (51, 224)])
def test_a_bitmaps_unused_alpha_is_none(tmp_path: Path, alpha: int, shown: int) -> None:
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    pixels = bytes([100, 100, 100, alpha]) * (40 * 24)
    info = struct.pack("<IiiHHIIiiII", 124, 40, 24, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    info += masks + b"BGRs" + bytes(124 - 40 - 20)
    head = b"BM" + struct.pack("<IHHI", 138 + len(pixels), 0, 0, 138)
    assert np.unique(read(tmp_path / "a.bmp", head + info + pixels).luma).tolist() == [shown]


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF"])
def test_large_pictures_are_converted_in_strips(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = np.meshgrid(np.arange(40), np.arange(23))
    alpha = np.where(x > y, 255, 0)
    values = np.dstack([x * 6, y * 10, x + y, alpha]).astype(np.uint8)
    for picture in (Image.fromarray(values), Image.fromarray(values[..., :3])):
        path = tmp_path / "a"
        picture.save(path, form)
        whole = read_still(path)
        with monkeypatch.context() as patch:
            patch.setattr(colour, "_STRIP", 7 * 40)
            parts = read_still(path)
        assert np.array_equal(parts.luma, whole.luma)
        assert parts.notes == whole.notes
        assert bool(whole.notes) == (picture.mode == "RGBA")
