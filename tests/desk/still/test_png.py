"""A PNG is read where a viewer shows it: only what is needed for the picture may be damaged."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from agent.base.errors import CaptureError
from agent.desk.still import png
from agent.desk.still.read import read_still
from tests.desk.still import pngs

_GREY = np.tile(np.linspace(10, 240, 40).astype(np.uint8), (24, 1))
_TURN = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0\0\0\0\0"
"""EXIF, orientation 8."""


def broken(name: bytes, body: bytes) -> bytes:
    """A chunk with a wrong checksum."""
    return pngs.chunk(name, body)[:-4] + b"\0\0\0\0"


@pytest.mark.parametrize(
    "odd",
    [
        broken(b"tEXt", b"Comment\0x"),
        broken(b"gAMA", struct.pack(">I", 100_000)),
        pngs.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000))),
        pngs.chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(bytes(2_000_000))),
        pngs.chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
        pngs.chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2_000_000))),
        pngs.chunk(b"iCCP", b""),
        pngs.chunk(b"gAMA", b"\1"),
        pngs.chunk(b"cHRM", b"\1"),
        pngs.chunk(b"pHYs", b""),
        pngs.chunk(b"sRGB", b""),
        pngs.chunk(b"tRNS", b""),
        pngs.chunk(b"tRNS", b"\0\0\0\0\0\0"),
        pngs.chunk(b"acTL", b"\0\0\0\2"),
        pngs.chunk(b"acTL", struct.pack(">II", 5, 0)),
    ],
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_a_viewer_passes_over_harms_nothing(tmp_path: Path, kind: type, odd: bytes) -> None:
    values: NDArray[Any] = _GREY.astype(kind) * (257 if kind is np.uint16 else 1)
    path = tmp_path / "a.png"
    turned = pngs.chunk(b"eXIf", _TURN)
    path.write_bytes(pngs.png(values, odd, turned))
    still = read_still(path)
    assert np.abs(still.luma.astype(int) - np.rot90(_GREY)).max() <= 1
    assert still.notes == ()


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"IDAT"])
def test_damage_of_what_is_needed_is_refused(tmp_path: Path, name: bytes) -> None:
    target = io.BytesIO()
    Image.fromarray(_GREY).quantize(16).save(target, "PNG")
    data = bytearray(target.getvalue())
    at = data.index(name)
    size = int.from_bytes(data[at - 4 : at], "big")
    data[at + 4 + size] ^= 0xFF  # its checksum
    path = tmp_path / "a.png"
    path.write_bytes(bytes(data))
    with pytest.raises(CaptureError, match="damaged or cut short"):
        read_still(path)


def test_a_palette_must_be_there(tmp_path: Path) -> None:
    data = bytearray(pngs.png(_GREY))
    data[25] = 3  # colour type
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path = tmp_path / "a.png"
    path.write_bytes(bytes(data))
    with pytest.raises(CaptureError, match="damaged or cut short"):
        read_still(path)


def test_a_damaged_animation_is_its_still_picture(tmp_path: Path) -> None:
    target = io.BytesIO()
    frames = [Image.fromarray(np.full_like(_GREY, level)) for level in (50, 100)]
    Image.fromarray(_GREY).save(
        target, "PNG", save_all=True, append_images=frames, default_image=True
    )
    path = tmp_path / "a.png"
    path.write_bytes(target.getvalue())
    assert read_still(path).luma[0, 0] == 50
    data = bytearray(target.getvalue())
    data[data.index(b"fdAT") + 8] ^= 0xFF
    path.write_bytes(bytes(data))
    still = read_still(path)
    assert np.array_equal(still.luma, _GREY)
    assert still.notes == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (9, 17), (40, 24)])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA"])
def test_a_whole_png_lacks_none(size: tuple[int, int], mode: str) -> None:
    target = io.BytesIO()
    Image.new(mode, size).save(target, "PNG")
    assert png.needed(target) is target


def test_an_interlaced_png_has_the_bytes_of_its_passes() -> None:
    """Of 8 x 8 pixels: 1, 1, 2, 4, 8, 16 and 32 in 1, 1, 1, 2, 2, 4 and 4 rows."""
    header = bytes([0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0])
    assert png._image_bytes(header + b"\1") == 64 + 15
    assert png._image_bytes(header + b"\0") == 64 + 8
    one = bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 1])
    assert png._image_bytes(one) == 2  # passes without a column have no rows
