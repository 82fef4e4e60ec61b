"""Cameras, video files and the microphone to frames and sound. May import what `perceive` may.

OpenCV and the FFmpeg inside it write to the screen on their own; both are told to be silent before
they are first used, because this package says itself what went wrong.
"""

import os

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
