"""Slow, plain twins of the spotter's kernels: whole sequences at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def face_channels(points: Array, inverse: Array, weights: Array, vertical: Array) -> Array:
    camera = inverse.astype(np.float64) @ points.astype(np.float64)
    x_row, y_row = camera[:3, 0], camera[:3, 1]
    scale = (np.linalg.norm(x_row) + np.linalg.norm(y_row)) / 2 + 1e-6
    roll = np.arctan2(y_row[0] - x_row[1], x_row[0] + y_row[1])
    upright = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]]) / scale
    moved = weights.astype(np.float64) @ points.astype(np.float64) @ upright.T
    channels = 100 * np.where(vertical, moved[:, 1], moved[:, 0])
    turned = upright @ camera[2]
    return np.array([*channels, *turned, roll, np.log(scale), *(camera[3] / scale), scale])


def steps_of(times: Array, values: Array, length: float) -> Array:
    """Means of the straight lines between frames over each whole step from the first frame on."""
    edges = times[0] + length * np.arange(int((times[-1] - times[0]) / length + 1e-9) + 1)
    every = np.union1d(times, edges)
    lines = np.stack([np.interp(every, times, column) for column in values.T], axis=1)
    area = np.cumsum((lines[1:] + lines[:-1]) / 2 * np.diff(every)[:, None], axis=0)
    area = np.concatenate([np.zeros((1, values.shape[1])), area])
    at = np.searchsorted(every, edges)
    return np.asarray(np.diff(area[at], axis=0) / length)


def normalise(steps: Array, length: float, regions: Array) -> Array:
    """Inputs float64[T, C + 17] of steps float64[T, C + 7]."""
    channels = steps.shape[1] - 7
    values, pose = steps[:, :channels], steps[:, channels : channels + 6]
    first = regions[1]
    closure = (values[:, first : first + 2] - values[:, first + 2 : first + 4]).mean(1)
    level = np.append(values[0], closure[0])
    noise = np.zeros((2, channels))
    rows = []
    for now in range(len(steps)):
        seen = now - 9
        if seen > 0:
            for scale, lag in enumerate((5, 1)):
                bend = np.abs(
                    values[now - lag] - (values[now] + values[now - 2 * lag]) / 2,
                )
                if seen <= 45:
                    if seen > 8:
                        bend = np.minimum(bend, 3 * noise[scale])
                    noise[scale] += (bend - noise[scale]) / seen
                else:
                    noise[scale] *= np.where(bend > noise[scale], 1.012, 0.988)
            noise = np.maximum(noise, [[0.02], [0.01]])
        away = np.append(values[now], closure[now]) - level
        unit = np.maximum(noise[0] * 1.48 / 1.2, 0.04)
        limit = np.append(np.maximum(3 * noise[0], 0.15), 0.5)
        level = level + 0.05 * np.clip(away, -limit, limit)
        speed = (pose[now] - pose[max(now - 1, 0)]) / length
        spans = [slice(a, b) for a, b in pairwise(regions)]
        logs = np.log(noise + 0.02)
        rows.append(
            np.concatenate(
                [
                    4 * np.arcsinh(away[:-1] / unit / 4),
                    [2 * np.arcsinh(away[-1] / 2)],
                    np.arcsinh(speed / 0.15),
                    [steps[now, -1]],
                    [logs[0, span].mean() + 1.5 for span in spans],
                    [logs[1, span].mean() + 2.0 for span in spans],
                    [float(now >= 40)],
                ]
            )
        )
    return np.array(rows)


def network(inputs: Array, weights: dict[str, Array]) -> Array:
    """Outputs float64[T, O] of inputs float64[T, I]; nothing before the first step."""
    state = np.maximum(_convolved(inputs, weights["first"], weights["first_bias"], 1), 0)
    for layer, bias, dilation in zip(
        weights["middle"], weights["middle_bias"], weights["dilations"], strict=True
    ):
        state = state + np.maximum(_convolved(state, layer, bias, int(dilation)), 0)
    return np.asarray(state @ weights["head"] + weights["head_bias"])


def _convolved(inputs: Array, kernel: Array, bias: Array, dilation: int) -> Array:
    taps = len(kernel)
    padded = np.concatenate([np.zeros(((taps - 1) * dilation, inputs.shape[1])), inputs])
    total = np.zeros((len(inputs), kernel.shape[2])) + bias
    for k in range(taps):
        total += padded[k * dilation : k * dilation + len(inputs)] @ kernel[k]
    return np.asarray(total)
