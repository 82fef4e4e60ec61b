"""Video files as a source: paced by their own timestamps, or as fast as possible."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import cv2

from agent.base.errors import CaptureError
from agent.base.types import Frame
from agent.perceive.capture import silence_opencv
from agent.perceive.capture.bitstream import h264_size, jpeg_size
from agent.perceive.capture.source import MAX_FIRST, BaseSource

_DEFAULT_FPS = 25.0
"""Frames per second of a file that states none: FFmpeg's default for raw streams."""
_TEXT_CODECS = ("ansi", "bint", "xbin", "adf ", "idf ")
"""FFmpeg decodes text files as pictures of text."""
_TRUNCATED = 0.02
"""Fraction of a file's stated length that may be missing: containers estimate it."""


class VideoFile(BaseSource):
    """A video file; times are its presentation timestamps in seconds, the first frame's about 0.

    A raw stream without timestamps (H.264, MJPEG) is timed by its frame rate. Pictures are rotated
    by the file's orientation and converted to full-range luma (BT.601 weights).
    """

    live = False

    def __init__(
        self, path: Path, pace: Literal["realtime", "fast"] = "fast", loop: bool = False
    ) -> None:
        """Open it and decode the first frame. Raises `CaptureError` when there is none."""
        silence_opencv()
        self._capture = _open(path)
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        stated = math.isfinite(fps) and 0.1 <= fps <= 1000.0
        super().__init__(str(path), fps if stated else _DEFAULT_FPS)
        self._path = path
        self._loop = loop
        self._pace = pace
        self._stop = threading.Event()
        self._lock = threading.Lock()
        frames = float(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frame_count: int | None = int(frames) if 0 < frames < 1e9 else None
        """As stated by the container; None where it is not."""
        self._start: float | None = None
        self._first_time = 0.0
        self._sizes = _Sizes(path, self._capture)
        self._timed: bool | None = None
        self._index = 0
        self._last_raw = 0.0
        self._waiting = self._decode()
        """Look-ahead frame, so that the last frame is recognised."""
        if self._waiting is None:
            self.close()
            raise CaptureError(
                f"{path} holds no video frame that can be decoded. It may be sound only, damaged, "
                "or of a codec that OpenCV lacks: play it, or convert it to H.264 in MP4 or MKV."
            )

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        with self._lock:
            if self._stop.is_set():
                raise StopIteration
            frame = self._next()
        if self._pace == "realtime":
            self._wait(frame.time)
        return frame

    def close(self) -> None:
        """Close the file and wake a reader that waits for the next frame's time."""
        self._stop.set()
        with self._lock:
            self._capture.release()
            self._sizes.close()

    def _next(self) -> Frame:
        if self._waiting is None:
            if not self._loop:
                raise StopIteration
            self._capture.release()
            self._sizes.close()
            self._capture = _open(self._path)
            self._sizes = _Sizes(self._path, self._capture)
            self._timeline.restart()
            self._index = 0
            self._waiting = self._decode()
            if self._waiting is None:
                raise CaptureError(
                    f"{self.name} can no longer be read. Was it moved or overwritten?"
                )
        raw, self._waiting = self._waiting, self._decode()
        self._last_raw = raw.time
        frame = self._retimed(raw)
        if self._waiting is None:  # flagged with the last frame
            self._note_truncation()
        return frame

    def _decode(self) -> Frame | None:
        """The next picture with the file's timestamp; None at the end."""
        try:
            good, picture = self._capture.read()
        except cv2.error:  # a damaged header can state sizes that OpenCV refuses
            good = False
        if not good or picture is None:
            return None
        stamp = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0
        if self._index == 0 and self.frame_count is None and abs(stamp) > MAX_FIRST:
            self._timed = False
        elif self._index == 1 and self._timed is None:
            # raw streams state no length, and every timestamp is 0 or invalid
            self._timed = stamp > 0.0 or self.frame_count is not None
        raw = self._index / self.fps_nominal if self._timed is False else stamp
        self._index += 1
        luma = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        size = self._sizes.next(luma.shape)
        if size != luma.shape:  # undo OpenCV's scaling
            luma = cv2.resize(luma, (size[1], size[0]), interpolation=cv2.INTER_AREA)
        return Frame(raw, luma)

    def _note_truncation(self) -> None:
        """Compare the decoded length with the stated one, in frames and in seconds."""
        if self.frame_count is None or self.counters.truncated:
            return
        missing = self.frame_count - self._index
        unseen = self.frame_count / self.fps_nominal - (self._last_raw + 1.0 / self.fps_nominal)
        tolerance = max(2.0, _TRUNCATED * self.frame_count)
        if missing > tolerance and unseen > tolerance / self.fps_nominal:
            self.counters.truncated = 1
            self.flags.add("source_truncated")

    def _wait(self, moment: float) -> None:
        now = time.monotonic()
        if self._start is None:
            self._start, self._first_time = now, moment
        self._stop.wait(max(0.0, self._start + (moment - self._first_time) - now))


class _Sizes:
    """The size of each picture in its packet, read in parallel with decoding.

    Assumes one packet per picture; a size changes only at a key frame. For other codecs, or where
    the first picture differs from its packet's size (rotated video), the decoded size is used.
    """

    def __init__(self, path: Path, capture: cv2.VideoCapture) -> None:
        codec = _codec(capture)
        self._read = jpeg_size if codec == "MJPG" else h264_size
        self._packets: cv2.VideoCapture | None = None
        self._size: tuple[int, int] | None = None
        if codec == "MJPG" or codec.lower() in ("h264", "avc1"):
            self._packets = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])

    def next(self, decoded: tuple[int, ...]) -> tuple[int, ...]:
        """(H, W) of the next picture, which OpenCV decoded to `decoded`."""
        if self._packets is None:
            return decoded
        good, packet = self._packets.read()
        found = self._read(packet.tobytes()) if good else None
        if self._size is None and found != decoded:
            self.close()
            return decoded
        self._size = found or self._size
        return self._size or decoded

    def close(self) -> None:
        if self._packets is not None:
            self._packets.release()
        self._packets = None


