"""What HEIC and AVIF files say of their main picture (ISO/IEC 14496-12 and 23008-12), where
Pillow's readers pass over it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Any

_MOST = 1 << 24
"""Bytes of a `meta` box that are read."""


def register() -> None:
    """Make HEIC known to Pillow. Raises `ImportError` without pillow-heif."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def main_is_whole(picture: Any) -> bool:
    """Whether Pillow's HEIC picture is the main one: where that is damaged it is another."""
    return bool(picture.info.get("primary"))


def is_bare_sequence(file: IO[bytes]) -> bool:
    """Whether there is a track, and no picture beside it."""
    try:
        names = {name for name, _, _ in _outermost(file)}
    except (ValueError, struct.error):
        return False
    return b"moov" in names and b"meta" not in names


def aperture(file: IO[bytes], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a picture of `size` (width, height as stored) that its main item's `clap`
    leaves; all where there is none, or none that makes sense, as browsers have it."""
    whole = slice(0, size[1]), slice(0, size[0])
    try:
        found = _clap(_meta(file))
        if found is None:
            return whole
        (left, right), (top, bottom) = (
            _kept(length, *found[at : at + 2], *found[at + 4 : at + 6])
            for length, at in zip(size, (0, 2), strict=True)
        )
    except (ValueError, struct.error, IndexError, ZeroDivisionError):
        return whole
    return slice(top, bottom), slice(left, right)


def _kept(length: int, kept: int, part: int, offset: int, of: int) -> tuple[int, int]:
    """Along one side: its length over `part`, and how far its middle lies from the picture's."""
    many = round(kept / part)
    first = round(offset / of + (length - kept / part) / 2)
    if not (0 < many <= length and 0 <= first <= length - many):
        raise ValueError("outside the picture")
    return first, first + many


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = at + size if size else len(data)
        if end < start:
            raise ValueError("a box within its own head")
        yield name, data[start:end]
        at = end


def _outermost(file: IO[bytes]) -> Iterator[tuple[bytes, int, int | None]]:
    """Name, start and end of what each box of the file holds; no end: the file's."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(16)
        if not head:
            return
        size, name = struct.unpack_from(">I4s", head)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            start += 8
        if not size:
            yield name, start, None
            return
        at += size
        if at < start:
            raise ValueError("a box within its own head")
        yield name, start, at


def _meta(file: IO[bytes]) -> bytes:
    """What the first box `meta` of the file holds, behind its version."""
    for name, start, end in _outermost(file):
        if name == b"meta":
            file.seek(start + 4)
            return file.read(_MOST if end is None else min(_MOST, end - start - 4))
    return b""


def _clap(meta: bytes) -> tuple[int, ...] | None:
    """Width, height, horizontal and vertical offset, each a numerator and a denominator."""
    boxes = dict(_boxes(meta))
    main = _main(boxes[b"pitm"]) if b"pitm" in boxes else None
    kinds: list[tuple[bytes, bytes]] = []
    for name, data in _boxes(boxes.get(b"iprp", b"")):
        if name == b"ipco":
            kinds = list(_boxes(data))
        if name == b"ipma":
            for number in _properties(data, main):
                kind, content = kinds[number - 1] if number else (b"", b"")
                if kind == b"clap":
                    return struct.unpack(">IIIIiIiI", content[:32])
    return None


def _main(data: bytes) -> int:
    return int(struct.unpack_from(">I" if data[0] else ">H", data, 4)[0])


def _properties(data: bytes, item: int | None) -> Iterator[int]:
    """Numbers from 1, as the box associates them with the item; 0: none."""
    wide = data[3] & 1
    (count,) = struct.unpack_from(">I", data, 4)
    at = 8
    for _ in range(count):
        (number,) = struct.unpack_from(">I" if data[0] else ">H", data, at)
        at += 4 if data[0] else 2
        many, at = data[at], at + 1
        for _ in range(many):
            (found,) = struct.unpack_from(">H" if wide else ">B", data, at)
            at += 2 if wide else 1
            if number == item:
                yield found & (0x7FFF if wide else 0x7F)
