"""Which video of a file is shown, and where its clock begins."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

from agent.base.errors import CaptureError
from agent.perceive.capture.luma import MAX_PIXELS
from agent.perceive.capture.media import ENCRYPTED, open_media, packets, printable

ONE_PICTURE = (
    *("mjpeg", "png", "gif", "bmp", "webp", "tiff", "jpeg2000", "jpegls", "apng", "targa", "ppm"),
)
"""Codecs of still pictures."""
_ENCRYPTED_TAGS = ("encv", "drmi")
"""Codec tags of encrypted tracks in MP4 (ISO/IEC 14496-12, 8.12)."""
_COUNTED, _COUNTED_BYTES = 600, 64_000_000
"""Packets, and their bytes, among which a stream that moves has two at least."""


def stream_start(stream: Any) -> float | None:
    """Seconds on the file's clock at which a stream begins; None where the file does not say."""
    return None if stream.start_time is None else float(stream.start_time * stream.time_base)


def best_video(container: Any, path: Path) -> Any:
    """What a player would show: one that moves, the default one, the largest, the first.

    `container`: `path`, open; nothing is read from it. Raises `CaptureError` where there is none.
    """
    from av.stream import Disposition

    shown = printable(path)
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    films = [each for each in container.streams.video if not each.disposition & covers]
    if not films:
        if not len(container.streams.audio):
            raise CaptureError(f"{shown} holds no video. Name another file.")
        raise CaptureError(only_sound(shown, cover=bool(container.streams.video)))
    known = [each for each in films if each.codec_context is not None]
    if any(_tag(each) in _ENCRYPTED_TAGS for each in known or films):
        raise CaptureError(ENCRYPTED.format(shown))
    if not known:
        raise CaptureError(
            f"{shown} holds video of a kind that FFmpeg cannot decode. Convert it to H.264 in MKV."
        )

    known = [each for each in known if (each.width or 0) * (each.height or 0) <= MAX_PIXELS]
    if not known:
        raise CaptureError(
            f"{shown} has pictures of more than 8192 x 4608 pixels. Convert it to a smaller size."
        )
    if len(known) == 1:
        return known[0]
    # Matroska, for one, does not say how many pictures there are
    counts = {} if all(each.frames for each in known) else _count(path)

    def rank(stream: Any) -> tuple[bool, bool, int, int]:
        chosen = bool(stream.disposition & Disposition.default)
        size = (stream.width or 0) * (stream.height or 0)
        moves = (stream.frames or counts.get(stream.index, 0)) != 1
        return moves, chosen, size, -stream.index

    return max(known, key=rank)


def only_sound(shown: str, *, cover: bool) -> str:
    """Why a file with sound is no video. `shown`: its name."""
    what = "only sound with a cover picture" if cover else "only sound"
    return f"{shown} holds no video, {what}. `fleeting listen` reads sound files."


def _count(path: Path) -> Counter[int]:
    """Packets of each video stream near the beginning."""
    from av.error import FFmpegError

    found: Counter[int] = Counter()
    size = 0
    container, file = open_media(path, "video", "H.264 in MKV")
    with container, contextlib.closing(file), contextlib.suppress(FFmpegError, OSError):
        for packet in packets(container, *container.streams.video):
            found[packet.stream_index] += packet.size > 0
            size += packet.size
            if found.total() >= _COUNTED or size >= _COUNTED_BYTES:
                break
    return found


def _tag(stream: Any) -> str:
    return str(getattr(stream.codec_context, "codec_tag", ""))
