"""The detector's two thresholds: for tracking and for still pictures, both with the landmark
network's say, as the agent uses it. They are measured once more after that network changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.errors import ModelError
from agent.base.types import Detections, Float, Frame, Grey
from agent.desk.inspect import Inspector
from agent.vision.pipeline import Models
from tools.eval.detector import measure

TRACKS_PER_100 = 4.0
"""Tracks that 100 face-free frames may start; one that nothing supports soon ends again."""
STILLS_PER_100 = 1.0
"""False faces that `fleeting inspect` may list in 100 face-free pictures."""
LOWEST = 0.3
"""Smallest threshold considered."""
MARGIN = 0.03
"""Added to a threshold, for pictures other than those it was measured on."""


def choose_threshold(alarms: Float, pictures: int, per_100: float) -> float:
    """The lowest score, in steps of 0.01, that keeps false alarms within the limit, and a margin.

    The limit is rounded up to whole alarms: one picture more or less decides nothing.
    """
    allowed = math.ceil(pictures * per_100 / 100.0 - 1e-9)
    for score in np.arange(LOWEST, 0.92, 0.01):
        if int((alarms >= score).sum()) <= allowed:
            return round(float(score) + (MARGIN if score > LOWEST else 0.0), 2)
    return 0.95


def measured(
    models: Path, which: str, blanks: Sequence[Grey], lowest: float = LOWEST
) -> dict[str, Any]:
    """Both thresholds of the set `which` in `models`, and what they let pass.

    `blanks` are pictures without faces. The one for tracking is `lowest` at least. Empty where the
    set lacks another model.
    """
    config = AgentConfig.model_validate({"models": models, "model_set": which})
    try:
        tracking, inspector = Models(config, LOWEST), Inspector(config, LOWEST)
    except ModelError as error:
        print(f"Thresholds of the detector alone: {error}")
        return {}
    followed = np.array([s for p in blanks for s in _followed(tracking, p)], np.float32)
    listed = np.array([f["score"] for p in blanks for f in inspector.picture(p)], np.float32)
    score_above = max(choose_threshold(followed, len(blanks), TRACKS_PER_100), lowest)
    still_above = choose_threshold(listed, len(blanks), STILLS_PER_100)
    row = measure.scene_figures(lambda p: _detections(inspector.picture(p)), still_above)["all"]
    return {
        "pictures_without_faces": len(blanks),
        "score_above": score_above,
        "false_tracks": int((followed >= score_above).sum()),
        "still_above": still_above,
        "false_faces_in_stills": int((listed >= still_above).sum()),
        "stills": {
            size: {name: row[size][name] for name in ("faces", "recall", "precision")}
            for size in ("from_0_px", "from_16_px", "from_24_px")
        },
    }


def _followed(models: Models, luma: Grey) -> list[float]:
    """Scores of what would start a track: found, and a face to the landmark network too."""
    found = models.detector(Frame(0.0, luma), 0)
    return [
        float(score)
        for score, keypoints in zip(found.scores, found.keypoints, strict=True)
        if models.landmarks.refine(luma, keypoints).presence >= models.presence_above
    ]


def _detections(faces: Sequence[Mapping[str, Any]]) -> Detections:
    """What `inspect` lists, as detections."""
    return Detections(
        np.array([f["box"] for f in faces], np.float32).reshape(-1, 4),
        np.array([f["score"] for f in faces], np.float32),
        np.array([f["keypoints"] for f in faces], np.float32).reshape(-1, 5, 2),
    )
