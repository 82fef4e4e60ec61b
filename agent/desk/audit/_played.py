"""The video with the canary's voice as its sound track, and the sender of the canary's line."""

from __future__ import annotations

import contextlib
import socket
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from agent.base.errors import CaptureError
from agent.desk.audit._canary import RATE, Canary
from agent.desk.audit._reference import Frames, read_frames
from agent.perceive.capture.media import open_media, packets
from agent.perceive.capture.streams import best_video
from agent.perceive.capture.video_file import VideoFile

_BLOCK = RATE // 10
"""Samples per frame of sound."""
_INTERVAL = 0.5
"""Seconds between two lines, and between two looks for the socket."""
_MAX_ADDRESS = 100
"""Bytes of a socket's path (unix(7): 108)."""


def with_voice(video: Path, frames: Frames, canary: Canary, target: Path) -> str | None:
    """Write the pictures of `video` to the new Matroska file `target`, with the voice in place of
    whatever sound it has. Returns why it could not be done, or None.

    They are copied as they are coded; where the agent would see other pictures in the copy than
    `frames`, those of the video, they are coded anew, without loss, as the agent sees them.
    """
    for write in (_copied, _coded):
        why = write(video, canary, target)
        try:
            if why is None and read_frames(target) == frames:
                return None
        except CaptureError:
            pass
        target.unlink(missing_ok=True)
    return why or "its copy would show other pictures"


def _coded(video: Path, canary: Canary, target: Path) -> str | None:
    try:
        with (
            contextlib.closing(VideoFile(video)) as source,
            av.open(str(target), "w", format="matroska") as out,
        ):
            pictures: Any = out.add_stream("ffv1", rate=1000)
            pictures.time_base = pictures.codec_context.time_base = Fraction(1, 1000)
            pictures.pix_fmt = "gray"
            sound = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
            said, last = 0, -1
            for frame in source:
                if last < 0:
                    pictures.height, pictures.width = frame.luma.shape
                elif frame.luma.shape != (pictures.height, pictures.width):
                    return "its pictures change their size"
                picture = av.VideoFrame.from_ndarray(frame.luma, format="gray")
                # two within a millisecond still follow one another
                picture.pts = last = max(last + 1, round(1000 * frame.time))
                picture.time_base = Fraction(1, 1000)
                said = _say(out, sound, canary, 0.0, said, frame.time)
                out.mux(pictures.encode(picture))
            out.mux(pictures.encode(None))
            out.mux(sound.encode(None))
    except (av.FFmpegError, OSError, ValueError, TypeError, CaptureError) as error:
        return f"its pictures cannot be coded anew ({type(error).__name__})"
    return None


def _copied(video: Path, canary: Canary, target: Path) -> str | None:
    try:
        source, file = open_media(video, "video", "H.264 in MKV")
        with source, contextlib.closing(file):
            pictures = best_video(source, video)
            with av.open(str(target), "w", format="matroska") as out:
                copy = out.add_stream_from_template(pictures)
                sound = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
                begin: float | None = None
                said = 0
                for packet in packets(source, pictures):
                    if packet.dts is None and packet.pts is None:
                        continue
                    stamp = packet.dts if packet.dts is not None else packet.pts
                    time = float(stamp * packet.time_base)
                    begin = time if begin is None else begin
                    said = _say(out, sound, canary, begin, said, time)
                    packet.stream = copy
                    out.mux(packet)
                if begin is None:
                    return "it holds no pictures that can be copied"
                for packet in sound.encode(None):
                    out.mux(packet)
    except (av.FFmpegError, OSError, ValueError, TypeError, CaptureError) as error:
        return f"its pictures cannot be copied beside another sound track ({type(error).__name__})"
    return None


def _say(out: Any, sound: Any, canary: Canary, begin: float, said: int, until: float) -> int:
    """Add the voice up to a time of the video, seconds, and not beyond, or the file would seem to
    lack pictures; returns the samples so far."""
    while begin + (said + _BLOCK) / RATE <= until:
        at = np.arange(said, said + _BLOCK) % len(canary.sound)
        samples = np.rint(canary.sound[at] * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = round(begin * RATE) + said
        for packet in sound.encode(frame):
            out.mux(packet)
        said += _BLOCK
    return said


class Speaker:
    """Context manager that sends the canary's line to a Unix datagram socket, again and again, once
    it is there."""

    def __init__(self, path: Path, line: str) -> None:
        self.path = path
        self.lines = 0
        """Sent so far."""
        self._line = line.encode() + b"\n"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)

    @property
    def can_be_reached(self) -> bool:
        """Whether a socket can have this path."""
        return len(str(self.path).encode()) <= _MAX_ADDRESS

    def __enter__(self) -> Speaker:
        if self.can_be_reached:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _speak(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(_INTERVAL)
            while not self._stopping.wait(_INTERVAL):
                with contextlib.suppress(OSError):  # not there yet, or nobody reads
                    channel.sendto(self._line, str(self.path))
                    self.lines += 1
