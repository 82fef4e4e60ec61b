"""Intersection over union, and greedy non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel


@kernel()
def nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], iou_above: float
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression.

    Parameters
    ----------
    boxes : float32[N, 4]
        xyxy, any unit; a box with x1 <= x0 or y1 <= y0 has no area and overlaps nothing.
    scores : float32[N]
        Ties are broken by the lower index.
    iou_above : float
        A box is dropped when its IoU with a kept one is above this.

    Returns
    -------
    int64[M]
        Indices of the kept boxes, by falling score.

    Notes
    -----
    O(N log N + N·M) time, O(N) memory. After Felzenszwalb et al. 2010, section 7.2, with IoU in
    place of their one-sided overlap. Twin: tests/kernels/naive_nms.py.
    """
    count = boxes.shape[0]
    order = np.argsort(-scores, kind="mergesort")
    kept = np.empty(count, np.int64)
    areas = np.empty(count, np.float64)
    for i in range(count):
        width = max(float(boxes[i, 2]) - float(boxes[i, 0]), 0.0)
        areas[i] = width * max(float(boxes[i, 3]) - float(boxes[i, 1]), 0.0)
    total = 0
    for rank in range(count):
        i = order[rank]
        keep = True
        for k in range(total):
            j = kept[k]
            width = min(float(boxes[i, 2]), float(boxes[j, 2])) - max(
                float(boxes[i, 0]), float(boxes[j, 0])
            )
            height = min(float(boxes[i, 3]), float(boxes[j, 3])) - max(
                float(boxes[i, 1]), float(boxes[j, 1])
            )
            if width <= 0.0 or height <= 0.0:
                continue
            shared = width * height
            if shared > iou_above * (areas[i] + areas[j] - shared):
                keep = False
                break
        if keep:
            kept[total] = i
            total += 1
    return kept[:total].copy()


@kernel()
def pairwise_iou(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> NDArray[np.float32]:  # pragma: no cover
    """Intersection over union of boxes float32[N, 4] and float32[M, 4] (xyxy), float32[N, M]."""
    out = np.zeros((a.shape[0], b.shape[0]), np.float32)
    for i in range(a.shape[0]):
        for k in range(b.shape[0]):
            width = min(a[i, 2], b[k, 2]) - max(a[i, 0], b[k, 0])
            height = min(a[i, 3], b[k, 3]) - max(a[i, 1], b[k, 1])
            if width <= 0.0 or height <= 0.0:
                continue
            shared = width * height
            first = (a[i, 2] - a[i, 0]) * (a[i, 3] - a[i, 1])
            second = (b[k, 2] - b[k, 0]) * (b[k, 3] - b[k, 1])
            out[i, k] = shared / max(first + second - shared, np.float32(1e-6))
    return out
