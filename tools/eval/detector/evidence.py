"""What the detector and the landmark network say about every place of a picture that may be a face,
before anything is decided: the data that probabilities and thresholds are fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Frame, Grey
from agent.vision.faces.looks import LOWEST, Looks
from agent.vision.faces.probability import logit
from agent.vision.faces.track_state import intersection_over_smaller
from tools.eval.data import Scenes
from tools.eval.detector.boxes import covered, overlap
from tools.eval.ours import Ours

Double = NDArray[np.float64]
_SAME = 0.7
"""Intersection over the smaller box from which two places are one."""
_MOST, _LEAST = 40, -2.2
"""Places per picture, and the logit below which the strongest answer is none."""
_CLEAR = 0.3
"""Share of a place within labelled faces up to which it is none of them."""
_WINDOW = 80
"""Least side of a window without faces, pixels."""
_TURNED = (1, 2)
"""Quarter turns at which a picture without faces serves once more, where there are few."""
_ENOUGH = 250


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Places of one picture, strongest first."""

    boxes: Float
    """float32[N, 4], xyxy, picture pixels."""
    values: Double
    """float64[N, F]: the detector's logits, then that of the presence."""


class Witness:
    """The models of one set, asked for evidence.

    Raises `ModelError` where the set lacks a model.
    """

    def __init__(self, ours: Ours) -> None:
        self._detector = ours.detector(LOWEST)
        self._landmarks = ours.placer()
        self._looks = Looks(self._detector)

    def still(self, luma: Grey) -> Evidence:
        """Of all looks at a picture: best and mean logit, presence."""
        found = self._looks(luma)
        logits = np.column_stack([found.best, found.mean]).astype(np.float64)
        return self._with_presence(luma, found.boxes, logits, found.keypoints)

    def frame(self, luma: Grey) -> Evidence:
        """Of one look at the whole picture, as tracking takes it: logit, presence."""
        found = self._detector(Frame(0.0, luma), 0)
        logits = np.array([[logit(float(score))] for score in found.scores]).reshape(-1, 1)
        return self._with_presence(luma, found.boxes, logits, found.keypoints)

    def _with_presence(
        self, luma: Grey, boxes: Float, logits: Double, keypoints: Float
    ) -> Evidence:
        kept: list[int] = []
        for i in np.argsort(-logits.sum(1), kind="stable"):
            if len(kept) == _MOST or logits[i, 0] < _LEAST:
                break
            if all(intersection_over_smaller(boxes[i], boxes[k]) < _SAME for k in kept):
                kept.append(int(i))
        presence = [
            logit(self._landmarks.refine(luma, np.ascontiguousarray(keypoints[i])).presence)
            for i in kept
        ]
        return Evidence(boxes[kept], np.column_stack([logits[kept], presence]))


def answers_of(found: Evidence, labels: Float, ignored: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64[N]: 1 a face, 0 none, -1 not to be judged (on an ignored face, or loosely on one)."""
    answers = np.zeros(len(found.boxes), np.int64)
    if not len(labels) or not len(found.boxes):
        return answers
    table = overlap(found.boxes, labels)
    best = table.argmax(1)
    answers[covered(found.boxes, labels) > _CLEAR] = -1
    right = table[np.arange(len(best)), best] >= 0.5
    answers[right] = np.where(ignored[best[right]], -1, 1)
    return answers


def face_free(
    blanks: Sequence[Grey], scenes: Scenes, part_of_scenes: bool
) -> tuple[list[Grey], list[int]]:
    """Pictures without a face, for the tail of false alarms: the blanks, the same turned and, where
    wanted, the largest part of each scene beside its faces.

    With each the picture that it comes from: a scene's number, or beyond those a blank's.
    """
    first = len(scenes.pictures)
    found, units = list(blanks), [first + i for i in range(len(blanks))]
    for turn in _TURNED if len(blanks) < _ENOUGH else ():
        found += [np.ascontiguousarray(np.rot90(each, turn)) for each in blanks]
        units += [first + i for i in range(len(blanks))]
    if part_of_scenes:
        for i, (picture, boxes) in enumerate(zip(scenes.pictures, scenes.boxes, strict=True)):
            parts = window(picture, boxes) if len(boxes) else []
            found += parts
            units += [i] * len(parts)
    return found, units


def window(picture: Grey, boxes: Float) -> list[Grey]:
    """The largest of the four strips beside all faces (their margin included), if large enough."""
    height, width = picture.shape
    margin = 0.3 * (boxes[:, 2:] - boxes[:, :2]).max(1)
    left, top = ((boxes[:, axis] - margin).min() for axis in (0, 1))
    right, bottom = (int(np.ceil((boxes[:, axis] + margin).max())) for axis in (2, 3))
    strips = (
        (0, 0, int(max(left, 0)), height),
        (right, 0, width, height),
        (0, 0, width, int(max(top, 0))),
        (0, bottom, width, height),
    )
    x0, y0, x1, y1 = max(strips, key=lambda s: max(s[2] - s[0], 0) * max(s[3] - s[1], 0))
    if min(x1 - x0, y1 - y0) < _WINDOW:
        return []
    return [np.ascontiguousarray(picture[y0:y1, x0:x1])]