def _codec(capture: cv2.VideoCapture) -> str:
    tag = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    return tag.to_bytes(4, "little").decode("latin-1")


def _open(path: Path) -> cv2.VideoCapture:
    """Open the file. Raises `CaptureError` naming the problem."""
    try:
        if path.is_dir():
            raise CaptureError(f"{path} is a folder. Name one video file in it.")
        if not path.exists():
            raise CaptureError(f"{path} does not exist. Check the path.")
        if not path.is_file():
            raise CaptureError(f"{path} is a device or pipe, not a video file. Name a file.")
        with path.open("rb") as file:
            head = file.read(16)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CaptureError(f"{path} cannot be read: {reason}. Check its permissions.") from None
    if not head:
        raise CaptureError(f"{path} is empty. Copy or record it again.")
    stream = path.suffix.lower() in (".mjpeg", ".mjpg")
    if cv2.haveImageReader(str(path)) and not head.startswith(b"GIF8") and not stream:
        raise CaptureError(
            f"{path} is a single image, not a video. Use `fleeting inspect` for images."
        )
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    codec = _codec(capture)
    # FFmpeg takes any file that contains JPEG data, such as an archive, for a raw MJPEG stream
    archive = codec == "MJPG" and not (
        capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0 or head.startswith(b"\xff\xd8")
    )
    if not capture.isOpened() or codec in _TEXT_CODECS or archive:
        capture.release()
        raise CaptureError(
            f"{path} is not a video that can be opened: it is another kind of file, or damaged at "
            "its start or, for an MP4 that was cut short, at its end. Play it, or convert it to "
            "H.264 in MKV."
        )
    return capture
