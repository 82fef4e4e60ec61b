"""Signal processing for the baselines: resampling, alignment, contrast, peaks and runs."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from tools.bench.micro.subject import Found

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Points = NDArray[np.float32]

RIGID = np.array([27, 28, 29, 30, 33, 36, 39, 42, 45])


def tidy(timestamps: Array, landmarks: Points, confidence: Points) -> tuple[Array, Array, Flags]:
    """Even times, aligned landmarks in IOD, and where they can be relied on.

    Returns float64[N] seconds, float64[N, 68, 2] and bool[N]: False further than .1 s from a frame
    with a face.
    """
    seen = np.flatnonzero(confidence > 0)
    if len(seen) < 2:
        return np.zeros(0), np.zeros((0, 68, 2)), np.zeros(0, bool)
    times = timestamps[seen]
    step = float(np.median(np.diff(times)))
    even = np.arange(times[0], times[-1] + step / 2, step)
    flat = aligned(np.asarray(landmarks[seen], np.float64)).reshape(len(seen), -1)
    right = np.clip(np.searchsorted(times, even), 1, len(times) - 1)
    left = right - 1
    share = np.clip((even - times[left]) / (times[right] - times[left]), 0.0, 1.0)[:, None]
    values = (1 - share) * flat[left] + share * flat[right]
    good = np.minimum(np.abs(even - times[left]), np.abs(even - times[right])) < 0.1
    return even, values.reshape(-1, 68, 2), good


def aligned(points: Array) -> Array:
    """Each frame's landmarks by the similarity that fits its rigid points to the mean face's."""
    target = np.asarray(MEAN_SHAPE_3D, np.float64)[RIGID, :2]
    target = target - target.mean(0)
    rigid = points[:, RIGID]
    centre = rigid.mean(1, keepdims=True)
    source = rigid - centre
    a = np.einsum("tpd,pd->t", source, target)
    b = np.einsum("tp,p->t", source[..., 0], target[:, 1])
    b -= np.einsum("tp,p->t", source[..., 1], target[:, 0])
    size = np.maximum((source**2).sum((1, 2)), 1e-9)
    cos, sin = (a / size)[:, None], (b / size)[:, None]
    x, y = (points - centre)[..., 0], (points - centre)[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def frames(seconds: float, times: Array) -> int:
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return max(round(seconds / step), 1)


def top_third(values: Array) -> Array:
    count = max(1, round(values.shape[1] / 3))
    return np.asarray(np.partition(values, -count, axis=1)[:, -count:].mean(1))


def contrast(values: Array, k: int) -> Array:
    padded = np.pad(values, k, mode="edge")
    return np.asarray(values - (padded[: -2 * k] + padded[2 * k :]) / 2)


def threshold(signal: Array, p: float) -> float:
    mean = float(signal.mean())
    return mean + p * (float(signal.max()) - mean)


def peaks(above: Array, reach: int) -> list[int]:
    """Largest values above 0 within `reach` samples to either side."""
    padded = np.pad(above, reach, constant_values=-np.inf)
    highest = sliding_window_view(padded, 2 * reach + 1).max(1)
    return [int(k) for k in np.flatnonzero((above > 0) & (above == highest))]


def runs(times: Array, above: Array, good: Flags, extend: float) -> list[Found]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (above > 0).astype(int), [0]])))
    found = []
    for first, end in edges.reshape(-1, 2):
        if good[first:end].all():
            apex = first + int(np.argmax(above[first:end]))
            found.append(
                Found(
                    float(times[first]) - extend, float(times[apex]), float(times[end - 1]) + extend
                )
            )
    return found


def descend(signal: Array, apex: int, foot: float) -> tuple[int, int]:
    """Down both sides of a peak to `foot`, or to where it rises again by a third of the height."""
    ends = []
    slack = (signal[apex] - foot) / 3
    for step in (-1, 1):
        k = lowest = apex
        while 0 <= k + step < len(signal) and signal[k] > foot:
            k += step
            if signal[k] < signal[lowest]:
                lowest = k
            elif signal[k] > signal[lowest] + slack:
                break
        ends.append(lowest)
    return ends[0], ends[1]


def low_pass(signal: Array, step: float, limit: float) -> Array:
    """Ideal low-pass; mirrored ends."""
    spectrum = np.fft.rfft(np.concatenate([signal, signal[::-1]]))
    spectrum[np.fft.rfftfreq(2 * len(signal), step) > limit] = 0.0
    return np.fft.irfft(spectrum, 2 * len(signal))[: len(signal)]


def centred_mean(signal: Array, half: int) -> Array:
    padded = np.pad(signal, half, mode="edge")
    return np.asarray(sliding_window_view(padded, 2 * half + 1).mean(1))
