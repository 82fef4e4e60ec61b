"""How a decoder says that its pictures lie: the shape of their pixels, and how they are turned."""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import Any

import numpy as np

_STATE_ONCE = ("h264", "hevc")
"""Decoders that give a display matrix with key frames, for those that follow, too."""


class PixelShape:
    """The pixel aspect ratio of each frame of the decoder.

    The container's, which players prefer, until the pictures change theirs. The decoder tells when
    it reads a change, which is some frames before it gives the first one that has it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._waiting = 0
        """Frames in the decoder."""
        self._changes: deque[tuple[int, Any]] = deque()
        """How many frames come before it, and the new ratio."""
        self._newest: Any = None
        self._first: Any = None
        self._own: Any = None

    def fed(self, holds_frame: bool) -> None:
        """After a packet was decoded, before its frames are taken."""
        own = self._stream.codec_context.sample_aspect_ratio or 0
        if own != self._newest:
            self._newest = own
            self._changes.append((self._waiting, own))
        self._waiting += holds_frame

    def of_next(self) -> float:
        """Of the next frame in turn: width of a pixel over its height."""
        while self._changes and self._changes[0][0] <= 0:
            self._own = self._changes.popleft()[1]
        self._changes = deque((count - 1, own) for count, own in self._changes)
        self._waiting = max(0, self._waiting - 1)
        self._first = self._own if self._first is None else self._first
        stated = self._stream.sample_aspect_ratio
        found = self._own if self._own and self._own != self._first else stated or self._own
        return float(found) if found else 1.0


class DisplayMatrix:
    """The display matrix of each frame of the decoder: nine numbers, or None.

    It is read anew only where the rotation changes: reading it ties a frame and its side data to
    one another, and so to Python's garbage collector.
    """

    def __init__(self, codec: str) -> None:
        """`codec`: FFmpeg's name of the decoder."""
        self._states_once = codec in _STATE_ONCE
        self._last: tuple[int, tuple[int, ...] | None] | None = None
        """Rotation, and what belongs to it."""

    def __call__(self, frame: Any) -> tuple[int, ...] | None:
        held = self._states_once and not frame.key_frame
        if self._last is None or (frame.rotation != self._last[0] and not held):
            self._last = frame.rotation, _matrix(frame)
        return self._last[1]


def _matrix(frame: Any) -> tuple[int, ...] | None:
    _name_all_side_data()
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return None
    return tuple(int(each) for each in np.frombuffer(found, np.int32, 9))


@cache
def _name_all_side_data() -> None:
    """PyAV cannot list the side data of a frame that has some of a kind that it has no name for:
    EXIF in Motion JPEG and PNG, the views of spatial video. So unknown kinds get one."""
    from av.sidedata.sidedata import Type

    kinds: Any = Type

    def unnamed(kind: Any, value: int) -> Any:
        member: Any = object.__new__(kind)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member

    kinds._missing_ = classmethod(unnamed)
