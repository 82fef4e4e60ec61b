"""TIFF files of sorts that are not read are told from damaged ones."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from agent.base.errors import CaptureError
from agent.desk.still.read import Still, read_still

_GREY = np.tile(np.linspace(10, 240, 40).astype(np.uint8), (24, 1))


def tiff(planes: NDArray[Any], **tags: int) -> bytes:
    """`planes` [C, H, W], each colour in a plane of its own where there are several. `tags`:
    numbers with a letter before them."""
    count, height, width = planes.shape
    size = height * width * planes.itemsize
    entries: dict[int, list[int]] = {
        **{256: [width], 257: [height], 258: [planes.itemsize * 8] * count, 259: [1]},
        **{262: [2 if count == 3 else 1], 273: [0] * count, 277: [count], 278: [height]},
        **{279: [size] * count, 284: [2 if count > 1 else 1]},
        **{int(name[1:]): [value] for name, value in tags.items()},
    }
    values_at = 8 + 2 + 12 * len(entries) + 4
    data_at = values_at + sum(4 * len(each) for each in entries.values() if len(each) > 1)
    entries[273] = [data_at + number * size for number in range(count)]
    directory, values = b"", b""
    for tag, each in sorted(entries.items()):
        word = struct.pack("<I", each[0])
        if len(each) > 1:
            word = struct.pack("<I", values_at + len(values))
            values += struct.pack(f"<{len(each)}I", *each)
        directory += struct.pack("<HHI", tag, 4, len(each)) + word
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + directory + bytes(4) + values + planes.tobytes()


def read(path: Path, data: bytes) -> NDArray[np.uint8]:
    path.write_bytes(data)
    return read_still(path).luma


def test_planes_of_eight_bits_are_read(tmp_path: Path) -> None:
    for planes in (_GREY[None], np.stack([_GREY] * 3)):
        found = read(tmp_path / "a.tif", tiff(planes))
        assert np.abs(found.astype(int) - _GREY).max() <= 1


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_deep_planes_are_refused(tmp_path: Path, kind: type) -> None:
    """OpenCV gives something else than the picture."""
    planes: NDArray[Any] = np.stack([_GREY] * 3).astype(kind)
    form = 3 if kind is np.float32 else 1
    with pytest.raises(CaptureError, match=r"in a plane of its own\. Save it as PNG"):
        read(tmp_path / "a.tif", tiff(planes, t339=form))


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({"t259": 34712}, "compression 34712"),
        ({"t259": 50002}, "compression 50002"),
        ({"t262": 4}, "photometric interpretation 4"),
        ({"t262": 32845}, "photometric interpretation 32845"),
        ({"t258": 24}, "24 bits"),
    ],
)
def test_an_unknown_sort_is_no_damage(tmp_path: Path, tags: dict[str, int], says: str) -> None:
    with pytest.raises(CaptureError, match=f"not read here .*{says}.*Save it as PNG"):
        read(tmp_path / "a.tif", tiff(_GREY[None], **tags))


@pytest.mark.parametrize(("extra", "shown"), [(0, 100), (2, 255)])
def test_a_fourth_value_counts_where_it_is_called_alpha(
    tmp_path: Path, extra: int, shown: int
) -> None:
    pixels = np.full((1, 24, 40 * 4), 100 * 257, np.uint16)
    pixels[..., 3::4] = 0
    data = tiff(pixels, t256=40, t258=16, t262=2, t277=4, t338=extra)
    assert read(tmp_path / "a.tif", data).mean() == shown


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_deep_pictures_in_a_compression_of_pillow_alone(tmp_path: Path, kind: type) -> None:
    """It gives 16 bits without a sign, and mistakes the others."""
    path = tmp_path / "a.tif"
    values: NDArray[Any] = _GREY.astype(kind) * (257 if kind is np.uint16 else 1)
    Image.fromarray(values).save(path, "TIFF", compression="zstd")
    if kind is np.uint16:
        assert np.array_equal(read_still(path).luma, _GREY)
        return
    with pytest.raises(CaptureError, match=r"sort that is not read here \(compression 50000"):
        read_still(path)


def test_webp_in_a_tiff_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"sort that is not read here \(compression 50001"):
        read(tmp_path / "a.tif", tiff(_GREY[None], t259=50001))


def _map(path: Path, values: NDArray[Any], no_data: str | None) -> Still:
    """As GDAL writes it."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if no_data is not None:
        tags[42113] = no_data
        tags.tagtype[42113] = 2
    Image.fromarray(values).save(path, "TIFF", tiffinfo=tags)
    return read_still(path)


@pytest.mark.parametrize(
    ("kind", "empty", "said"),
    [
        (np.uint16, 65_535, "65535"),
        (np.uint16, 0, "0"),
        (np.int32, 2**31 - 1, "2147483647"),
        (np.int32, -32_768, "-32768"),
        (np.float32, 9_999, "9999"),
        (np.float32, -3.4028234663852886e38, "-3.4028234663852886e+38"),
        (np.float32, 3e38, None),
        (np.float32, 1e20, None),
        (np.float32, np.nan, "nan"),
    ],
)
def test_parts_without_a_value_are_black_and_leave_the_rest(
    tmp_path: Path, kind: type, empty: float, said: str | None
) -> None:
    values: NDArray[Any] = (_GREY.astype(np.int32) * 4 + 1).astype(kind)
    whole = _map(tmp_path / "a.tif", values, None)
    values[:5, :5] = empty
    found = _map(tmp_path / "a.tif", values, said)
    expected = whole.luma.copy()
    expected[:5, :5] = 0
    assert np.array_equal(found.luma, expected)
    assert found.notes == (*whole.notes, "parts without a value are shown black")


@pytest.mark.parametrize("said", ["", "none", "1e999", "-1", "70000"])
def test_a_stand_in_that_is_none_or_not_there_changes_nothing(tmp_path: Path, said: str) -> None:
    values = _GREY.astype(np.uint16) * 257
    assert np.array_equal(_map(tmp_path / "a.tif", values, said).luma, _GREY)


def test_a_colour_is_no_stand_in_for_a_pixel(tmp_path: Path) -> None:
    """Nor is alpha."""
    values = np.zeros((1, 24, 40 * 4), np.uint16)
    values[..., 0::4] = values[..., 3::4] = 65_535
    values[..., :4] = 65_535
    data = tiff(values, t256=40, t258=16, t262=2, t277=4, t338=2, t42113=65_535)
    path = tmp_path / "a.tif"
    found = read(path, data)
    assert found[:, 1:].tolist() == [[76] * 39] * 24
    assert not found[:, 0].any()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_the_decoder_prints_nothing(
    tmp_path: Path, kind: type, compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    noise: NDArray[Any] = np.random.default_rng(1).integers(0, 256, (60, 80)).astype(kind)
    Image.fromarray(noise).save(path, "TIFF", compression=compression)
    data = bytearray(path.read_bytes())
    data[1000:1400] = bytes(200) + b"\xff" * 200
    with pytest.raises(CaptureError, match="damaged or cut short"):
        read(path, bytes(data))
    assert capfd.readouterr() == ("", "")
