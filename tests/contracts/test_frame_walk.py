"""A frame passes each package once, in the order that CONTRIBUTING.md states."""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType

import pytest

from agent.base.assets import CLIP
from agent.desk.demo import configuration
from agent.perceive.capture.video_file import VideoFile
from agent.perceive.process import Perceiver
from agent.perceive.warm_up import warm

ROOT = Path(__file__).parents[2]
COMPOSITION = {"agent/perceive", "agent/vision"}
"""Folders whose own modules call one room after another."""
LEFT_OUT = {"agent/base", "agent/host", "agent/privacy/policy"}
"""Vocabulary, the watchdog and the rules in force, which see no frame."""
FIRST, LAST = 9.8, 12.2
"""Seconds of the clip in which one visitor is in view and a window of ten seconds closes."""


def stated() -> list[str]:
    """The numbered list under "The walk of a frame"."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## The walk of a frame\n")[1].split("\n## ")[0]
    return re.findall(r"^\d+\. `([\w/]+)`", section, re.MULTILINE)


class Walk:
    """The rooms that a call enters from the composition; what a room calls in turn is its own."""

    def __init__(self) -> None:
        self._entered: list[str] = []
        self._inside = 0

    def __enter__(self) -> Walk:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    @property
    def rooms(self) -> list[str]:
        return [room for room, _ in groupby(self._entered)]

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        room = _room(frame.f_code) if event in ("call", "return") else None
        if room is None:
            return
        if event == "call" and not self._inside:
            self._entered.append(room)
        self._inside += 1 if event == "call" else -1


def _room(code: CodeType) -> str | None:
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT / "agent"):
        return None
    folder = path.relative_to(ROOT).parent.as_posix()
    return None if folder in COMPOSITION | LEFT_OUT else folder


@pytest.mark.slow
def test_every_frame_enters_each_room_once_in_the_stated_order(tmp_path: Path) -> None:
    rooms = stated()
    assert len(rooms) == len(set(rooms)) > 4
    config = configuration(CLIP, tmp_path / "outbox.db", port=1)
    # after a visit's end a window closes; sound goes beside the frames
    update = {"visit_gap": 2.0, "microphone": False, "words": False}
    soon = config.privacy.model_copy(update=update)
    config = config.model_copy(update={"privacy": soon})
    warm(config, hears=False)  # compiling a kernel while every call is noted takes minutes
    perceiver = Perceiver(config)
    source = VideoFile(CLIP)
    touched: set[str] = set()
    frame = next(frame for frame in source if frame.time >= FIRST)
    perceiver.step(frame, dropped=0, flags=set())  # the first one also begins windows
    while frame.time < LAST:
        with Walk() as walk:
            frame = next(source)
            perceiver.step(frame, dropped=0, flags=set())
        expected = [room for room in rooms if room in walk.rooms]
        assert walk.rooms == expected, f"at {frame.time:.2f} s"
        touched.update(walk.rooms)
    perceiver.finish()
    source.close()
    assert touched == set(rooms), "no frame went through the others"
