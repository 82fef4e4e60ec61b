"""What decoders pass over in silence is told."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from agent.base.errors import CaptureError
from agent.desk.still import damage
from agent.desk.still.read import read_still
from tests.desk.still.pngs import png

_GREY = np.tile(np.linspace(10, 240, 40).astype(np.uint8), (24, 1))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_png_that_lacks_rows_is_refused(tmp_path: Path, kind: type) -> None:
    """Each chunk is whole, its checksum too: a program stopped while it wrote."""
    values: NDArray[Any] = _GREY.astype(kind) * (257 if kind is np.uint16 else 1)
    path = tmp_path / "a.png"
    path.write_bytes(png(values))
    assert np.abs(read_still(path).luma.astype(int) - _GREY).max() <= 1
    path.write_bytes(png(values, rows=23))
    with pytest.raises(CaptureError, match="damaged or cut short"):
        read_still(path)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (9, 17), (40, 24)])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA"])
def test_a_whole_png_lacks_none(size: tuple[int, int], mode: str) -> None:
    target = io.BytesIO()
    Image.new(mode, size).save(target, "PNG")
    target.seek(0)
    damage.check_png(target)


def test_an_interlaced_png_has_the_bytes_of_its_passes() -> None:
    """Of 8 x 8 pixels: 1, 1, 2, 4, 8, 16 and 32 in 1, 1, 1, 2, 2, 4 and 4 rows."""
    header = bytes([0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0])
    assert damage._png_bytes(header + b"\1") == 64 + 15
    assert damage._png_bytes(header + b"\0") == 64 + 8
    one = bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 1])
    assert damage._png_bytes(one) == 2  # passes without a column have no rows


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xCB, 0xF7])
def test_other_codings_of_jpeg_are_no_damage(tmp_path: Path, marker: int) -> None:
    target = io.BytesIO()
    Image.fromarray(_GREY).save(target, "JPEG")
    path = tmp_path / "a.jpg"
    path.write_bytes(target.getvalue().replace(b"\xff\xc0", bytes([0xFF, marker]), 1))
    with pytest.raises(CaptureError, match=r"lossless or hierarchical JPEG\. Save it as PNG"):
        read_still(path)


def test_a_variant_that_the_decoder_lacks_is_no_damage(tmp_path: Path) -> None:
    """A bitmap that holds a JPEG."""
    target = io.BytesIO()
    Image.fromarray(_GREY).save(target, "BMP")
    data = bytearray(target.getvalue())
    data[30] = 4  # biCompression: BI_JPEG
    path = tmp_path / "a.bmp"
    path.write_bytes(bytes(data))
    with pytest.raises(CaptureError, match=r"in a way that is not read here\. Save it as PNG"):
        read_still(path)
