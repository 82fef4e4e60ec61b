"""What `fleeting inspect` finds: at its own threshold, over the whole curve, and at one false face
in a hundred pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from agent.base.types import Float, Grey
from agent.desk.inspect import Inspector
from agent.vision.faces.landmarks import face_box
from tools.common.bootstrap import Resampler
from tools.common.progress import along
from tools.eval import data
from tools.eval.detector.boxes import Found, Slice, overlap, precision_figure, recall_figure
from tools.eval.detector.scenes import judged_by
from tools.eval.ours import Ours

SLICES = (
    Slice("all"),
    Slice("16-24 px", 16, 24),
    Slice("24-48 px", 24, 48),
    Slice("48 px and more", 48),
    Slice("from 24 px", 24),
    Slice("bare, from 24 px", 24, kind=data.BARE),
    Slice("masked, from 24 px", 24, kind=data.MASKED),
)
LOWEST = 0.05
"""`--min-score` for the whole curve."""
PER_100 = 1.0
MAIN_FACES = 300
"""Pictures of one face each."""


def inspect_figures(
    ours: Ours, scenes: data.Scenes, blanks: Sequence[Grey], limit: int | None
) -> dict[str, Any]:
    """Of the shipped threshold and of the whole curve."""
    inspector = Inspector(ours.config, LOWEST)
    above = float(ours.parameters("detector")["still_above"])
    empty = [listed(inspector, p) for p in along(blanks, "inspect, no faces")]
    seen = [listed(inspector, p) for p in along(scenes.pictures, "inspect, scenes")]
    alarms = np.array([int((found.scores >= above).sum()) for found in empty])
    return {
        "score_above": above,
        "pictures_without_faces": len(blanks),
        "false_faces": int(alarms.sum()),
        "shipped": recalls(scenes, seen, above),
        "ap50": curve(scenes, seen),
        "one_false_face": at_one_false_face(scenes, seen, empty),
        "main_faces": main_faces(Inspector(ours.config), limit),
    }


def listed(inspector: Inspector, picture: Grey) -> Found:
    """The faces of a picture, strongest first."""
    faces = inspector.picture(picture)
    return Found(
        np.array([face["box"] for face in faces], np.float32).reshape(-1, 4),
        np.array([face["score"] for face in faces], np.float32),
    )


def recalls(scenes: data.Scenes, seen: Sequence[Found], above: float) -> dict[str, Any]:
    """Recall at a threshold, by size and kind."""
    table = {}
    for part in SLICES:
        judged, rows = judged_by(scenes, seen, part)
        table[part.name] = recall_figure(judged, Resampler(rows), above).figure()
    return table


def curve(scenes: data.Scenes, seen: Sequence[Found]) -> dict[str, Any]:
    """Average precision, by size and kind."""
    table = {}
    for part in SLICES:
        judged, rows = judged_by(scenes, seen, part)
        table[part.name] = precision_figure(judged, Resampler(rows)).figure()
    return table


def at_one_false_face(
    scenes: data.Scenes, seen: Sequence[Found], empty: Sequence[Found]
) -> dict[str, Any]:
    """Recall at the lowest score that passes `PER_100` false faces in 100 pictures without any,
    measured on those very pictures."""
    allowed = math.floor(PER_100 * len(empty) / 100 + 0.5)
    alarms = np.sort(np.concatenate([found.scores for found in empty]))[::-1]
    above = float(np.nextafter(alarms[allowed], np.float32(2))) if len(alarms) > allowed else 0.0
    return {"score_above": round(above, 4), "recall": recalls(scenes, seen, above)}


def main_faces(inspector: Inspector, limit: int | None) -> dict[str, Any]:
    """Pictures of one face each, of the landmark model's held-out part: in how many no listed face
    lies on it, by source. Many of them are cut close to the face."""
    faces = data.faces(min(limit or MAIN_FACES, MAIN_FACES))
    table: dict[str, dict[str, int]] = {}
    pairs = zip(faces.pictures, faces.first, faces.source, strict=True)
    for picture, points, source in along(list(pairs), "inspect, main faces"):
        row = table.setdefault(source, {"faces": 0, "missed": 0})
        row["faces"] += 1
        row["missed"] += not _lies_on(listed(inspector, picture).boxes, points)
    return table


def _lies_on(boxes: Float, points: Float) -> bool:
    """Whether one of the boxes is that of the face with these 68 points."""
    own = face_box(points.astype(np.float32))[None]
    return len(boxes) > 0 and bool(overlap(boxes, own).max() >= 0.3)
