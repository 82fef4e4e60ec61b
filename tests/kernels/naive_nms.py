"""The slow, obvious twin of `agent.kernels.nms`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two xyxy boxes; 0 where either has no area."""
    p, q = a.astype(np.float64), b.astype(np.float64)
    shared = np.maximum(np.minimum(p[2:], q[2:]) - np.maximum(p[:2], q[:2]), 0.0).prod()
    if shared == 0.0:
        return 0.0
    sides = np.maximum(p[2:] - p[:2], 0.0).prod() + np.maximum(q[2:] - q[:2], 0.0).prod()
    return float(shared / (sides - shared))


def nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], iou_above: float
) -> NDArray[np.int64]:
    """Take the strongest box left, throw away what overlaps it, again and again."""
    left = sorted(range(len(boxes)), key=lambda i: (-float(scores[i]), i))
    kept: list[int] = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if iou(boxes[best], boxes[i]) <= iou_above]
    return np.array(kept, np.int64)
