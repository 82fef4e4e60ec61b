"""The pictures of a video file, one after the other, with the times that it states."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from agent.base.errors import CaptureError, reason
from agent.perceive.capture.decode_order import DecodeOrder, SortedTimes
from agent.perceive.capture.fields import Deinterlacer
from agent.perceive.capture.geometry import DisplayMatrix, PixelShape
from agent.perceive.capture.joined import another_follows
from agent.perceive.capture.luma import MAX_PIXELS, Converter, Grey, square_pixels, upright
from agent.perceive.capture.media import (
    ENCRYPTED,
    open_media,
    packets,
    printable,
    single_image,
)
from agent.perceive.capture.streams import (
    ONE_PICTURE,
    best_video,
    only_sound,
    stream_start,
)

_DEFAULT_FPS = 25.0
"""Frames per second of a file that states none: FFmpeg's default for raw streams."""
_MIN_FPS, _MAX_FPS = 1e-5, 2000.0
_PEEKED, _PEEKED_BYTES = 48, 16_000_000
"""Packets, and their bytes, whose times are read before the first one is decoded."""
_CLOSE = 0.05
"""A stated rate this near to the measured one is the true one: containers round times."""
_TWINS = 1 / 3
"""Fraction of packets with the timestamp of the one before, from which on that is a habit."""
_TIMED = 0.75
"""Share of packets with a timestamp, below which these say nothing of the rate: program streams
have one for each of their own packets, of which one may hold many pictures."""
_GAP = 4.0
"""Times the usual step: what is longer says nothing of the rate."""
_TRUNCATED = 0.02
"""Fraction of a file's stated length that may be missing: containers estimate it."""
_MAX_ERRORS = 1000
"""Failures of the demuxer in a row after which the rest of a file is given up."""
_BARE = ("gif", "mjpeg")
"""Containers without a header of their own, of one picture as well as of many."""
_RECOVERS = ("h264", "hevc", "mpeg1video", "mpeg2video", "vvc")
"""Decoders that show nothing until a picture needs none from before; others fill it with grey."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One picture as a viewer shows it."""

    luma: Grey
    stated: float | None
    """Seconds after the start of the stream; None: the file does not say."""


