"""Write the frames as H.264 in MP4, through PyAV."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.base.errors import AgentError
from tools.demo.portrait import Picture


class EncodeError(AgentError):
    """The clip cannot be written."""


def write(frames: Iterable[Picture], out: Path, fps: int, quality: int = 22) -> None:
    """Encode `frames` (uint8[H, W, 3], BGR, all of one size) to `out`, replaced only when whole.

    `quality` is x264's constant rate factor: lower is better and larger. One thread: the same
    frames give the same bytes with the same encoder version. Raises `EncodeError`.
    """
    try:
        av: Any = importlib.import_module("av")
    except ImportError:
        raise EncodeError(
            "The clip cannot be encoded: PyAV is not installed. Install it with `pip install av`."
        ) from None
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
