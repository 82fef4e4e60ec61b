"""The slow, obvious twin of `agent.kernels.fuse_boxes`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.kernels.naive_nms import iou

Double = NDArray[np.float64]


def fuse_boxes(
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    points: NDArray[np.float32],
    view: NDArray[np.int64],
    views: NDArray[np.float32],
    size: tuple[float, float],
    iou_above: float,
    missed: float,
    sides: tuple[float, float],
) -> tuple[list[Double], list[Double], list[list[float]]]:
    """Fused boxes, their keypoints, and a row of answers for each."""
    left = sorted(range(len(boxes)), key=lambda i: (-float(logits[i]), i))
    fused, keypoints, answers = [], [], []
    while left:
        best = left[0]
        near = [i for i in left if i == best or iou(boxes[best], boxes[i]) > iou_above]
        left = [i for i in left if i not in near]
        members: dict[int, int] = {}
        for i in near:
            members.setdefault(int(view[i]), i)
        weights = [(1 / (1 + math.exp(-float(logits[i])))) ** 2 for i in members.values()]
        chosen = list(members.values())
        box = np.average(boxes[chosen].astype(np.float64), 0, weights)
        fused.append(box)
        keypoints.append(np.average(points[chosen].astype(np.float64), 0, weights))
        row = []
        for v in range(len(views)):
            if v in members:
                row.append(float(logits[members[v]]))
            else:
                row.append(missed if _shows(views[v], box, size, sides) else math.nan)
        answers.append(row)
    return fused, keypoints, answers


def _shows(
    view: NDArray[np.float32], box: Double, size: Sequence[float], sides: tuple[float, float]
) -> bool:
    """Whether a view contains a box and neither cuts it nor sees it too small or too large."""
    low, high, scale = view[:2].astype(float), view[2:4].astype(float), float(view[4])
    edge = 0.01 * (high - low)
    for axis in (0, 1):
        if low[axis] > 0 and not box[axis] > low[axis] + edge[axis]:
            return False
        if high[axis] < size[axis] and not box[axis + 2] < high[axis] - 1 - edge[axis]:
            return False
    side = math.sqrt(max(box[2] - box[0], 0) * max(box[3] - box[1], 0)) * scale
    return sides[0] <= side <= sides[1]
