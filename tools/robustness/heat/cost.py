"""What each step of the ladder saves: CPU time of the pipeline for a second of the bundled clip."""

from __future__ import annotations

import time
from collections.abc import Iterator

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.types import Frame
from agent.perceive.capture.video_file import VideoFile
from agent.perceive.ladder import FPS, Step
from agent.vision.pipeline import Pipeline

FIRST, SECONDS = 13.7, 3.0
"""Of the clip: two people are in view."""


def shares() -> dict[Step, float]:
    """CPU seconds per second of camera time at each step; 0 while nothing is looked at."""
    frames = [frame for frame in _clip() if frame.time >= FIRST]
    _seconds(frames, Step.ALL)  # compiles, or loads what was compiled
    found = {step: _seconds(frames, step) / SECONDS for step in (Step.ALL, Step.SLOW, Step.SLOWER)}
    return {**found, Step.PAUSE: 0.0}


def _clip() -> Iterator[Frame]:
    source = VideoFile(CLIP)
    try:
        for frame in source:
            if frame.time >= FIRST + SECONDS:
                return
            yield frame
    finally:
        source.close()


def _seconds(frames: list[Frame], step: Step) -> float:
    """CPU seconds for these frames, those that the step leaves out left out."""
    pipeline = Pipeline(AgentConfig())
    pipeline.restrict(1 if step > Step.SLOW else None, spotting=step == Step.ALL)
    limit = FPS[step]
    due = float("-inf")
    started = time.process_time()
    for frame in frames:
        if limit is None or frame.time >= due - 0.25 / limit:
            due = max(due, frame.time - 0.5 / (limit or 30.0)) + 1.0 / (limit or 30.0)
            pipeline(frame)
    return time.process_time() - started
