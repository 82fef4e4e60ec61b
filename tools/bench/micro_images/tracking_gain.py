"""Gain of tracking: how much of an injected movement the landmarks reproduce."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from tools.micro.injection import Injection
from tools.micro.warp import camera_of

Series = NDArray[np.float64]
_MEAN = np.concatenate([np.asarray(MEAN_SHAPE_3D, np.float64), np.ones((68, 1))], 1)
_SLACK = 0.005
"""Seconds: containers round the times of frames."""
_LAGS = np.arange(-20, 21) * 0.005
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One injected movement as the landmarks of a video show it."""

    gain: float
    """Their movement over the injected one: 1 is all of it, NaN where the face was not seen."""
    correlation: float
    """With the injected course, around the movement."""
    lag: float
    """Seconds by which they follow it; NaN where they hardly follow."""
    noise: float
    """Standard deviation of the same reading on the twin without movements, inter-ocular
    distances; white part (from second differences)."""


def reading(landmarks: Float, direction: Float) -> Series:
    """How far the face has gone along `direction`, float64[T] inter-ocular distances.

    Head pose is taken out by the affine camera on the rigid points; `direction` float32[68, 2] is
    of the frontal face, its largest displacement 1.
    """
    wanted = direction.astype(np.float64)
    share = wanted / (wanted**2).sum()
    out = np.empty(len(landmarks))
    for t, points in enumerate(landmarks):
        camera = camera_of(points)
        rest = points - _MEAN @ camera.T
        frontal = np.linalg.solve(camera[:, :2], rest.T).T
        out[t] = float((frontal * share).sum())
    return out


def kept(
    time: Series,
    landmarks: Float,
    still_time: Series,
    still: Float,
    injected: Injection,
    direction: Float,
) -> Kept:
    """Compare a video with its twin without movements (same frames, same grain).

    The twin is taken off, so that what is left is the answer to the movement. `direction` as in
    `reading`; times float64[T], landmarks float32[T, 68, 2] in pixels.
    """
    around = (injected.onset - 0.4, injected.offset + 0.4)
    rows = np.flatnonzero((time >= around[0]) & (time <= around[1]))
    nothing = Kept(np.nan, np.nan, np.nan, np.nan)
    if len(rows) < 10 or len(still_time) < 10:
        return nothing
    twin = np.searchsorted(still_time, time[rows] - _SLACK).clip(max=len(still_time) - 1)
    if np.abs(still_time[twin] - time[rows]).max() > _SLACK:
        return nothing
    base = reading(still[twin], direction)
    answer = (reading(landmarks[rows], direction) - base) / injected.amplitude
    noise = 1.4826 * float(np.median(np.abs(np.diff(base, 2)))) / np.sqrt(6.0)
    found = [(_fit(time[rows] - lag, answer, injected), lag) for lag in _LAGS]
    (gain, correlation), lag = max(found, key=lambda item: item[0][1])
    follows = correlation > 0.5 and gain > 0.1
    return Kept(gain, correlation, lag if follows else np.nan, noise)


def _fit(time: Series, answer: Series, injected: Injection) -> tuple[float, float]:
    """Slope on the injected course beside a straight line, and the correlation."""
    course = np.array([injected.course(t) for t in time])
    line = np.stack([np.ones(len(time)), time - time.mean()], 1)
    basis, _ = np.linalg.qr(line)
    course = course - basis @ (basis.T @ course)
    answer = answer - basis @ (basis.T @ answer)
    norm = float(course @ course)
    gain = float(course @ answer) / max(norm, 1e-12)
    size = float(np.sqrt(norm * (answer @ answer)))
    return gain, float(course @ answer) / max(size, 1e-12)
