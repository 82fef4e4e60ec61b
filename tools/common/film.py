"""The pictures of a video, as the agent sees them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.base.errors import CaptureError
from agent.perceive.capture.video_file import VideoFile
from tools.common.errors import ToolError


def greys(video: Path) -> Iterator[NDArray[np.uint8]]:
    """uint8[H, W] of each frame in turn. Raises `ToolError` where there is none."""
    try:
        with contextlib.closing(VideoFile(video)) as source:
            for frame in source:
                yield frame.luma
    except CaptureError as error:
        raise ToolError(str(error)) from None
