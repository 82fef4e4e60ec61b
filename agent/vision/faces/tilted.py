"""Tilted heads in a still picture: the detector finds those that are up to some 45 degrees from
upright, so it is also shown the picture turned.

These looks are few and are no part of the calibrated score (`agent.vision.faces.looks`); what makes
up for it is that the landmark network has to be sure, of where each point is and of a head that is
tilted: it is of hardly anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agent.base.types import Float, Grey
from agent.kernels.nms import nms, pairwise_iou
from agent.vision.faces.detect import FaceDetector, tiles_of
from agent.vision.faces.landmarks import LandmarkEstimate, LandmarkEstimator, face_box
from agent.vision.faces.looks import shrunk
from agent.vision.faces.pose import measure_head
from agent.vision.faces.roam import TILT

_LEAST = 0.3
"""Detection score from which the landmark network is asked."""
_PRESENCE = 0.99
"""Least presence."""
_LEAST_ROLL = 20.0
"""Degrees: heads that are tilted less are found upright."""
_MOST = 20
"""Places of a picture that it is asked about."""
_SAME = 0.4
"""IoU above which two boxes are one face."""


class Tilted(NamedTuple):
    """A face whose head is tilted."""

    score: float
    """Of the detection, in (0, 1)."""
    keypoints: Float
    """float32[5, 2], picture pixels, in the order of `Detections`."""
    estimate: LandmarkEstimate

    @property
    def box(self) -> Float:
        """float32[4], xyxy, picture pixels."""
        return face_box(self.estimate.points)


def tilted(
    detector: FaceDetector, landmarks: LandmarkEstimator, luma: Grey, known: Sequence[Float] = ()
) -> list[Tilted]:
    """Faces tilted by 20 to 90 degrees and more in a picture uint8[H, W], strongest first, apart
    from those `known`: boxes float32[4] as of `Tilted`.

    Ten calls of the detector: the whole picture and two by two tiles, turned to both sides.
    """
    if not luma.size:
        return []
    small, back = shrunk(luma)
    parts = []
    for x0, y0, x1, y1 in [(0, 0, small.shape[1], small.shape[0]), *tiles_of(small.shape, 2)]:
        for degrees in (TILT, -TILT):
            boxes, scores, keypoints = detector.turned_candidates(small[y0:y1, x0:x1], degrees)
            shift = np.array([x0, y0], np.float32)
            parts.append((boxes + np.tile(shift, 2), scores, keypoints + shift))
    boxes, scores, keypoints = (np.concatenate(column) for column in zip(*parts, strict=True))
    found: list[Tilted] = []
    for row in nms(boxes, scores, _SAME)[:_MOST].tolist():
        if scores[row] < _LEAST:
            break
        half = np.float32(0.5)
        guess = np.asarray((keypoints[row] + half) * back - half, np.float32)
        estimate = landmarks.refine_still(luma, guess)
        roll = abs(measure_head(estimate.points).pose.roll)
        if estimate.presence < _PRESENCE or not estimate.is_sure or roll < _LEAST_ROLL:
            continue
        face = Tilted(float(scores[row]), guess, estimate)
        others = [*known, *(each.box for each in found)]
        if not others or pairwise_iou(face.box[None], np.stack(others)).max() <= _SAME:
            found.append(face)
    return found
