"""From a camera's compressed buffers to luma: JPEG, H.264 and HEVC, through FFmpeg (PyAV).

A picture that is not whole is refused, never shown half: libjpeg and FFmpeg fill what is missing
with grey, or with what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
from av.video.frame import VideoFrame

from agent.base.errors import reason
from agent.base.types import Grey
from agent.perceive.capture.pixel_formats import MAX_SIDE, Bytes, DamagedError, Picture

_DARK = 32
"""A picture whose luma nowhere exceeds this may be a green one."""
_START, _SCAN, _END = 0xD8, 0xDA, b"\xff\xd9"
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a length: TEM, RST0 to RST7, SOI."""


class JpegDecoder:
    """Decodes Motion JPEG, also without Huffman tables, as UVC cameras send it."""

    def __init__(self) -> None:
        self._codec = _codec("mjpeg")

    def __call__(self, planes: Sequence[Bytes]) -> Picture:
        """Raises `DamagedError`."""
        data = whole_jpeg(planes[0].tobytes())
        try:
            frames = self._codec.decode(av.Packet(data))
        except av.FFmpegError as error:
            raise DamagedError(f"JPEG data that cannot be decoded ({reason(error)})") from None
        if not frames:
            raise DamagedError("JPEG data without a picture")
        luma = _luma(frames[-1])
        return Picture(luma, _is_green(luma, frames[-1]))


class VideoDecoder:
    """Decodes H.264 or HEVC, one access unit per buffer. After a damaged one pictures are left out
    up to the next key frame: the others refer to it."""

    def __init__(self, name: str) -> None:
        """`name`: "H264" or "HEVC"."""
        self._codec = _codec(name.lower())
        self._codec.flags |= av.codec.context.Flags.low_delay
        self._waits = True

    def __call__(self, planes: Sequence[Bytes]) -> Picture | None:
        """None: nothing to show yet, such as parameter sets. Raises `DamagedError`."""
        try:
            frames = self._codec.decode(av.Packet(planes[0].tobytes()))
        except av.FFmpegError as error:
            self._waits = True
            raise DamagedError(f"video data that cannot be decoded ({reason(error)})") from None
        if not frames:
            return None
        frame = frames[-1]
        if frame.is_corrupt:
            self._waits = True
            raise DamagedError("video data with gaps")
        if self._waits and not frame.key_frame:
            return None
        self._waits = False
        luma = _luma(frame)
        return Picture(luma, _is_green(luma, frame))


def whole_jpeg(data: bytes) -> bytes:
    """One JPEG picture from its first to its last marker, without the padding that drivers add.

    Raises `DamagedError` where either is missing. Source: ITU-T T.81, annex B.
    """
    if data[:2] != b"\xff\xd8":
        raise DamagedError("no JPEG data" if data.strip(b"\0") else "an empty buffer")
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == _SCAN:
                break
    else:
        raise DamagedError("a JPEG header that is cut or garbled")
    # in scans 0xff is followed by zero, so that this is a marker
    end = data.find(_END, at)
    if end < 0:
        raise DamagedError(f"a JPEG picture of {len(data):,} bytes without its end")
    return data[: end + 2]


def _codec(name: str) -> av.VideoCodecContext:
    codec = av.CodecContext.create(name, "r")
    assert isinstance(codec, av.VideoCodecContext)
    codec.options = {"err_detect": "explode"}
    codec.thread_count = 1  # more would delay pictures
    return codec


def _luma(frame: VideoFrame) -> Grey:
    """A copy of the luma plane; of other kinds of pictures, converted."""
    if max(frame.width, frame.height) > MAX_SIDE:
        raise DamagedError(f"a picture of {frame.width}x{frame.height}, beyond {MAX_SIDE} pixels")
    depth = frame.format.components[0].bits
    if depth > 8 or not frame.format.name.startswith(("yuv", "gray", "nv")):
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return np.array(rows[: frame.height, : frame.width], np.uint8, order="C", copy=True)


def _is_green(luma: Grey, frame: VideoFrame) -> bool:
    """Whether chroma is zero all over, see `Picture.green`."""
    if len(frame.planes) < 3 or int(luma[::7].max(initial=0)) > _DARK:
        return False
    return not any(
        np.frombuffer(memoryview(plane), np.uint8)
        .reshape(-1, plane.line_size)[: plane.height, : plane.width]
        .any()
        for plane in frame.planes[1:]
    )
