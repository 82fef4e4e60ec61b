"""Pictures in memory that the process of a camera and the one that perceives share.

One memfd (memfd_create(2)): a page of control words, then `SLOTS` slots of a header and the luma.
The kernel holds its size (seals), so that no reader can be struck by a file cut short. Only pages
that were written take memory. What is read is a stranger's: a header counts only with its
checksum, bounds and a number newer than the last one, and a picture only where its own checksum
fits and its header is the same before and after copying.

    control, uint64:  limit (thousandths of frames a second, 0: none; the reader's)
                      phase, damaged frames, length of the text (the writer's); text at 256
    header, 64 bytes: number, time, height, width, marks, checksum of the picture, of the header

Source: the seqlock of the Linux kernel (Documentation/locking/seqlock.rst).
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLOTS = 3
MIN_SIDE, MAX_PIXELS = 16, 4096 * 4096
MAX_TEXT = 600
"""Bytes of a message."""
STARTING, OPENING, OPEN, FAILED = range(4)
"""Phases: importing libraries, opening the camera, reading it, given up with a message."""
GREEN = 1
"""Mark: the picture is uniform, and its colour samples are zero."""

_LIMIT, _PHASE, _DAMAGED, _LENGTH = range(4)
_TEXT = 256
_PAGE = 4096
_STRIDE = _PAGE + MAX_PIXELS
_SIZE = _PAGE + SLOTS * _STRIDE
_HEADER = struct.Struct("=QdIIIQ")
_CHECK = struct.Struct("=I")
_HEADER_SIZE = 64


def create() -> int:
    """Descriptor of new, empty memory whose size is fixed. Raises `OSError`."""
    number = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(number, _SIZE)
        fcntl.fcntl(
            number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        )
    except OSError:
        os.close(number)
        raise
    return number


@dataclass(slots=True)
class Picture:
    """One picture of the ring."""

    number: int
    """From 1 on, for each process that reads a camera."""
    time: float
    """Seconds as the camera says."""
    luma: NDArray[np.uint8]
    """uint8[H, W], a copy."""
    marks: int
    checksum: int


class _Shared:
    def __init__(self, number: int) -> None:
        self._map = mmap.mmap(number, _SIZE)
        self._view = memoryview(self._map)
        self._words = self._view[:_PAGE].cast("Q")


class Writer(_Shared):
    """The camera's end."""

    def __init__(self, number: int) -> None:
        """`number`: descriptor, as `create` made it."""
        super().__init__(number)
        self._number = 0

    @property
    def limit(self) -> float:
        """Frames a second to give at most; 0: all."""
        return self._words[_LIMIT] / 1000.0

    def say(self, phase: int, text: str) -> None:
        """Enter a phase. `text`: the camera's name once it is open, why there will be no more
        frames where it failed."""
        data = text.encode("utf-8", "replace")[:MAX_TEXT]
        self._view[_TEXT : _TEXT + len(data)] = data
        self._words[_LENGTH] = len(data)
        self._words[_PHASE] = phase

    def put(self, time: float, luma: NDArray[np.uint8], marks: int, damaged: int) -> None:
        """Overwrite the oldest picture. Raises `ValueError` for one that has no place."""
        import numpy as np

        height, width = luma.shape
        if min(height, width) < MIN_SIDE or luma.size > MAX_PIXELS:
            raise ValueError(f"{width}x{height}")
        self._number += 1
        at = _PAGE + self._number % SLOTS * _STRIDE
        self._view[at : at + _HEADER_SIZE] = bytes(_HEADER_SIZE)
        place = np.frombuffer(self._view, np.uint8, luma.size, at + _PAGE)
        place.reshape(height, width)[...] = luma
        header = _HEADER.pack(self._number, time, height, width, marks, _checksum(place))
        checked = header + _CHECK.pack(zlib.crc32(header))
        self._view[at : at + len(checked)] = checked
        self._words[_DAMAGED] = damaged


class Reader(_Shared):
    """The end that perceives."""

    def limit(self, fps: float | None) -> None:
        """Frames a second that the camera's process gives at most; None: all."""
        self._words[_LIMIT] = 0 if fps is None else max(1, round(fps * 1000))

    def clear(self) -> None:
        """Forget all pictures. Only while nobody writes."""
        for word in (_PHASE, _DAMAGED, _LENGTH):
            self._words[word] = 0
        for slot in range(SLOTS):
            at = _PAGE + slot * _STRIDE
            self._view[at : at + _HEADER_SIZE] = bytes(_HEADER_SIZE)

    @property
    def phase(self) -> int:
        return min(self._words[_PHASE], FAILED)

    @property
    def damaged(self) -> int:
        """Frames that came damaged and were left out."""
        return self._words[_DAMAGED]

    @property
    def text(self) -> str:
        """The camera's name, or why there are no more frames: one line of printable characters."""
        length = min(self._words[_LENGTH], MAX_TEXT)
        given = bytes(self._view[_TEXT : _TEXT + length]).decode("utf-8", "replace")
        return "".join(each if each.isprintable() else " " for each in given)

    def newest(self, after: int) -> Picture | None:
        """A copy of the newest whole picture with a number above `after`; None: there is none."""
        found = []
        for slot in range(SLOTS):
            at = _PAGE + slot * _STRIDE
            number, *_ = _HEADER.unpack_from(self._view, at)
            if number > after:
                found.append((number, at))
        for _, at in sorted(found, reverse=True):
            picture = self._copy(at)
            if picture is not None:
                return picture
        return None

    def _copy(self, at: int) -> Picture | None:
        import numpy as np

        header = bytes(self._view[at : at + _HEADER.size])
        if _CHECK.unpack_from(self._view, at + _HEADER.size)[0] != zlib.crc32(header):
            return None
        number, time, height, width, marks, checksum = _HEADER.unpack(header)
        pixels = height * width
        if min(height, width) < MIN_SIDE or pixels > MAX_PIXELS or not math.isfinite(time):
            return None
        luma = np.frombuffer(self._view, np.uint8, pixels, at + _PAGE).copy()
        if bytes(self._view[at : at + _HEADER.size]) != header or _checksum(luma) != checksum:
            return None
        return Picture(number, time, luma.reshape(height, width), marks, checksum)


def _checksum(pixels: NDArray[np.uint8]) -> int:
    """Sum modulo 2^64 of words of eight bytes, and of the bytes that are left over."""
    import numpy as np

    words = pixels.size // 8 * 8
    total = int(pixels[:words].view(np.uint64).sum(dtype=np.uint64))
    return (total + int(pixels[words:].sum(dtype=np.uint64))) % 2**64
