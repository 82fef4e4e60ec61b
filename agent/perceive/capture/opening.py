"""Which class reads the configured source."""

from __future__ import annotations

from pathlib import Path

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.perceive.capture.source import Source


def open_source(config: SourceConfig) -> Source:
    """Open the configured camera or file.

    Raises `CaptureError`. Libraries are imported only for the kind that is asked for.
    """
    if config.kind == "file":
        from agent.perceive.capture.video_file import VideoFile

        if not config.target:
            raise CaptureError("source.kind is 'file' but source.target names none. Set its path.")
        return VideoFile(Path(config.target), config.pace, config.loop)
    if config.kind == "picamera2":
        from agent.perceive.capture.picamera import PiCamera

        return PiCamera(config)
    from agent.perceive.capture.opencv_camera import OpenCvCamera

    return OpenCvCamera(config)
