"""What HEIC and AVIF say of their main picture."""

from __future__ import annotations

import contextlib
import io
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.base.errors import CaptureError
from agent.desk.still.read import read_still
from tests.desk.still.heifs import clap, mirrored, turned, with_properties

_Y, _X = np.mgrid[0:48, 0:64]
_SCENE = (40 + 2 * _X + _Y).astype(np.uint8)


@pytest.fixture(scope="module")
def avif() -> bytes:
    target = io.BytesIO()
    Image.fromarray(_SCENE).convert("RGB").save(target, "AVIF", quality=95, subsampling="4:4:4")
    return target.getvalue()


def _is_shown(path: Path, data: bytes, expected: np.ndarray) -> None:
    path.write_bytes(data)
    found = read_still(path).luma
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 4


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        (clap(40, 30, -12, -9), _SCENE[:30, :40]),
        (clap(40, 30, 12, 9), _SCENE[18:, 24:]),
        (clap(41, 31, -23, -17, 2), _SCENE[:31, :41]),
        (clap(64, 48, 0, 0), _SCENE),
        (clap(40, 30, 13, 0), _SCENE),  # beyond the picture
        (clap(0, 30, 0, 0), _SCENE),
        (clap(40, 30, 0, 0, 0), _SCENE),
    ],
)
def test_an_aperture_of_avif_cuts(
    avif: bytes, tmp_path: Path, stated: bytes, shown: np.ndarray
) -> None:
    _is_shown(tmp_path / "a.avif", with_properties(avif, stated), shown)


def test_cut_then_turned_then_mirrored_whatever_the_order(avif: bytes, tmp_path: Path) -> None:
    """ISO/IEC 23000-22, 7.3.6.7, and what browsers do."""
    shown = np.rot90(_SCENE[:30, :40])[:, ::-1]
    parts = [clap(40, 30, -12, -9), turned(1), mirrored(1)]
    for order in (parts, parts[::-1]):
        _is_shown(tmp_path / "a.avif", with_properties(avif, *order), shown)


def test_damage_to_properties_ends_in_a_sentence_or_a_picture(avif: bytes, tmp_path: Path) -> None:
    data = with_properties(avif, clap(40, 30, -12, -9))
    chance = random.Random(5)
    for _ in range(300):
        bad = bytearray(data)
        bad[chance.randrange(24, data.index(b"mdat"))] = chance.randrange(256)
        path = tmp_path / "a.avif"
        path.write_bytes(bad)
        with contextlib.suppress(CaptureError):
            read_still(path)


def test_another_picture_does_not_stand_in_for_a_damaged_main_one(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    pictures = heif.from_pillow(Image.fromarray(_SCENE))
    pictures.add_from_pillow(Image.fromarray(_SCENE[::-1].copy()))
    target = io.BytesIO()
    pictures.save(target, primary_index=1)
    data = target.getvalue()
    _is_shown(tmp_path / "a.heic", data, _SCENE[::-1])
    main = data.index(b"hvc1", data.rindex(b"infe"))
    (tmp_path / "b.heic").write_bytes(data[:main] + b"grid" + data[main + 4 :])
    with pytest.raises(CaptureError, match=r"its main picture cannot be read\. Copy it again"):
        read_still(tmp_path / "b.heic")


def test_a_sequence_without_a_main_picture_is_no_damage(tmp_path: Path) -> None:
    def box(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(data), name) + data

    brand, media = box(b"ftyp", b"hevc\0\0\0\0msf1hevc"), box(b"mdat", bytes(9000))
    path = tmp_path / "a.heics"
    path.write_bytes(brand + media + box(b"moov", b""))
    with pytest.raises(CaptureError, match=r"without a main one\. Use `fleeting replay`"):
        read_still(path)
    path.write_bytes(brand + media)
    with pytest.raises(CaptureError, match="damaged or cut short"):
        read_still(path)
