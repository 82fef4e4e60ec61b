"""What the shipped detector offers as faces: true ones, masked and small among them, and others.

Presence has to tell them apart, so it learns from them. Scenes give faces that people or several
detectors marked; pictures without a face, and places of scenes where nobody marked one, give hands,
animals, folds and whatever else a detector takes for a face when its threshold is low.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Frame, Grey
from agent.inference.manifest import load_manifest
from agent.inference.tflite import open_model
from agent.kernels.nms import pairwise_iou
from agent.vision.faces.detect import FaceDetector, tiles_for
from tools.common.files import MODELS
from tools.common.packs import decode, load
from tools.common.progress import along
from tools.train.manifest import SETS

SCORE_ABOVE = 0.2
"""Stills are looked at from .3 on; below .1 nearly every spot of a picture is a candidate."""
SCENE_ALARM_BELOW = 0.5
"""Of scenes only weak candidates are false alarms: the others are often faces nobody marked."""
MATCHED, APART = 0.4, 0.1
"""Intersection over union from which a candidate is a marked face, and up to which it is none."""
TILED_FROM = 240
"""Pixels; larger pictures are searched in tiles too, as stills are."""
LEAST_SIDE = 16.0
"""Pixels: short side of the smallest face."""
AROUND = 1.1
"""Half the side of the kept patch, longer sides of the box."""
PATCH = 176
"""Pixels: larger patches are made smaller; a crop shows about half of one."""


@dataclass(slots=True, eq=False)
class Candidates:
    """Patches around what may be a face."""

    pictures: list[Grey] = field(default_factory=list)
    keypoints: list[Float] = field(default_factory=list)
    """float32[5, 2] each, pixels of the patch."""
    present: list[bool] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    """The detector's; NaN for a face that it did not find."""
    masked: list[bool] = field(default_factory=list)
    side: list[float] = field(default_factory=list)
    """Short side of the box, pixels of the whole picture."""

    def __len__(self) -> int:
        return len(self.pictures)

    def add(
        self, luma: Grey, box: Float, five: Float, present: bool, score: float, masked: bool
    ) -> None:
        """Keep the surroundings of one box float32[4] xyxy with keypoints float32[5, 2]."""
        height, width = luma.shape
        half = AROUND * float((box[2:] - box[:2]).max())
        middle = (box[:2] + box[2:]) / 2
        x0, y0 = np.maximum(np.floor(middle - half), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(middle + half), [width, height]).astype(int)
        patch = luma[y0:y1, x0:x1]
        if min(patch.shape, default=0) < 4:
            return
        scale = min(PATCH / max(patch.shape), 1.0)
        if scale < 1.0:
            patch = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        placed = (five - np.array([x0, y0], np.float32) + 0.5) * np.float32(scale) - 0.5
        self.pictures.append(np.ascontiguousarray(patch, np.uint8))
        self.keypoints.append(placed.astype(np.float32))
        self.present.append(present)
        self.score.append(score)
        self.masked.append(masked)
        self.side.append(float((box[2:] - box[:2]).min()))


def offered(split: int) -> Candidates:
    """Candidates of the packs' scenes and negatives of a split, 0 (train) or 1 (valid)."""
    manifest = load_manifest(MODELS, SETS["all"])
    detector = FaceDetector(open_model(manifest, "detector"), SCORE_ABOVE)
    found = Candidates()
    blanks = load("negatives.npz")
    nothing = np.zeros((0, 4), np.float32)
    for i in along(np.flatnonzero(blanks["split"] == split), "candidates in negatives"):
        luma = decode(blanks["jpeg"], blanks["off"], int(i))
        for box, five, score, _ in _searched(detector, luma, nothing):
            found.add(luma, box, five, False, score, False)
    scenes = load("scenes.npz")
    usual = usual_keypoints(scenes["box"], scenes["kps"])
    for i in along(np.flatnonzero(scenes["split"] == split), "candidates in scenes"):
        luma = decode(scenes["jpeg"], scenes["off"], int(i))
        rows = np.flatnonzero(scenes["box_img"] == i)
        boxes, ignore = scenes["box"][rows].astype(np.float32), scenes["ignore"][rows] == 1
        masked, large = scenes["cls"][rows] == 1, np.ones(len(rows), np.bool_)
        if len(rows):
            large = (boxes[:, 2:] - boxes[:, :2]).min(1) >= LEAST_SIDE
        seen = np.zeros(len(rows), np.bool_)
        for box, five, score, own in _searched(detector, luma, boxes):
            if own is None and score < SCENE_ALARM_BELOW:
                found.add(luma, box, five, False, score, False)
            elif own is not None and own >= 0 and large[own] and not ignore[own]:
                seen[own] = True
                found.add(luma, boxes[own], five, True, score, bool(masked[own]))
        for k in np.flatnonzero(~seen & ~ignore & large):
            own_five = scenes["kps"][rows[k]].astype(np.float32)
            if not np.isfinite(own_five).all():
                own_five = boxes[k, :2] + usual * (boxes[k, 2:] - boxes[k, :2])
            found.add(luma, boxes[k], own_five, True, float("nan"), bool(masked[k]))
    return found


def usual_keypoints(boxes: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Float:
    """Where keypoints [N, 5, 2] lie in their boxes [N, 4] on the median, float32[5, 2] of the
    box's sides, made symmetric; NaN are left out."""
    known = np.isfinite(keypoints).all((1, 2))
    low, size = boxes[known, None, :2], boxes[known, None, 2:] - boxes[known, None, :2]
    middle = np.median((keypoints[known] - low) / np.maximum(size, 1e-6), 0)
    mirrored = (middle * [-1, 1] + [1, 0])[[1, 0, 2, 4, 3]]
    return ((middle + mirrored) / 2).astype(np.float32)


def _searched(
    detector: FaceDetector, luma: Grey, boxes: Float
) -> Iterator[tuple[Float, Float, float, int | None]]:
    """Box, keypoints, score and which of the marked `boxes` it is: None where it is away from all,
    -1 in between. Searched whole and in tiles, as stills are."""
    tiles = max(tiles_for(luma.shape), 2 if max(luma.shape) >= TILED_FROM else 0)
    found = detector(Frame(0.0, luma), tiles)
    shared = pairwise_iou(found.boxes, boxes)
    for k, (box, five, score) in enumerate(
        zip(found.boxes, found.keypoints, found.scores, strict=True)
    ):
        most = float(shared[k].max()) if len(boxes) else 0.0
        own = int(shared[k].argmax()) if most >= MATCHED else -1
        if most <= APART and not _touches(box, boxes):
            yield box, five, float(score), None
        else:
            yield box, five, float(score), own


def _touches(box: Float, boxes: Float) -> bool:
    """Whether a fifth of the box lies on any of the others: part of a face is no false alarm."""
    if not len(boxes):
        return False
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.maximum(high - low, 0).prod(1)
    return bool((shared > 0.2 * (box[2:] - box[:2]).prod()).any())
