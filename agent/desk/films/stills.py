"""Small grey stills at a film's highlights, for a page that was asked to hold pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from agent.base.config import AgentConfig
from agent.base.types import Frame
from agent.desk.films.document import Still
from agent.desk.films.drawing import clock
from agent.desk.films.highlights import Highlight
from agent.perceive.capture.video_file import VideoFile
from agent.privacy.policy.rules import resolve
from agent.privacy.zones import StaffZones

_WIDTH = 320
_QUALITY = 80


def stills(film: Path, config: AgentConfig, highlights: Sequence[Highlight]) -> list[Still]:
    """One still in the middle of each highlight, strongest first; staff zones are painted over.

    Goes through the film a second time, and keeps no more than these. Raises `CaptureError`.
    """
    zones = StaffZones(resolve(config, live=False).zones)
    due = sorted(((h.time + h.end) / 2, rank) for rank, h in enumerate(highlights))
    found: dict[int, Still] = {}
    source = VideoFile(film)
    try:
        for frame in source:
            while due and frame.time >= due[0][0]:
                rank = due.pop(0)[1]
                found[rank] = _still(zones.mask(frame), rank, highlights[rank])
            if not due:
                break
    finally:
        source.close()
    return [found[rank] for rank in sorted(found)]


def _still(frame: Frame, rank: int, of: Highlight) -> Still:
    height, width = frame.luma.shape
    scale = min(1.0, _WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(frame.luma, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    when = clock(frame.time, tenths=True)
    return Still(
        data.tobytes(),
        f"Picture of the film at {when}",
        f"{rank + 1}: {when}. {of.reason}",
        *size,
    )
