"""Damage that a decoder passes over in silence."""

from __future__ import annotations

import re
from typing import NamedTuple

import av
from av.codec.context import CodecContext

_END = b"\xff\xd9"
"""EOI (ITU-T T.81, B.1.1.3)."""
_HUFFMAN = (0xC0, 0xC1, 0xC2)
"""SOF0 to SOF2: baseline, extended and progressive."""
_JPEG_LS = 0xF7
"""SOF55 (ITU-T T.87, C.1)."""
_MARKER = re.compile(rb"\xff+([\x02-\xcf\xd9-\xfe])")
"""One that ends coded data, or has a length behind it (T.81, B.1.1)."""
_SCAN, _EOI = 0xDA, 0xD9
DECODED = (0, *_HUFFMAN, 0xC9, 0xCA)
"""Codings of JPEG that libjpeg knows, arithmetic ones among them; 0: no frame header."""
DAMAGED = "it is damaged: part of the picture is missing or wrong"
NO_END = "its end mark is missing: the lower right corner may be wrong"
COARSE = "it is cut short: what makes the picture sharp is missing"


def missing_end(data: bytes) -> bytes:
    """What a JPEG file lacks at its end, which decoders insist on."""
    return b"" if data.rstrip(b"\0\r\n").endswith(_END) else _END


class Frame(NamedTuple):
    """A JPEG file's frame header (T.81, B.2.2)."""

    coding: int
    """Its marker; 0: there is none."""
    bits: int = 8
    height: int = 1
    """0: stated after the picture (DNL)."""
    colours: int = 3


def jpeg_frame(data: bytes) -> Frame:
    """The first one."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1  # a fill byte
        elif marker == _JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            return Frame(marker, data[at + 4], height, data[at + 9])
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return Frame(0)


def of_missing_end(data: bytes) -> list[str]:
    """What to say of a JPEG file without an end mark. Where it was cut between scans, so that some
    coefficients, or their last bits, are in none, decoders show a whole picture, and a coarse one.
    """
    left: dict[int, set[int]] = {}
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        start, kind = found.end(), found[1][0]
        if kind == _EOI:
            return []
        at = start + int.from_bytes(data[start : start + 2], "big")
        content = data[start + 2 : at]
        if kind in DECODED and not left:
            left = {each: set(range(64)) for each in content[6::3]}
        if kind == _SCAN and len(content) >= 6:
            first, last, bits = content[-3:]
            for each in content[1:-3:2] if not bits & 15 else ():
                left.get(each, set()).difference_update(range(first, last + 1))
    return [COARSE if any(left.values()) else NO_END]


def jpeg_is_damaged(data: bytes) -> bool:
    """Whether coded data of a JPEG file end early or make no sense.

    libjpeg fills what it cannot decode with grey and goes on; FFmpeg's decoder can be told not to.
    False where that does not know the coding, such as arithmetic.
    """
    if jpeg_frame(data).coding not in _HUFFMAN:
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
