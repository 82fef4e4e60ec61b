"""Brightness and transparency that a PNG states without a profile."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

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
