"""Write the frames as H.264 in MP4, and a sound track beside them, through PyAV."""

from __future__ import annotations

import heapq
import importlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.errors import AgentError
from agent.base.types import Float
from tools.demo.portrait import Picture


class EncodeError(AgentError):
    """The clip cannot be written."""


def _library() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError:
        raise EncodeError(
            "The clip cannot be encoded: PyAV is not installed. Install it with `pip install av`."
        ) from None


def write(frames: Iterable[Picture], out: Path, fps: int, quality: int = 22) -> None:
    """Encode `frames` (uint8[H, W, 3], BGR, all of one size) to `out`, replaced only when whole.

    `quality` is x264's constant rate factor: lower is better and larger. One thread: the same
    frames give the same bytes with the same encoder version. Raises `EncodeError`.
    """
    av = _library()
    part = out.with_name(out.name + ".part")
    try:
        with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as file:
            stream = None
            for picture in frames:
                if stream is None:
                    height, width = picture.shape[:2]
                    stream = file.add_stream("libx264", rate=fps)
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                    stream.thread_count = 1
                    options = {"preset": "slow", "profile": "high", "g": "150"}
                    stream.options = {"crf": str(quality), **options}
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                file.mux(stream.encode(frame))
            if stream is None:
                raise EncodeError(
                    f"{out} was not written: there are no frames. Lengthen the script."
                )
            file.mux(stream.encode())
        os.replace(part, out)
    except (OSError, av.error.FFmpegError) as error:
        raise EncodeError(f"{out} cannot be written: {error}. Check the folder and disk.") from None
    finally:
        part.unlink(missing_ok=True)


def add_sound(clip: Path, sound: Float, rate: int, bits_per_second: int = 32000) -> None:
    """Give `clip` a mono sound track in place of the one that it has, if any.

    The pictures' packets are copied as they are. `sound`: float32[S], full scale +-1, encoded as
    AAC by one thread: the same bytes with the same encoder version. Raises `EncodeError`.
    """
    av = _library()
    part = clip.with_name(clip.name + ".part")
    try:
        with (
            av.open(str(clip)) as source,
            av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as file,
        ):
            pictures = source.streams.video[0]
            copied = file.add_stream_from_template(pictures)
            track = file.add_stream("aac", rate=rate, layout="mono")
            track.bit_rate, track.thread_count = bits_per_second, 1
            whole = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound[None], np.float32), format="fltp", layout="mono"
            )
            whole.sample_rate, whole.pts = rate, 0
            heard = [*track.encode(whole), *track.encode()]
            seen = [packet for packet in source.demux(pictures) if packet.dts is not None]
            for packet in seen:
                packet.stream = copied
            for packet in heapq.merge(seen, heard, key=lambda p: float(p.dts * p.time_base)):
                file.mux(packet)
        os.replace(part, clip)
    except (OSError, av.error.FFmpegError) as error:
        raise EncodeError(
            f"{clip} cannot be given a sound track: {error}. Check the file, folder and disk."
        ) from None
    finally:
        part.unlink(missing_ok=True)
