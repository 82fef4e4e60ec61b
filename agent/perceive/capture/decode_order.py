"""Times of pictures where a file states none but the order of decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import chain, islice, pairwise
from typing import Any

_PICTURE = b"\0\0\x01\xb6"
"""Start code of a picture in MPEG-4 (ISO/IEC 14496-2, 6.2.1)."""
_HELD = 4
"""Frames that are looked at before the first one is given on."""


class DecodeOrder:
    """Sets the times of decoded frames with B-frames in an AVI, and of packed bitstreams.

    AVI numbers its packets as they are decoded. FFmpeg does not know of H.264 and H.265 in which
    order their pictures are shown, and guesses wrongly for MPEG-4 that repeats pictures. But
    decoders give pictures in that order, one for each packet, so the packet that is read when one
    comes out tells its time: the first comes out some packets late, and all others as many. So it
    is in other containers with a packed bitstream, as DivX and Xvid made it for AVI: two pictures
    in a packet, and later one without any.
    """

    def __init__(self, stream: Any, packets: Sequence[Any]) -> None:
        """`packets`: the stream's first ones."""
        codec, avi = stream.codec_context, stream.container.format.name == "avi"
        packed = codec.name == "mpeg4" and any(bytes(each).count(_PICTURE) > 1 for each in packets)
        self._active = packed or (avi and codec.codec.delay)
        self._key: int | None = None if avi else stream.start_time
        """When the first picture is shown."""
        self._late: int | None = None
        self._last, self._step = 0, 1

    def read(self, packet: Any) -> None:
        """Before a packet is decoded."""
        if self._key is None and packet.is_keyframe:
            self._key = packet.dts

    def failed(self) -> None:
        """The packet could not be decoded."""
        if self._late is None:
            self._key = None

    @property
    def late(self) -> int:
        """Ticks of the stream by which its last packet's number is above its picture's time."""
        return (self._late or 0) if self._active else 0

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


class SortedTimes:
    """Times of frames where packets state theirs in the order of decoding, as after H.264 was
    copied from AVI to MP4, or in ASF: each picture gets the smallest time that is left.

    Whether that is so the first frames tell: as stated, their times would not rise.
    """

    def __init__(self, stream: Any, packets: Sequence[Any]) -> None:
        """`packets`: the stream's first ones."""
        codec = stream.codec_context
        stamps = [each.pts for each in packets]
        rising = None not in stamps and all(one < other for one, other in pairwise(stamps))
        avi = stream.container.format.name == "avi"
        self._doubtful = rising and not avi and codec.codec.delay and codec.has_b_frames
        self._left: list[int] = []
        """A heap."""

    def read(self, packet: Any) -> None:
        """Before a packet is decoded."""
        if self._doubtful and packet.pts is not None:
            heappush(self._left, packet.pts)

    def lost(self) -> None:
        """A picture is not given on."""
        if self._left:
            heappop(self._left)

    def __call__(self, frames: Iterator[Any]) -> Iterator[Any]:
        """The same frames, with their times."""
        if not self._doubtful:
            yield from frames
            return
        first = list(islice(frames, _HELD))
        stated = [each.pts for each in first if each.pts is not None]
        if all(one < other for one, other in pairwise(stated)):
            self._doubtful, self._left = False, []
            yield from chain(first, frames)
            return
        for frame in first:
            yield self._timed(frame)
        usual = len(self._left) + 1
        for frame in frames:
            while len(self._left) > usual:  # the decoder kept a picture to itself
                heappop(self._left)
            yield self._timed(frame)

    def _timed(self, frame: Any) -> Any:
        frame.pts = heappop(self._left) if self._left else None
        return frame
