"""Fusion of what several views of one picture show of the same face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]


@kernel()
def fuse_boxes(
    boxes: Float,
    logits: Float,
    points: Float,
    view: NDArray[np.int64],
    views: Float,
    width: float,
    height: float,
    iou_above: float,
    missed: float,
    least: float,
    most: float,
    fused: Float,
    fused_points: Float,
    answers: Float,
) -> int:  # pragma: no cover
    """Group boxes by overlap with the strongest left; average each group, one box per view.

    Parameters
    ----------
    boxes : float32[N, 4]
        xyxy, picture pixels, of all views.
    logits : float32[N]
        Their scores.
    points : float32[N, K, 2]
        Their keypoints, picture pixels.
    view : int64[N]
        Which view each comes from.
    views : float32[V, 5]
        Of each view the rectangle that it shows (xyxy, picture pixels, may reach beyond the
        picture) and its input pixels per picture pixel.
    width, height : float
        Of the picture, pixels.
    iou_above : float
        Intersection over union from which two boxes are of one face.
    missed : float
        Logit that counts for a view which should show the face and does not.
    least, most : float
        Side of a face, input pixels, between which a view should show it: geometric mean of width
        and height.
    fused, fused_points, answers : float32[N, 4], float32[N, K, 2], float32[N, V]
        Overwritten: boxes, keypoints, and each view's logit; NaN where the view could not show the
        face, which is outside it, cut by its edge inside the picture, too small or too large.

    Returns
    -------
    int
        Number of groups, by falling logit of their strongest box.

    Notes
    -----
    Boxes count with the square of their probability. O(N log N + N M + M V). Weighted boxes fusion
    (Solovyev, Wang & Gabruseva 2021, arXiv:1910.13302), but groups form around their strongest box,
    and views that miss a face are told from views that cannot show it. Twin:
    tests/kernels/naive_fuse_boxes.py.
    """
    count = boxes.shape[0]
    order = np.argsort(-logits, kind="mergesort")
    used = np.zeros(count, np.bool_)
    groups = 0
    for rank in range(count):
        i = order[rank]
        if used[i]:
            continue
        x0, y0, x1, y1 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        area = max(x1 - x0, np.float32(0)) * max(y1 - y0, np.float32(0))
        fused[groups] = 0.0
        fused_points[groups] = 0.0
        answers[groups] = np.nan
        total = 0.0
        for later in range(rank, count):
            j = order[later]
            if used[j]:
                continue
            if j != i:
                across = min(x1, boxes[j, 2]) - max(x0, boxes[j, 0])
                down = min(y1, boxes[j, 3]) - max(y0, boxes[j, 1])
                if across <= 0.0 or down <= 0.0:
                    continue
                shared = across * down
                other = (boxes[j, 2] - boxes[j, 0]) * (boxes[j, 3] - boxes[j, 1])
                if not shared > iou_above * (area + other - shared):
                    continue
            used[j] = True
            if not np.isnan(answers[groups, view[j]]):
                continue  # the same face twice in one view
            answers[groups, view[j]] = logits[j]
            weight = (1.0 / (1.0 + np.exp(-logits[j]))) ** 2
            total += weight
            for c in range(4):
                fused[groups, c] += weight * boxes[j, c]
            for c in range(points.shape[1]):
                fused_points[groups, c, 0] += weight * points[j, c, 0]
                fused_points[groups, c, 1] += weight * points[j, c, 1]
        for c in range(4):
            fused[groups, c] /= total
        for c in range(points.shape[1]):
            fused_points[groups, c, 0] /= total
            fused_points[groups, c, 1] /= total
        box = fused[groups]
        side = np.sqrt(max(box[2] - box[0], np.float32(0)) * max(box[3] - box[1], np.float32(0)))
        for v in range(views.shape[0]):
            if not np.isnan(answers[groups, v]):
                continue
            left, top, right, bottom, scale = views[v]
            edge_x, edge_y = 0.01 * (right - left), 0.01 * (bottom - top)
            if (
                (left <= 0.0 or box[0] > left + edge_x)
                and (top <= 0.0 or box[1] > top + edge_y)
                and (right >= width or box[2] < right - 1.0 - edge_x)
                and (bottom >= height or box[3] < bottom - 1.0 - edge_y)
                and least <= side * scale <= most
            ):
                answers[groups, v] = missed
        groups += 1
    return groups
