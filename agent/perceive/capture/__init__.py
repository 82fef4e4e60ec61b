"""Cameras, video files and microphones: the rooms that wait. They hand out `Frame`s.

OpenCV and the FFmpeg inside it write to the screen on their own; both are told to be silent before
they are first used, because this package says itself what went wrong.
"""

import os

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