class Pictures:
    """An iterator over the best video stream of a file, in the order of presentation.

    Damaged pictures, and those that need one from before the file's beginning, are left out and
    counted.
    """

    def __init__(self, path: Path, *, edits: bool = True) -> None:
        """`edits`: whether an MP4's edit lists hold. Raises `CaptureError` where there is no video
        that can be decoded."""
        self.path = path
        self.damaged = 0
        """Pictures left out so far."""
        self._shown = self._pictures()
        self._container, self._file = open_media(path, "video", "H.264 in MKV", edits=edits)
        try:
            self._stream = best_video(self._container, path)
        except CaptureError:
            self.close()
            raise
        self._codec = self._stream.codec_context
        # a second thread costs more CPU than it saves, and frame threads delay pictures
        self._codec.thread_count = 1
        self._codec.thread_type = "NONE"
        # sizes that change later are held to it, too
        self._codec.options = {"max_pixels": str(MAX_PIXELS)}
        self.origin = stream_start(self._stream)
        """Seconds, on the file's own clock; None: unknown until the first picture."""
        self._read = [self._stream]
        if not self._stream.duration:  # only the whole file's length is stated
            self._read += self._container.streams.audio
        self._tick = float(self._stream.time_base or 0)
        self._shape = PixelShape(self._stream)
        self._aspect = 1.0
        self._matrix = DisplayMatrix(self._codec.name)
        self._fields = Deinterlacer(self._codec.name)
        self._convert = Converter()
        self._ends: dict[int, float] = {}
        """Seconds, on the file's clock, up to which streams were read: this one's whole pictures,
        others' packets."""
        self._position = 0
        """Byte up to which the file was shown."""
        self._waiting = self._peeked()
        self._order = DecodeOrder(self._stream, self._waiting)
        self._sorted = SortedTimes(self._stream, self._waiting)
        refused = self._refused()
        if refused:
            self.close()
            raise CaptureError(refused)
        self.fps = self._rate()
        """Pictures per second: as stated, where that agrees with the first timestamps."""
        self._early: list[int] = []
        self._begun = self._keyed = self.edited_away = False
        """`edited_away`: whether an edit list cut pictures off."""

    def __iter__(self) -> Iterator[Shown]:
        return self

    def __next__(self) -> Shown:
        return next(self._shown)

    @property
    def doubles(self) -> int:
        """Pictures per frame of the file: 2 where interlaced ones were met."""
        return self._fields.doubles

    @property
    def seconds(self) -> float | None:
        """Length of the stream as the file states it."""
        if self._stream.duration and self._stream.duration > 0:
            stated = float(self._stream.duration) * self._tick
            if self._container.format.name == "avi":  # FFmpeg shortens it to what is there
                stated = max(stated, self._stream.frames * self._tick)
            return stated
        whole = self._container.duration
        return whole / 1e6 if whole and whole > 0 else None

    @property
    def cut_short(self) -> bool:
        """At the end: whether the file ended clearly before its stated length, or goes on with
        another film."""
        return self._ended_early() or self._goes_on()

    def _ended_early(self) -> bool:
        # a container's length is that of its longest stream
        only = self._stream.index if self._stream.duration else None
        ends = [end for index, end in self._ends.items() if only in (None, index)]
        if not ends or not self.seconds:
            return False
        # the length counts from the first timestamp or from zero
        missing = self.seconds - max(ends) + min(0.0, self.origin or 0.0)
        missing -= self._order.late * self._tick
        pictures = 2.5 if only is None else 1.5
        return missing > max(pictures / self.fps, _TRUNCATED * self.seconds)

    def _goes_on(self) -> bool:
        try:
            return another_follows(self._file, self._container.format.name, self._position)
        except OSError:
            return False

    def why_empty(self) -> str:
        """Why there was no picture."""
        shown = printable(self.path)
        return (
            f"{shown} holds no video frame that can be decoded ({self._codec.name}). It may be "
            "damaged, protected, or cut off before its first key frame: play it, or convert it to "
            "H.264 in MP4 or MKV."
        )

    def close(self) -> None:
        """Close the file. Idempotent; not while a picture is being read."""
        self._shown.close()  # lets go of decoder and frames, which would wait for each other
        self._container.close()
        self._file.close()

    def _pictures(self) -> Generator[Shown, None, None]:
        for frame in self._sorted(self._frames()):
            aspect = self._shape.of_next()
            if aspect != self._aspect:  # frames that still wait have the old one
                yield from self._show(self._fields.finish())
                self._aspect = aspect
            yield from self._show(self._fields(frame))
        yield from self._show(self._fields.finish())

    def _show(self, pictures: Iterator[tuple[Any, bool]]) -> Iterator[Shown]:
        for frame, limited in pictures:
            try:
                grey = self._convert(frame, limited)
            except ValueError as error:
                raise CaptureError(
                    f"{printable(self.path)} has pixels of a kind that cannot be shown ({error}). "
                    "Convert it to H.264 in MKV."
                ) from None
            grey = upright(square_pixels(grey, self._aspect), self._matrix(frame))
            if frame.pts is None:
                yield Shown(grey, None)
                continue
            stated = float(frame.pts * frame.time_base)
            lasts = float((frame.duration or 0) * frame.time_base)
            self._note_end(self._stream.index, stated + max(lasts, 1.0 / self.fps))
            self.origin = stated if self.origin is None else self.origin
            yield Shown(grey, stated - self.origin)

    def _frames(self) -> Iterator[Any]:
        """Decoded frames that are whole."""
        from av.error import FFmpegError

        for packet in self._packets():
            if self._unusable(packet):
                self.damaged += 1
                continue
            if not self._begun and packet.pts is not None and not packet.is_discard:
                self._early.append(packet.pts)
            self.edited_away |= packet.is_discard
            self._order.read(packet)
            self._sorted.read(packet)
            try:
                frames = packet.decode()
                self._shape.fed(packet.size > 0)
            except FFmpegError:
                self._order.failed()
                self._sorted.lost()
                self.damaged += packet.size > 0 and not packet.is_discard and self._begun
                continue
            for frame in frames:
                self._order.set_time(frame)
                if frame.is_corrupt or frame.width * frame.height > MAX_PIXELS:
                    self._shape.of_next()
                    self._sorted.lost()
                    self.damaged += 1
                    continue
                if not self._begun and frame.pts is not None:
                    self.damaged += sum(stamp < frame.pts for stamp in self._early)
                self._begun = True
                self._early.clear()
                yield frame

    def _unusable(self, packet: Any) -> bool:
        """Whether its picture would need one from before the beginning."""
        if self._keyed or not packet.size or self._codec.name in _RECOVERS:
            return False
        self._keyed = bool(packet.is_keyframe)
        return not self._keyed

    def _packets(self) -> Iterator[Any]:
        """What was peeked at, the rest, and the empty packet that empties the decoder."""
        from av.packet import Packet

        while self._waiting:
            yield self._waiting.popleft()
        yield from self._demuxed()
        last = Packet()
        last.stream, last.time_base = self._stream, self._stream.time_base
        yield last

    def _demuxed(self) -> Iterator[Any]:
        from av.error import EOFError as Ended
        from av.error import FFmpegError

        errors = 0
        while errors < _MAX_ERRORS:
            try:
                for packet in packets(self._container, *self._read):
                    if not packet.size:
                        # PyAV's own, last; or that of a picture that stays (Theora), which would
                        # end the decoder
                        continue
                    errors = 0
                    if not packet.is_discard:
                        end = (packet.pos or 0) + packet.size
                        self._position = max(self._position, end)
                    if packet.stream_index == self._stream.index:
                        yield packet
                    elif packet.pts is not None:
                        self._note_end(packet.stream_index, packet.pts * packet.time_base)
                return
            except Ended:
                return
            except FFmpegError:
                errors += 1
            except OSError as error:
                raise CaptureError(
                    f"{printable(self.path)} cannot be read further: {reason(error)}. Check the "
                    "disk."
                ) from None

    def _note_end(self, index: int, end: Any) -> None:
        self._ends[index] = max(float(end), self._ends.get(index, float(end)))

    def _peeked(self) -> deque[Any]:
        """The first packets, read before the first one is decoded."""
        found: deque[Any] = deque()
        size = 0
        for packet in self._demuxed():
            found.append(packet)
            size += packet.size
            if len(found) >= _PEEKED or size >= _PEEKED_BYTES:
                break
        return found

    def _refused(self) -> str | None:
        """Why what was peeked at is no film; None where it may be one."""
        shown = printable(self.path)
        if any(each.has_sidedata("encryption_info") for each in self._waiting):
            return ENCRYPTED.format(shown)
        if len(self._waiting) != 1 or self._codec.name not in ONE_PICTURE:
            return None
        if len(self._container.streams.audio):
            return only_sound(shown, cover=True)
        return single_image(shown, "video") if self._container.format.name in _BARE else None

    def _rate(self) -> float:
        """Pictures per second."""
        stated = next(
            (
                float(each)
                for each in (self._stream.average_rate, self._stream.guessed_rate)
                if each and _MIN_FPS <= float(each) <= _MAX_FPS
            ),
            None,
        )
        own = getattr(self._codec, "framerate", None)
        if own and all(each.pts is each.dts is None for each in self._waiting):
            stated = float(own)  # bare streams have no other; FFmpeg says 25
        given = [each.pts for each in self._waiting if each.pts is not None]
        stamps = sorted(set(given))
        if len(stamps) < 2 or (stated and len(given) < _TIMED * len(self._waiting)):
            return stated or _DEFAULT_FPS
        steps = np.diff(stamps) * self._tick
        twins = sum(one == other for one, other in pairwise(given))
        if twins >= _TWINS * len(given):
            steps = steps * len(stamps) / len(given)
        step = median(steps)
        usual, mean = 1.0 / step, 1.0 / float(steps[steps <= _GAP * step].mean())
        near = [each for each in (usual, mean) if stated and abs(stated / each - 1.0) <= _CLOSE]
        fps = stated if stated and near else usual
        return min(max(fps, _MIN_FPS), _MAX_FPS)
