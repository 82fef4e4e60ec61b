"""A detector's answers on the labelled scenes."""

from __future__ import annotations

from collections.abc import Sequence

from agent.base.types import Detections
from tools.eval import data
from tools.eval.detector.boxes import Found, Judged, Slice, judge


def found_by(detections: Detections) -> Found:
    """A detector's answer without its keypoints."""
    return Found(detections.boxes, detections.scores)


def judged_by(
    scenes: data.Scenes, found: Sequence[Found], part: Slice, iou: float = 0.5
) -> tuple[Judged, list[int]]:
    """A slice's detections and which pictures it takes."""
    rows = [i for i, source in enumerate(scenes.sources) if part.source in (None, source)]
    judged = judge(
        [found[i] for i in rows],
        [scenes.boxes[i] for i in rows],
        [scenes.ignored[i] for i in rows],
        [scenes.kinds[i] for i in rows],
        part,
        iou,
    )
    return judged, rows
