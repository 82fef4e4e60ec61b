"""Times of pictures in containers that state none but the order of decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class DecodeOrder:
    """Sets the times of decoded frames where an AVI holds video with B-frames.

    AVI numbers its packets as they are decoded, and FFmpeg knows of some codecs only, not of H.264
    or H.265, in which order their pictures are shown. But decoders give pictures in that order, one
    for each packet, so the packet that is read when one comes out tells its time: the first comes
    out some packets late, and all others as many.
    """

    def __init__(self, container: Any, packets: Sequence[Any]) -> None:
        """`packets`: the first ones of the stream."""
        ahead = {each.pts - each.dts for each in packets if None not in (each.pts, each.dts)}
        self._active = container.format.name == "avi" and len(ahead) == 1
        self._key: int | None = None
        self._late: int | None = None
        self._last, self._step = 0, 1

    def read(self, packet: Any) -> None:
        """Before a packet is decoded."""
        if self._key is None and packet.is_keyframe:
            self._key = packet.dts

    def set_time(self, frame: Any) -> None:
        """After it: `frame` has come out."""
        if not self._active:
            return
        if self._late is None and None not in (frame.dts, self._key):
            self._late = frame.dts - self._key
        if self._late is None:
            frame.pts = None
            return
        # those that come out after the last packet go on as the others did
        time = self._last + self._step if frame.dts is None else frame.dts - self._late
        self._step = max(time - self._last, 1)
        frame.pts = self._last = time
