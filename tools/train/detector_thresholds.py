"""The detector's two thresholds: for tracking and for still pictures, both with the landmark
network's say, as the agent uses it. They are measured once more after that network changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.config import AgentConfig
from agent.errors import ModelError
from agent.inspect import Inspector
from agent.pipeline import Models
from agent.types import Detections, Float, Frame, Grey
from tools.train import detector_measure as measure

ALARMS_PER_100 = 1.0
"""False alarms per 100 face-free pictures that a threshold allows at most."""
LOWEST = 0.3
"""Smallest threshold considered."""


def choose_threshold(alarms: Float, pictures: int) -> float:
    """The lowest score, in steps of 0.01 from 0.3, that keeps false alarms within the limit."""
    for score in np.arange(LOWEST, 0.95, 0.01):
        if float((alarms >= score).sum()) / pictures * 100.0 <= ALARMS_PER_100:
            return round(float(score), 2)
    return 0.95


def measured(models: Path, which: str, blanks: Sequence[Grey]) -> dict[str, Any]:
    """Both thresholds of the set `which` in `models`, and what they let pass.

    `blanks` are pictures without faces. Empty where the set lacks another model.
    """
    config = AgentConfig.model_validate({"models": models, "model_set": which})
    try:
        tracking, inspector = Models(config, LOWEST), Inspector(config, LOWEST)
    except ModelError as error:
        print(f"Thresholds of the detector alone: {error}")
        return {}
    followed = np.array([s for p in blanks for s in _followed(tracking, p)], np.float32)
    listed = np.array([f["score"] for p in blanks for f in inspector.picture(p)], np.float32)
    score_above = choose_threshold(followed, len(blanks))
    still_above = choose_threshold(listed, len(blanks))
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
    found = models.detect(Frame(0.0, luma), 0)
    return [
        float(score)
        for score, keypoints in zip(found.scores, found.keypoints, strict=True)
        if models.place.settle(luma, keypoints).presence >= models.presence_above
    ]


def _detections(faces: Sequence[Mapping[str, Any]]) -> Detections:
    """What `inspect` lists, as detections."""
    return Detections(
        np.array([f["box"] for f in faces], np.float32).reshape(-1, 4),
        np.array([f["score"] for f in faces], np.float32),
        np.array([f["keypoints"] for f in faces], np.float32).reshape(-1, 5, 2),
    )
