"""Labels of one training picture, and their geometric transforms.

Coordinates have their origin at the centre of the top-left pixel, as everywhere in the project.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.detect import INPUT, STRIDES

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

WIDTH, HEIGHT = INPUT
OUTPUTS = tuple(f"{kind}_{s}" for s in STRIDES for kind in ("score", "box", "keypoints"))
"""Order in which the network returns its nine maps."""
SMALLEST = 6.0
"""Faces whose short side is below this, input pixels, are left out of the loss."""
FLIP_FIVE = [1, 0, 2, 4, 3]
"""Where the five keypoints go when the picture is mirrored."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Faces of one picture."""

    box: Floats
    """float32[N, 4] xyxy."""
    five: Floats
    """float32[N, 5, 2], NaN where unknown."""
    ignore: NDArray[np.bool_]
    confidence: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """float32[N] in (0, 1]: how sure the label is; 1 for all where none is given."""

    def __post_init__(self) -> None:
        if len(self.confidence) != len(self.box):
            object.__setattr__(self, "confidence", np.ones(len(self.box), np.float32))

    def take(self, keep: NDArray[Any]) -> Labels:
        return Labels(self.box[keep], self.five[keep], self.ignore[keep], self.confidence[keep])


def nothing() -> Labels:
    return Labels(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, bool))


def join(parts: list[Labels]) -> Labels:
    return Labels(
        np.concatenate([p.box for p in parts]),
        np.concatenate([p.five for p in parts]),
        np.concatenate([p.ignore for p in parts]),
        np.concatenate([p.confidence for p in parts]),
    )


def turn_boxes(box: Floats, matrix: Floats) -> Floats:
    """Boxes float32[N, 4] through a 2x3 matrix: the box of the ellipse that filled the old one."""
    centre = np.stack([box[:, 0] + box[:, 2], box[:, 1] + box[:, 3]], 1) / 2
    half = np.stack([box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]], 1) / 2
    centre = centre @ matrix[:, :2].T + matrix[:, 2]
    half = np.sqrt(half**2 @ (matrix[:, :2] ** 2).T)
    return np.concatenate([centre - half, centre + half], 1).astype(np.float32)


def move(labels: Labels, matrix: Floats, mirrored: bool) -> Labels:
    five = labels.five @ matrix[:, :2].T + matrix[:, 2]
    if mirrored:
        five = five[:, FLIP_FIVE]
    box = turn_boxes(labels.box, matrix)
    return Labels(box, five.astype(np.float32), labels.ignore, labels.confidence)


def clip(labels: Labels, x0: float, y0: float, x1: float, y1: float) -> Labels:
    """Cut to a window: faces less than 45 % inside are ignored, those under 8 % are dropped."""
    if not len(labels.box):
        return labels
    low, high = np.array([x0, y0], np.float32), np.array([x1, y1], np.float32)
    a, b = np.clip(labels.box[:, :2], low, high), np.clip(labels.box[:, 2:], low, high)
    full = np.maximum((labels.box[:, 2:] - labels.box[:, :2]).prod(1), 1e-3)
    inside = (b - a).prod(1) / full
    short = (b - a).min(1)
    five = labels.five.copy()
    five[((five < low) | (five > high)).any(2)] = np.nan
    ignore = labels.ignore | (inside < 0.45) | (short < SMALLEST)
    moved = Labels(np.concatenate([a, b], 1), five, ignore, labels.confidence)
    return moved.take((inside > 0.08) & (short > 1.0))


def warp(picture: Picture, matrix: Floats, out: Picture) -> None:
    """Draw `picture` through `matrix` into `out` [H, W], black outside; shrinks by area first."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.7:
        height, width = picture.shape
        small = (max(int(width * scale), 1), max(int(height * scale), 1))
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
        fx, fy = width / small[0], height / small[1]
        inner = np.diag([fx, fy]).astype(np.float32)
        shift = np.array([(fx - 1) / 2, (fy - 1) / 2], np.float32)
        matrix = np.concatenate(
            [matrix[:, :2] @ inner, (matrix[:, :2] @ shift + matrix[:, 2])[:, None]], 1
        ).astype(np.float32)
    cv2.warpAffine(picture, matrix, (out.shape[1], out.shape[0]), dst=out, flags=cv2.INTER_LINEAR)
