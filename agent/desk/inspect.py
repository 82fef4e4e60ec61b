"""`fleeting inspect`: face analysis of still images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.base.config import AgentConfig
from agent.base.errors import CaptureError, ConfigError
from agent.base.names import as_utf8, one_line
from agent.base.types import ACTION_UNITS, EXPRESSIONS, Expression, Float, Frame, Grey
from agent.desk.still.folder import Candidate, candidates
from agent.desk.still.read import read_still
from agent.inference.manifest import load_manifest, models_folder
from agent.vision.exposure import adjusted, levels
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, five_points
from agent.vision.faces.landmarks import LandmarkEstimate, face_box
from agent.vision.faces.looks import LOWEST, Looks
from agent.vision.faces.pose import measure_head
from agent.vision.faces.probability import FaceProbability, logit
from agent.vision.faces.readable import is_readable
from agent.vision.faces.tilted import tilted
from agent.vision.faces.track_state import intersection_over_smaller
from agent.vision.pipeline import Models

_MAX_OVERLAP = 0.7
"""Intersection over the smaller box from which two boxes count as one face."""


class Inspector:
    """Runs the models on single images, without tracking and neutral baseline.

    Parameters
    ----------
    config : AgentConfig
    min_score : float | None
        Least score of listed faces, in (0, 1). None: `detection.score_above` of the configuration,
        else `still_above` of the detector's card, with at most one false face in 100 images.
    """

    def __init__(self, config: AgentConfig, min_score: float | None = None) -> None:
        card = load_manifest(models_folder(config.models), config.model_set).parameters("detector")
        self._probability = FaceProbability.of(card, "still")
        threshold = config.detection.score_above if min_score is None else min_score
        if threshold is None:
            threshold = self._probability.above
        if not 0.0 < threshold < 1.0:
            raise ConfigError(f"--min-score must lie between 0 and 1; it is {threshold:g}.")
        self._score_above = threshold
        detection = config.detection.model_copy(update={"score_above": LOWEST})
        self._models = Models(config.model_copy(update={"detection": detection}))
        self._looks = Looks(self._models.detector, LOWEST, config.detection.tiles)

    def line(self, candidate: Candidate, crop: bool) -> dict[str, Any]:
        """What is printed of one file. Raises `CaptureError` where it is not read."""
        if candidate.problem is not None:
            raise candidate.problem
        still = read_still(candidate.path)
        height, width = still.luma.shape
        return {
            "image": as_utf8(candidate.path),
            "size": [width, height],
            "notes": list(still.notes),
            "faces": self.crop(still.luma) if crop else self.picture(still.luma),
        }

    def picture(self, luma: Grey) -> list[dict[str, Any]]:
        """Faces of an image uint8[H, W] by falling score; coordinates in its pixels.

        `score` is the calibrated probability of a face, from all looks at the image and the
        landmark network (`agent.vision.faces.probability`).
        """
        kept: list[dict[str, Any]] = []
        exposed, table = levels(luma)
        if table is not None and exposed.state != "over":
            luma = adjusted(luma, table)
        faces = self._faces(luma)
        if table is not None and exposed.state == "over" and not faces:
            # what is clipped is lost: where the face is can be told, its expression cannot
            faces = [{**face, "unsure": True} for face in self._faces(adjusted(luma, table))]
        for face in sorted(faces, key=lambda face: -float(face["score"])):
            box = np.array(face["box"], np.float32)
            # a weaker face inside a stronger one is a part of it, or a duplicate from a tile
            if all(
                intersection_over_smaller(box, np.array(k["box"], np.float32)) < _MAX_OVERLAP
                for k in kept
            ):
                kept.append(face)
        return kept

    def _faces(self, luma: Grey) -> list[dict[str, Any]]:
        found = self._looks(luma)
        faces: list[dict[str, Any]] = []
        sure: list[Float] = []
        for box, keypoints, best, mean in zip(
            found.boxes, found.keypoints, found.best.tolist(), found.mean.tolist(), strict=True
        ):
            if self._probability(logit(1.0), best, mean) < self._score_above:
                continue  # whatever the landmark network says
            estimate = self._models.landmarks.refine_still(luma, keypoints)
            score = self._probability(logit(estimate.presence), best, mean)
            if score >= self._score_above:
                expression = self._models.expression.still(luma, estimate.points)
                faces.append(_record(box, score, keypoints, estimate, expression))
                if estimate.is_sure:
                    sure.append(face_box(estimate.points))
        for face in tilted(self._models.detector, self._models.landmarks, luma, sure):
            score = self._probability(logit(face.estimate.presence), *2 * [logit(face.score)])
            expression = self._models.expression.still(luma, face.estimate.points)
            faces.append(_record(face.box, score, face.keypoints, face.estimate, expression))
        return faces

    def crop(self, luma: Grey) -> list[dict[str, Any]]:
        """Analyse an image of one face, framed like FER images or looser.

        The expression is that of the whole image. Landmarks start from the mean shape in this
        framing or from the detector's keypoints, whichever gives the higher presence.
        """
        height, width = luma.shape
        scale = np.array([width, height], np.float32) / EXPRESSION_CROP.size
        start = (EXPRESSION_CROP.place(MEAN_SHAPE) + 0.5) * scale - 0.5
        found = self._models.detector(Frame(0.0, luma), 0)
        starts = [start.astype(np.float32), *found.keypoints[:1]]
        estimate = max(
            (self._models.landmarks.refine_still(luma, guess) for guess in starts),
            key=lambda candidate: candidate.presence,
        )
        size = EXPRESSION_CROP.size
        shrinking = min(height, width) > size
        whole = cv2.resize(
            luma, (size, size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
        )
        expression = self._models.expression.still_crop(np.asarray(whole, np.uint8))
        box = np.array([0, 0, width, height], np.float32)
        keypoints = found.keypoints[0] if len(found.keypoints) else five_points(estimate.points)
        score = float(found.scores[0]) if len(found.scores) else estimate.presence
        return [_record(box, score, keypoints, estimate, expression)]


def show(
    paths: Sequence[Path],
    config: AgentConfig,
    *,
    as_json: bool,
    crop: bool,
    min_score: float | None = None,
) -> int:
    """Print the faces of each picture, or why it is not read.

    Returns 0, also where some files of a folder were not read; 1 where a named file was not, or no
    picture at all.
    """
    inspector = Inspector(config, min_score)
    read = refused = 0
    for candidate in candidates(paths):
        try:
            line = inspector.line(candidate, crop)
            read += 1
        except CaptureError as error:
            refused += candidate.named
            line = {"image": as_utf8(candidate.path), "error": as_utf8(error)}
        print(json.dumps(line) if as_json else _text(line), flush=True)
    return 0 if read and not refused else 1


def _text(line: dict[str, Any]) -> str:
    if "error" in line:
        return str(line["error"])
    notes = f" ({'; '.join(line['notes'])})" if line["notes"] else ""
    parts = [f"{one_line(line['image'])}: {len(line['faces'])} face(s){notes}"]
    for face in line["faces"]:
        name = max(face["expression"], key=face["expression"].get)
        share = face["expression"][name]
        label = f"unsure ({name}?)" if face["unsure"] else name
        x1, y1, x2, y2 = (round(v) for v in face["box"])
        parts.append(
            f"  {label} {share:.2f}, valence {face['valence']:+.2f}, "
            f"yaw {face['pose']['yaw']:+.0f}°, box {x1},{y1}-{x2},{y2}, score {face['score']:.2f}"
        )
    return "\n".join(parts)


def _record(
    box: Float,
    score: float,
    keypoints: Float,
    estimate: LandmarkEstimate,
    expression: Expression,
) -> dict[str, Any]:
    pose = measure_head(estimate.points).pose
    readable = is_readable(estimate.is_sure, pose.roll)
    return {
        "box": _rounded(box),
        "score": round(score, 4),
        "keypoints": _rounded(keypoints),
        "landmarks": _rounded(estimate.points),
        "presence": round(estimate.presence, 4),
        "pose": {
            "yaw": round(pose.yaw, 1),
            "pitch": round(pose.pitch, 1),
            "roll": round(pose.roll, 1),
        },
        "expression": {
            name: round(float(p), 4)
            for name, p in zip(EXPRESSIONS, expression.probabilities, strict=True)
        },
        "unsure": expression.unsure or not readable,
        "valence": round(expression.valence, 3),
        "arousal": round(expression.arousal, 3),
        "action_units": {
            name: round(float(value), 3)
            for name, value in zip(ACTION_UNITS, expression.action_units, strict=True)
        },
    }


def _rounded(values: Float) -> list[Any]:
    return [
        [round(float(v), 2) for v in row] if np.ndim(row) else round(float(row), 2)
        for row in values
    ]
