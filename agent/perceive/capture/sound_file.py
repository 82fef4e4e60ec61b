"""The sound of a video or sound file, on the clock of its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.errors import CaptureError
from agent.base.types import SOUND_RATE, Float, Sound
from agent.perceive.capture.media import MediaBytes, open_media, packets, printable
from agent.perceive.capture.mono import Resampler
from agent.perceive.capture.streams import best_video, stream_start

BLOCK = SOUND_RATE // 10
"""Samples of every stretch but the last."""
_GAP = 0.1
"""Seconds between a timestamp and the samples so far from which the sound continues there."""
_MOST_CHANNELS = 64
"""That FFmpeg converts."""
_MAX_STEP = 24 * 3600.0
"""Seconds; a timestamp that jumps further ahead is wrong."""


class SoundFile:
    """The first sound track that can be decoded, from beginning to end in constant memory.

    Time 0 is that of the video's first timestamp, where there is a video, else of the sound's own.
    Damaged packets are left out and counted; where sound is missing the next stretch begins later.
    """

    def __init__(self, path: Path, loop: bool = False) -> None:
        """`loop`: begin again at the end. Raises `CaptureError` where the file cannot be opened or
        holds no sound."""
        self.name = printable(Path(path.name))
        self.damaged = 0
        """Packets that could not be decoded."""
        self.lost = 0.0
        """Seconds: a file loses nothing."""
        self.ended = False
        self._path, self._loop = path, loop
        self._container, self._stream, self._file = _open(path)
        try:
            video = best_video(self._container, path)
        except CaptureError:
            video = None
        begins = None if video is None else stream_start(video)
        self._origin = (stream_start(self._stream) or 0.0) if begins is None else begins
        self.seconds = self._length(self._stream)
        """Length as the file states it; None: unknown."""
        self._round = self._length(video) if video is not None else self.seconds
        self._shift = 0.0
        self._blocks = self._cut()
        self._next: Sound | None = None

    def until(self, time: float) -> Iterator[Sound]:
        """The stretches not given yet that end by `time`, seconds."""
        while not self.ended:
            if self._next is None:
                self._next = next(self._blocks, None)
                if self._next is None:
                    self._again()
                    continue
            if self._next.end > time:
                return
            found, self._next = self._next, None
            yield found

    def forget(self) -> None:
        """Leave out what was read ahead."""
        self._next = None

    def close(self) -> None:
        self.ended = True
        self._container.close()
        self._file.close()

    def _again(self) -> None:
        """At the end: begin again, where that is wanted and possible."""
        if not (self._loop and self._round):
            self.ended = True
            return
        self._container.close()
        self._file.close()
        self._container, self._stream, self._file = _open(self._path)
        self._shift += self._round
        self._blocks = self._cut()

    def _cut(self) -> Iterator[Sound]:
        """Stretches of `BLOCK` samples; a shorter one before a gap and at the end."""
        held: list[Float] = []
        start = count = 0.0
        for time, samples in self._decode():
            if held and abs(time - (start + count / SOUND_RATE)) > _GAP:
                yield Sound(start, np.concatenate(held))
                held, count = [], 0
            start = start if held else time
            held.append(samples)
            count += len(samples)
            if count >= BLOCK:
                joined = np.concatenate(held)
                whole = len(joined) // BLOCK * BLOCK
                for at in range(0, whole, BLOCK):
                    yield Sound(start + at / SOUND_RATE, joined[at : at + BLOCK])
                held, start = [joined[whole:]], start + whole / SOUND_RATE
                count = len(joined) - whole
        if count:
            yield Sound(start, np.concatenate(held))

    def _decode(self) -> Iterator[tuple[float, Float]]:
        """Time of the first sample, and mono samples."""
        begun: float | None = None
        count = 0
        resampler: Resampler | None = None
        shape: tuple[object, ...] = ()
        for frame in self._frames():
            found = (frame.sample_rate, frame.format.name, len(frame.layout.channels))
            if resampler is None or found != shape:
                resampler, shape = Resampler(frame.layout), found
            stamp = None if frame.pts is None else float(frame.pts * frame.time_base) - self._origin
            expected = 0.0 if begun is None else begun + count / SOUND_RATE
            if stamp is not None and (
                begun is None or _GAP < stamp - expected < _MAX_STEP
            ):  # a step back is the file's mistake: the sound goes on
                begun, count = stamp, 0
            frame.pts = None
            for samples in resampler(frame):
                yield self._shift + (begun or 0.0) + count / SOUND_RATE, samples
                count += len(samples)

    def _frames(self) -> Iterator[Any]:
        from av.error import FFmpegError

        try:
            for packet in packets(self._container, self._stream):
                try:
                    yield from packet.decode()
                except FFmpegError:
                    self.damaged += 1
        except (FFmpegError, OSError):  # the file ends within a packet, or its disk fails
            self.damaged += 1

    def _length(self, stream: Any) -> float | None:
        if stream.duration is not None:
            return float(stream.duration * stream.time_base)
        whole = self._container.duration
        return None if whole is None else whole / 1e6


def _open(path: Path) -> tuple[Any, Any, MediaBytes]:
    """The file, its sound, and what it is read from. Raises `CaptureError`."""
    container, file = open_media(path, "sound or video file", "WAV or FLAC")
    why = "holds no sound that can be decoded. Name another file."
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.rate:
            if stream.layout.nb_channels <= _MOST_CHANNELS:
                return container, stream, file
            why = f"has more than {_MOST_CHANNELS} channels. Save one of them, or their mean."
    container.close()
    file.close()
    raise CaptureError(f"{printable(path)} {why}")
