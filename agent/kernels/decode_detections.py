"""Decoding the output maps of an anchor-free detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]


@kernel()
def decode_detections(
    score: Float,
    box: Float,
    keypoints: Float,
    stride: int,
    size_unit: float,
    logit: float,
    across: float,
    down: float,
    boxes: Float,
    scores: Float,
    points: Float,
    filled: int,
) -> int:  # pragma: no cover
    """Append the detections of one stride to those of previous strides.

    Parameters
    ----------
    score, box, keypoints : float32[1, R, C, 1], float32[1, R, C, 4], float32[1, R, C, 10]
        As `agent.vision.faces.detect.decode` describes them.
    stride : int
        Input pixels per cell.
    size_unit : float
        Side of a box with code 0, strides.
    logit : float
        Detection threshold.
    across, down : float
        Input pixels per frame pixel.
    boxes, scores, points : float32[N, 4], float32[N], float32[N, 5, 2]
        Written from index `filled` on, frame pixels and probabilities; room for every cell.
    filled : int
        Detections so far.

    Returns
    -------
    int
        Detections including these.

    Notes
    -----
    O(R C). Twin: tests/kernels/naive_decode_detections.py.
    """
    for row in range(score.shape[1]):
        for column in range(score.shape[2]):
            value = score[0, row, column, 0]
            if not value > logit:
                continue
            x = (column + 0.5) * stride - 0.5
            y = (row + 0.5) * stride - 0.5
            code = box[0, row, column]
            middle_x = x + code[0] * stride
            middle_y = y + code[1] * stride
            half = size_unit / 2 * stride
            half_x = np.exp(min(max(code[2], -6.0), 4.0)) * half
            half_y = np.exp(min(max(code[3], -6.0), 4.0)) * half
            # scaling keeps pixel edges, not pixel centres, in place
            boxes[filled, 0] = (middle_x - half_x + 0.5) / across - 0.5
            boxes[filled, 1] = (middle_y - half_y + 0.5) / down - 0.5
            boxes[filled, 2] = (middle_x + half_x + 0.5) / across - 0.5
            boxes[filled, 3] = (middle_y + half_y + 0.5) / down - 0.5
            scores[filled] = 1.0 / (1.0 + np.exp(-value))
            for k in range(5):
                point_x = x + keypoints[0, row, column, 2 * k] * stride
                point_y = y + keypoints[0, row, column, 2 * k + 1] * stride
                points[filled, k, 0] = (point_x + 0.5) / across - 0.5
                points[filled, k, 1] = (point_y + 0.5) / down - 0.5
            filled += 1
    return filled
