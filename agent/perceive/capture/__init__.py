"""Capture from cameras, video files and the microphone. May import what `perceive` may.

The log output of OpenCV and its FFmpeg is silenced: this package reports errors itself.
"""

import os

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def silence_opencv() -> None:
    """Needed where OpenCV was imported before the environment was set."""
    import cv2

    if hasattr(cv2, "setLogLevel"):
        cv2.setLogLevel(0)
    else:  # OpenCV 5
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
