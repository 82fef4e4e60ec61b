"""`python -m tools.bench decode`: what reading videos costs, beside OpenCV's decoder.

Each reading has a process of its own, for memory. OpenCV's pictures are made grey, as they had to
be before PyAV; where it gives none, or others, its cost says little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from agent.base.assets import CLIP
from agent.perceive.capture.video_file import VideoFile
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import line, machine
from tools.common.tables import columns, text

WAYS = ("the agent", "OpenCV")


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "decode", parents=[shared], help="CPU and memory of reading videos",
        description="CPU time per picture, and memory, of reading video files.",
    )  # fmt: skip
    parser.add_argument("videos", nargs="*", type=Path, default=[CLIP], help="default: the clip")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `ToolError`."""
    found = machine()
    rows = [_apart(way, video) for video in args.videos for way in WAYS]
    report = {"what": "decode", "machine": found, "rows": rows}
    table = columns("video", "decoder", "pictures", "CPU ms each", "MB", words=("video", "decoder"))
    for row in rows:
        table.add_row(
            row["video"], row["way"], str(row["pictures"]), f"{row['ms']:.2f}", f"{row['mb']:.0f}"
        )
    return report, line(found) + text(table)


def read(way: str, video: Path) -> dict[str, Any]:
    """Read a video in this process: pictures, CPU milliseconds each, and megabytes that the reading
    added at its end. Raises `CaptureError`."""
    cv2.setNumThreads(1)
    before, started, count = _resident(), time.process_time(), 0
    for _ in VideoFile(video) if way == WAYS[0] else _opencv(video):
        count += 1
    spent = 1000.0 * (time.process_time() - started)
    return {
        "video": video.name, "way": way, "pictures": count,
        "ms": spent / max(count, 1), "mb": _resident() - before,
    }  # fmt: skip


def _apart(way: str, video: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.bench.decode", way, str(video.resolve())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise ToolError(done.stderr.strip() or f"{video} cannot be read.")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _opencv(video: Path) -> Iterator[Any]:
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    while (got := capture.read())[0]:
        yield cv2.cvtColor(got[1], cv2.COLOR_BGR2GRAY)
    capture.release()


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1], Path(sys.argv[2]))))
