"""Slow, plain twins of the geometry and pose kernels."""

from __future__ import annotations

import numpy as np

from agent.base.types import Float


def fit_similarity(source: Float, target: Float, weights: Float) -> Float:
    """Weighted similarity by linear least squares on (a, b, tx, ty)."""
    rows, values = [], []
    for (x, y), (u, v), w in zip(source, target, weights, strict=True):
        root = np.sqrt(w)
        rows += [[root * x, -root * y, root, 0], [root * y, root * x, 0, root]]
        values += [root * u, root * v]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows, float), np.array(values, float), rcond=None)[0]
    return np.array([[a, -b, tx], [b, a, ty]], np.float32)


def map_points(matrix: Float, points: Float) -> Float:
    """Points float32[N, 2] through a float32[2, 3] matrix."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> Float:
    """Camera-frame rotation of a shape that looks along -z, for angles as in `Pose`."""
    y, p, r = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray(turn @ nod @ tilt, np.float32)
