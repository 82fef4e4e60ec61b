"""What decoders pass over in silence is told."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from agent.base.errors import CaptureError
from agent.desk.still.damage import COARSE, NO_END
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


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [(9, b"\x02", "2 colours a pixel"), (5, b"\0\0", "does not say its height first")],
)
def test_frames_that_no_decoder_knows_are_no_damage(
    tmp_path: Path, at: int, value: bytes, says: str
) -> None:
    """Two colours, and a height that stands after the picture (DNL)."""
    target = io.BytesIO()
    Image.fromarray(_GREY).save(target, "JPEG")
    data = bytearray(target.getvalue())
    frame = data.index(b"\xff\xc0")
    data[frame + at : frame + at + len(value)] = value
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(data))
    with pytest.raises(CaptureError, match=says):
        read_still(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_progressive_jpeg_that_was_cut_between_scans_is_coarse(tmp_path: Path, mode: str) -> None:
    target = io.BytesIO()
    Image.fromarray(_GREY).convert(mode).save(target, "JPEG", progressive=True)
    data, path = target.getvalue(), tmp_path / "a.jpg"
    scans = [found.start() for found in re.finditer(b"\xff\xda", data)]
    for scan in scans[1:]:
        path.write_bytes(data[:scan])
        still = read_still(path)
        assert still.luma.shape == _GREY.shape
        assert still.notes == (COARSE,)
    path.write_bytes(data[:-2])
    assert read_still(path).notes == (NO_END,)
    path.write_bytes(data)
    assert read_still(path).notes == ()
