"""Slow, plain twins of the flow kernels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey

Double = NDArray[np.float64]


def _patch(picture: Grey, x: float, y: float, size: int) -> Double:
    """Bilinear, its columns from x - size / 2 on, float64[size, size]."""
    centre = (float(x) - 0.5, float(y) - 0.5)
    return cv2.getRectSubPix(np.asarray(picture, np.float32), (size, size), centre).astype(float)


def _gradients(wide: Double) -> tuple[Double, Double]:
    """Central differences without their means."""
    gx = (wide[1:-1, 2:] - wide[1:-1, :-2]) / 2
    gy = (wide[2:, 1:-1] - wide[:-2, 1:-1]) / 2
    return gx - gx.mean(), gy - gy.mean()


def _normal(gx: Double, gy: Double) -> Double:
    return np.array([[(gx * gx).sum(), (gx * gy).sum()], [(gx * gy).sum(), (gy * gy).sum()]])


def flow_point(before: Grey, after: Grey, start: Float, guess: Float, ridge: float) -> Double:
    """One row of `lucas_kanade`, float64[7], by many Gauss-Newton steps on OpenCV's patches."""
    wide = _patch(before, start[0], start[1], 10)
    gx, gy = _gradients(wide)
    template = wide[1:-1, 1:-1]
    own = _normal(gx, gy)
    pull = ridge * 64
    q = np.array(guess, float)
    for _ in range(30):
        e = template - _patch(after, q[0], q[1], 8)
        b = np.array([(gx * e).sum(), (gy * e).sum()]) + pull * (guess - q)
        q += np.linalg.solve(own + pull * np.eye(2), b)
    there = _patch(after, q[0], q[1], 10)
    gx, gy = _gradients(there)
    e = there[1:-1, 1:-1] - template
    b = np.array([(gx * e).sum(), (gy * e).sum()])
    back = np.linalg.solve(_normal(gx, gy) + pull * np.eye(2), b)
    return np.array([*q, own[0, 0], own[0, 1], own[1, 1], e.var(), np.hypot(*back)])
