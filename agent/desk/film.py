"""Taking a film through perception: what `replay` and `report` share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from agent.base.errors import CaptureError
from agent.base.names import one_line
from agent.base.types import Frame, Perceived
from agent.base.vocabulary import Flag
from agent.perceive.capture.sound_file import SoundFile
from agent.perceive.capture.video_file import VideoFile
from agent.perceive.hearing import Hearing
from agent.privacy.releaser import Releaser
from agent.vision.pipeline import Pipeline


def perceive(
    source: VideoFile,
    pipeline: Pipeline,
    hearing: Hearing,
    releaser: Releaser,
    *,
    look: Callable[[Frame], None] = lambda frame: None,
    until: float | None = None,
) -> Iterator[tuple[Perceived, set[Flag]]]:
    """Frames with the source's flags; the last one includes pending micro-expressions.

    `look`: is shown each frame first. `until`: seconds at which to end.
    """
    last: tuple[Perceived, set[Flag]] | None = None
    for frame in source:
        if until is not None and frame.time > until:
            break
        if last is not None:
            yield last
        speech = hearing.listen(frame.time, releaser)
        look(frame)
        last = pipeline(frame, speech), source.drain_flags()
    if last is not None:
        perceived, flags = last
        late = perceived.micro + pipeline.finish()
        yield replace(perceived, micro=late), flags | source.drain_flags()


def sound_of(film: Path, *, loop: bool = False) -> SoundFile | None:
    """A film's sound track; None where it has none that can be decoded."""
    try:
        return SoundFile(film, loop)
    except CaptureError:
        return None


def refuse_camera(film: Path, verb: str) -> None:
    """Raises `CaptureError` for what names a camera, and no file."""
    if os.path.isfile(film):
        return  # whatever its name
    text = one_line(film)
    if text.isdigit() or text.startswith("/dev/") or re.match(r"[a-z]+:/", text):
        raise CaptureError(
            f"{text} is a live source; {verb} and its traces take video files only, so that no "
            "trace of a passer-by is ever written. Use `fleeting run` for a camera."
        )
