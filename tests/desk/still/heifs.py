"""AVIF and HEIC files with properties, and damage, that no writer at hand makes."""

from __future__ import annotations

import struct


def _box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), name) + data


def clap(width: int, height: int, x: int, y: int, of: int = 1) -> bytes:
    """A clean aperture; `x` and `y`, over `of`: where its middle lies from the picture's."""
    return _box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, x, of, y, of))


def turned(quarters: int) -> bytes:
    return _box(b"irot", bytes([quarters]))


def mirrored(axis: int) -> bytes:
    return _box(b"imir", bytes([axis]))


def with_properties(data: bytes, *properties: bytes) -> bytes:
    """Pillow's AVIF, its first item with further properties, in this order."""
    out = bytearray(data)
    at = {name: out.index(name) - 4 for name in (b"meta", b"iprp", b"ipco", b"ipma", b"iloc")}
    new = b"".join(properties)

    def grow(where: int, by: int) -> None:
        struct.pack_into(">I", out, where, struct.unpack_from(">I", out, where)[0] + by)

    count, first = at[b"iloc"] + 14, at[b"iloc"] + 16
    for number in range(struct.unpack_from(">H", out, count)[0]):
        grow(first + 14 * number + 6, len(new) + len(properties))
    end = at[b"ipco"] + struct.unpack_from(">I", out, at[b"ipco"])[0]
    known, where = 0, at[b"ipco"] + 8
    while where < end:
        known, where = known + 1, where + struct.unpack_from(">I", out, where)[0]
    held = at[b"ipma"] + 18
    numbers = bytes(0x80 | (known + 1 + each) for each in range(len(properties)))
    for name, by in ((b"meta", 0), (b"iprp", 0), (b"ipma", -len(new)), (b"ipco", -len(numbers))):
        grow(at[name], len(new) + len(numbers) + by)
    behind = held + 1 + out[held]
    out[held] += len(numbers)
    out[behind:behind] = numbers
    out[end:end] = new
    return bytes(out)
