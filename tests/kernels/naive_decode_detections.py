"""Slow, plain twin of the kernel that decodes the detector's maps."""

from __future__ import annotations

import numpy as np

from agent.base.types import Float


def decode_detections(
    score: Float,
    box: Float,
    keypoints: Float,
    stride: int,
    size_unit: float,
    logit: float,
    across: float,
    down: float,
) -> tuple[Float, Float, Float]:
    cells = np.flatnonzero(score > logit)
    rows, columns = np.divmod(cells, score.shape[2])
    centre = (np.stack([columns, rows], 1) + 0.5) * stride - 0.5
    code = box.reshape(-1, 4)[cells].astype(float)
    middle = centre + code[:, :2] * stride
    half = np.exp(np.clip(code[:, 2:], -6.0, 4.0)) * (size_unit / 2 * stride)
    points = centre[:, None] + keypoints.reshape(-1, 5, 2)[cells] * stride
    scale = np.array([across, down])
    boxes = np.concatenate([middle - half, middle + half], 1).reshape(-1, 2)
    points = (points + 0.5) / scale - 0.5
    return (
        ((boxes + 0.5) / scale - 0.5).reshape(-1, 4).astype(np.float32),
        (1.0 / (1.0 + np.exp(-score.reshape(-1)[cells]))).astype(np.float32),
        points.astype(np.float32),
    )
