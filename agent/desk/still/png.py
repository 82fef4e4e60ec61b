"""What of a PNG file is needed to show it.

Decoders stop at chunks that viewers pass over: a text with a wrong checksum or of megabytes, a time
that is cut short, a profile that is none. Here only those are kept that change the picture, and of
the ancillary ones only whole ones (PNG 3rd edition, 5.4 and 13.1).
"""

from __future__ import annotations

import io
import zlib
from typing import IO, NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by colour type (11.2.1)."""
_PALETTE = 3
"""Colour type."""
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""First column and row, and steps, of Adam7 (8.1)."""
_PIECE = 1 << 20
"""Bytes; also the most that a kept ancillary chunk holds, as Pillow has it."""
_ANCILLARY = 0x20
"""In the first letter of a name: may be passed over (5.4)."""
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_TURNS = (b"Raw profile type exif\0", b"Raw profile type APP1\0", b"XML:com.adobe.xmp\0")
"""Keywords of texts that may say which side is up."""


class _Chunk(NamedTuple):
    name: bytes
    start: int
    end: int


def size(head: bytes) -> tuple[int, int]:
    """Width and height by the first bytes of a file; 0 where its header is not the first."""
    if head[12:16] != b"IHDR":
        return 0, 0
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def needed(file: IO[bytes]) -> IO[bytes]:
    """The file, or a copy in memory without what a viewer passes over.

    Raises `ValueError` where a chunk that is needed is damaged or missing, also where there are
    fewer rows than the header says, which decoders leave black.
    """
    file.seek(0, io.SEEK_END)
    length = file.tell()
    file.seek(len(SIGNATURE))
    rows: _Rows | None = None
    chunks: list[_Chunk] = []
    dropped: set[bytes] = set()
    end = False
    while not end:
        start = file.tell()
        head = file.read(8)
        many, name = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or start + 8 + many > length:
            raise ValueError("cut short")
        end = name == b"IEND"
        if name == b"IDAT":
            if rows is None:
                raise ValueError("no header")
            data, whole = b"", rows.add(file, many)
        else:
            data = file.read(many)
            whole = zlib.crc32(name + data) == int.from_bytes(file.read(4), "big")
        if name == b"IHDR" and rows is None:
            rows = _Rows(data)
        if name[0] & _ANCILLARY:
            if not whole or not _is_shown(name, data, rows):
                dropped.add(name)
                continue
        elif not whole and not end:
            raise ValueError("checksum")
        chunks.append(_Chunk(name, start, file.tell()))
    names = {each.name for each in chunks}
    if rows is None or rows.missing > 0 or (rows.kind == _PALETTE and b"PLTE" not in names):
        raise ValueError("something is missing")
    return _copied(file, chunks, dropped, names)


def _copied(
    file: IO[bytes], chunks: list[_Chunk], dropped: set[bytes], names: set[bytes]
) -> IO[bytes]:
    """An animation is whole or none."""
    if b"acTL" in names and (dropped & set(_ANIMATION) or b"fcTL" not in names):
        dropped |= set(_ANIMATION)
        chunks = [each for each in chunks if each.name not in _ANIMATION]
    if not dropped:
        return file
    copy = io.BytesIO(SIGNATURE)
    copy.seek(0, io.SEEK_END)
    for each in chunks:
        file.seek(each.start)
        copy.write(file.read(each.end - each.start))
    return copy


def _is_shown(name: bytes, data: bytes, rows: _Rows | None) -> bool:
    """Whether an ancillary chunk changes the picture, and can be read."""
    kind = -1 if rows is None else rows.kind
    if name == b"tRNS":
        return len(data) == {0: 2, 2: 6}.get(kind, -1) or (kind == _PALETTE and 0 < len(data) < 257)
    if name in (b"gAMA", b"sRGB", b"acTL"):
        return len(data) == {b"gAMA": 4, b"sRGB": 1, b"acTL": 8}[name]
    if name in (b"iCCP", b"zTXt"):
        word, _, packed = data.partition(b"\0")
        fits = name == b"iCCP" or word + b"\0" in _TURNS
        return fits and packed[:1] == b"\0" and _is_small(packed[1:])
    if name in (b"tEXt", b"iTXt"):
        return data.startswith(_TURNS) and len(data) < _PIECE
    return name in (b"eXIf", *_ANIMATION)


def _is_small(packed: bytes) -> bool:
    """Whether it can be unpacked into what may be kept."""
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed, _PIECE)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail


class _Rows:
    """Counts the bytes of the image data."""

    def __init__(self, header: bytes) -> None:
        """`header`: the data of IHDR. Raises `ValueError`."""
        if len(header) < 13 or header[9] not in _CHANNELS:
            raise ValueError("header")
        self.kind = header[9]
        """Colour type."""
        self.missing = _image_bytes(header)
        self._unpacking = zlib.decompressobj()

    def add(self, file: IO[bytes], many: int) -> bool:
        """Read one chunk of image data and its checksum, and compare that. What cannot be unpacked
        counts as there: the decoder says so."""
        found = zlib.crc32(b"IDAT")
        while many > 0:
            data = file.read(min(many, _PIECE))
            if not data:
                return False
            found = zlib.crc32(data, found)
            many -= len(data)
            while data and self.missing > 0:
                try:
                    self.missing -= len(self._unpacking.decompress(data, _PIECE))
                except zlib.error:
                    self.missing = 0
                data = self._unpacking.unconsumed_tail
        return found == int.from_bytes(file.read(4), "big")


def _image_bytes(header: bytes) -> int:
    """How many bytes the image data of a PNG have (8 and 9): rows, each after its filter."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * _CHANNELS[header[9]]
    total = 0
    for left, top, across, down in _PASSES if header[12] else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return total
