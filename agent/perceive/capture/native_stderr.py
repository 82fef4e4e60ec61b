"""Keeping OpenCV's own messages off the screen; the package says itself what went wrong."""

from __future__ import annotations

import cv2


def silence_opencv() -> None:
    """For a process that imported OpenCV before this package could set its environment."""
    # OpenCV 4 has it at the top, OpenCV 5 in a module of its own
    if hasattr(cv2, "setLogLevel"):
        cv2.setLogLevel(0)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
