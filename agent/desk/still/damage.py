"""Damage that a decoder passes over in silence."""

from __future__ import annotations

import zlib
from typing import IO, Any

import av
from av.codec.context import CodecContext
from PIL import Image

_END = b"\xff\xd9"
"""EOI (ITU-T T.81, B.1.1.3)."""
_HUFFMAN = (0xC0, 0xC1, 0xC2)
"""SOF0 to SOF2: baseline, extended and progressive."""
_JPEG_LS = 0xF7
"""SOF55 (ITU-T T.87, C.1)."""
DECODED = (0, *_HUFFMAN, 0xC9, 0xCA)
"""Codings of JPEG that libjpeg knows, arithmetic ones among them; 0: no frame header."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by colour type (PNG 3rd edition, 11.2.1)."""
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
"""Bytes."""
DAMAGED = "it is damaged: part of the picture is missing or wrong"


def missing_end(data: bytes) -> bytes:
    """What a JPEG file lacks at its end, which decoders insist on."""
    return b"" if data.rstrip(b"\0\r\n").endswith(_END) else _END


def jpeg_frame(data: bytes) -> tuple[int, int]:
    """Coding and bits of a JPEG file: the frame header's marker and sample precision (T.81, B.2.2);
    (0, 8) where there is none."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1  # a fill byte
        elif marker == _JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return marker, data[at + 4]
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 8


def jpeg_is_damaged(data: bytes) -> bool:
    """Whether coded data of a JPEG file end early or make no sense.

    libjpeg fills what it cannot decode with grey and goes on; FFmpeg's decoder can be told not to.
    False where that does not know the coding, such as arithmetic.
    """
    if jpeg_frame(data)[0] not in _HUFFMAN:
        return False
    decoder = CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    try:
        decoder.decode(av.Packet(data))
        decoder.decode(None)
    except av.error.InvalidDataError:
        return True
    except (av.error.FFmpegError, ValueError, MemoryError):
        return False
    return False


def check_png(file: IO[bytes]) -> None:
    """Compare the checksums of all chunks; decoders look at some. Raises what Pillow does, and
    `ValueError` where rows are missing, which decoders leave black."""
    file.seek(0)
    picture: Any = Image.open(file, formats=["PNG"])
    picture.verify()
    file.seek(8)
    if _png_lacks_rows(file):
        raise ValueError("rows are missing")


def _png_lacks_rows(file: IO[bytes]) -> bool:
    """Whether the image data are whole, and yet fewer than the header says. `file`: after its
    signature. False where they cannot be decompressed: the decoder says so."""
    missing, packed = 0, zlib.decompressobj()
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size = int.from_bytes(head[:4], "big")
        if head[4:] not in (b"IHDR", b"IDAT"):
            file.seek(size + 4, 1)
            continue
        data = file.read(size)
        file.seek(4, 1)
        if head[4:] == b"IHDR":
            missing = _png_bytes(data)
        while data and missing > 0 and head[4:] == b"IDAT":
            try:
                missing -= len(packed.decompress(data, _PIECE))
            except zlib.error:
                return False
            data = packed.unconsumed_tail
    return missing > 0


def _png_bytes(header: bytes) -> int:
    """How many bytes the image data of a PNG have (8 and 9): rows, each after its filter."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * _CHANNELS[header[9]]
    total = 0
    for left, top, across, down in _PASSES if header[12] else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return total
