"""Greedy non-maximum suppression of boxes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, cache=True)
def nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], iou_above: float
) -> NDArray[np.int64]:
    """Which boxes stay: the strongest first, then each that overlaps none of those kept before.

    Parameters
    ----------
    boxes : float32[N, 4]
        xyxy, any one unit; a box with x1 <= x0 or y1 <= y0 has no area and overlaps nothing.
    scores : float32[N]
        Higher is stronger; of equal scores the lower index counts as stronger.
    iou_above : float
        A box is dropped when its intersection over union with a kept one is above this.

    Returns
    -------
    int64[M]
        Indices into `boxes`, by falling score.

    Notes
    -----
    O(N log N + N·M) time, O(N) memory. The usual greedy scheme (Viola & Jones 2004 merge instead of
    dropping; this form after Felzenszwalb et al. 2010, section 7.2, with IoU in place of their
    one-sided overlap). Twin: tests/kernels/naive_nms.py.
    """
    count = boxes.shape[0]
    order = np.argsort(-scores, kind="mergesort")
    kept = np.empty(count, np.int64)
    areas = np.empty(count, np.float64)
    for i in range(count):
        width = max(float(boxes[i, 2]) - float(boxes[i, 0]), 0.0)
        areas[i] = width * max(float(boxes[i, 3]) - float(boxes[i, 1]), 0.0)
    total = 0
    for place in range(count):
        i = order[place]
        stays = True
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
                stays = False
                break
        if stays:
            kept[total] = i
            total += 1
    return kept[:total].copy()
