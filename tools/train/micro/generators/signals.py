"""Smooth random functions of time, and small rotations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def waves(rng: np.random.Generator, times: Array, low: float, high: float, slope: float) -> Array:
    """Sinusoids between `low` and `high` Hz with amplitudes falling as 1/f^`slope`; unit sd."""
    frequency = np.exp(rng.uniform(np.log(low), np.log(high), 10))
    weight = rng.normal(size=10) / frequency**slope
    weight *= np.sqrt(2.0 / (weight**2).sum())
    phase = rng.uniform(0.0, 2 * np.pi, 10)
    return np.asarray(np.sin(2 * np.pi * np.outer(times, frequency) + phase) @ weight)


def autoregressive(rng: np.random.Generator, count: int, width: int, keep: float) -> Array:
    """Unit-variance AR(1) processes float64[count, width]."""
    noise = rng.standard_normal((count, width))
    noise[1:] *= np.sqrt(1.0 - keep**2)
    for k in range(1, count):
        noise[k] += keep * noise[k - 1]
    return noise


def second_order(drive: Array, step: float, tau: float) -> Array:
    """Critically damped low-pass of `drive` float64[T, ...], time constant `tau` seconds."""
    keep = float(np.exp(-step / tau))
    out = drive.copy()
    for _ in range(2):
        out *= 1.0 - keep
        out[0] /= 1.0 - keep
        for k in range(1, len(out)):
            out[k] += keep * out[k - 1]
    return out


def spline(
    rng: np.random.Generator, times: Array, gap: tuple[float, float], spread: float
) -> Array:
    """Through random keyframes `gap` seconds apart, smoothly, resting at each; sd `spread`."""
    at, value = [times[0] - 1.0], [rng.normal(0.0, spread)]
    while at[-1] < times[-1] + 1.0:
        at.append(at[-1] + rng.uniform(*gap))
        value.append(0.7 * value[-1] + rng.normal(0.0, 0.7 * spread))
    keys, level = np.array(at), np.array(value)
    before = np.clip(np.searchsorted(keys, times, side="right") - 1, 0, len(keys) - 2)
    share = (times - keys[before]) / (keys[before + 1] - keys[before])
    share = share**2 * (3.0 - 2.0 * share)
    return np.asarray(level[before] + share * (level[before + 1] - level[before]))


def gate(times: Array, start: float, end: float, ramp: float) -> Array:
    """1 between `start` and `end`, with straight flanks of `ramp` seconds inside."""
    return np.asarray(np.clip(np.minimum(times - start, end - times) / max(ramp, 1e-3), 0.0, 1.0))


def smooth_root(shape: Array, reach: float) -> Array:
    """Root float64[68, 68] of a Gaussian covariance over the frontal face; unit variances."""
    flat = shape[:, :2]
    square = ((flat[:, None] - flat[None]) ** 2).sum(2)
    root = np.linalg.cholesky(np.exp(-square / (2 * reach**2)) + 1e-5 * np.eye(68))
    return np.asarray(root / np.linalg.norm(root, axis=1, keepdims=True))


def spread(root: Array, values: Array) -> Array:
    """`root` float64[68, 68] applied to the landmarks of float64[T, 68, 2]."""
    return np.asarray(np.tensordot(values, root, (1, 1)).transpose(0, 2, 1))


def rotation(pitch: Array, yaw: Array, roll: Array) -> Array:
    """Rotation matrices float64[T, 3, 3]: yaw first, then pitch, then roll; radians."""
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def matrix(*rows: Array) -> Array:
        return np.stack(rows, 1).reshape(-1, 3, 3)

    cx, sx, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    cz, sz = np.cos(roll), np.sin(roll)
    about_x = matrix(one, zero, zero, zero, cx, -sx, zero, sx, cx)
    about_y = matrix(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    about_z = matrix(cz, -sz, zero, sz, cz, zero, zero, zero, one)
    return np.asarray(about_z @ about_x @ about_y)
