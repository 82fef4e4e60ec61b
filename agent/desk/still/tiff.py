"""The first directory of a TIFF file. Pillow refuses some deep pictures whole, and is asked for the
tags only."""

from __future__ import annotations

import contextlib
import ctypes
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import _imaging
from PIL.TiffImagePlugin import ImageFileDirectory_v2

MAGIC = (b"II*\0", b"MM\0*", b"II+\0")
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC = 256, 257, 258, 262
_COMPRESSION, _SAMPLES, _PLANAR = 259, 277, 284
_EXTRA = 338
_SUBFILE, _SUB_IFDS, _SAMPLE_FORMAT, _DNG_VERSION = 254, 330, 339, 50706
_NO_DATA = 42113
"""Tags of TIFF 6.0, TIFF/EP (ISO 12234-2) and DNG 1.7; GDAL's."""
_RAW = (32803, 34892)
"""Photometric interpretations: colour filter array, linear raw."""
_MAX_PAGES = 10_000


class Directory(NamedTuple):
    """What must be known before anything is decoded."""

    size: tuple[int, int]
    """Width, height as stored."""
    pages: int
    deep: bool
    """More than eight bits a colour, or real numbers."""
    photometric: int
    compression: int
    raw: bool
    """A camera's raw file, whose first picture may be a thumbnail."""
    planar: bool
    """Several samples a pixel, each in a plane of its own."""
    alpha: bool
    """What follows the colours, if anything, says how opaque a pixel is."""
    sort: str
    """What a decoder must know, in words."""
    no_data: float | None
    """What stands for no value, in maps."""


def silence_libtiff() -> None:
    """Its lines on standard error say nothing that a sentence of ours does not. Found through
    Pillow, which brings the library or uses the system's."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for each in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            each.argtypes, each.restype = [ctypes.c_void_p], ctypes.c_void_p
            each(None)


def first_directory(file: IO[bytes]) -> Directory:
    """Raises what Pillow does where the file is damaged."""
    file.seek(0)
    head = file.read(8)
    if head[2] == 43:  # BigTIFF
        head += file.read(8)
    tags: Any = ImageFileDirectory_v2(head)
    following, pages = int(tags.next), 0
    first: dict[int, Any] = {}
    seen: set[int] = set()
    while following and following not in seen and pages < _MAX_PAGES:
        seen.add(following)
        file.seek(following)
        directory: Any = ImageFileDirectory_v2(head)
        directory.load(file)
        if not first:
            first = dict(directory)
        following, pages = int(directory.next), pages + 1
    bits, form = first.get(_BITS, (1,)), first.get(_SAMPLE_FORMAT, (1,))
    photometric = int(first.get(_PHOTOMETRIC, 1))
    return Directory(
        (int(first[_WIDTH]), int(first[_HEIGHT])),
        pages,
        bool(np.max(bits) > 8 or np.max(form) > 1),
        photometric,
        int(first.get(_COMPRESSION, 1)),
        _DNG_VERSION in first
        or photometric in _RAW
        or (_SUB_IFDS in first and bool(int(first.get(_SUBFILE, 0)) & 1)),
        int(first.get(_PLANAR, 1)) == 2 and int(first.get(_SAMPLES, 1)) > 1,
        bool(set(np.atleast_1d(first.get(_EXTRA, 1)).tolist()) & {1, 2}),
        f"compression {first.get(_COMPRESSION, 1)}, photometric interpretation {photometric}, "
        f"{' + '.join(str(each) for each in np.atleast_1d(bits)[:8])} bits",
        _number(first.get(_NO_DATA)),
    )


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError, OverflowError):
        return None
