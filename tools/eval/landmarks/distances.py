"""Distances between found and true landmarks, in shares of the outer eye-corner distance (IOD)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.vision.faces.align import MEAN_SHAPE, apply, similarity

INNER = slice(17, 68)
"""All points but the jaw's."""


def iod(points: Float) -> float:
    """Distance between the outer eye corners of float32[68, 2]."""
    return float(np.hypot(*(points[45] - points[36])))


def distances(found: Float, true: Float) -> Float:
    """Percent of the true IOD, float32[68]; NaN where either has no point."""
    return np.asarray(100 * np.hypot(*(found - true).T) / iod(true), np.float32)


def errors(placed: Float, labels: Float, seen: NDArray[np.bool_]) -> Float:
    """`distances` of many faces, float32[N, 68]; NaN where a label is not `seen`, bool[N, 68]."""
    pairs = zip(placed, labels, strict=True)
    found = np.stack([distances(points, label) for points, label in pairs])
    return np.where(seen, found, np.float32(np.nan))


def face_offsets(found: Float, true: Float) -> Float:
    """How far each point lies off in the face's own upright frame, IOD units, float32[68, 2]."""
    matrix = similarity(true[INNER], MEAN_SHAPE[INNER])
    return np.asarray((found - true) @ matrix[:, :2].T, np.float32)


def without_habits(offsets: Float, part: NDArray[np.bool_]) -> Float:
    """Distances in percent of the IOD after each point's mean offset is taken out.

    Networks follow the definitions of the points that they were trained on; a constant offset from
    another definition is a habit, not an error. The mean is taken over the faces of the other part.

    Parameters
    ----------
    offsets : float32[N, 68, 2]
        Of `face_offsets`.
    part : bool[N]
        A split into two; people on one side only.

    Returns
    -------
    float32[N, 68]
    """
    left = offsets.copy()
    for side in (part, ~part):
        if side.any() and (~side).any():
            left[side] -= _mean_known(offsets[~side])
    return np.asarray(100 * np.hypot(left[..., 0], left[..., 1]), np.float32)


def _mean_known(offsets: Float) -> Float:
    """Mean of float32[N, 68, 2] over the faces that have a point; NaN where none has."""
    known = np.isfinite(offsets)
    total, count = np.where(known, offsets, 0).sum(0), known.sum(0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float32)


def spread(shapes: Float) -> float:
    """Frame-to-frame noise of points float32[T, N, 2], percent of `iod` of the mean shape.

    Standard deviation per coordinate over time, root mean square over the inner points.
    """
    deviation = shapes[:, INNER].std(0, ddof=1)
    size = iod(np.asarray(shapes.mean(0), np.float32))
    return 100 * float(np.sqrt((deviation**2).mean())) / size


def aligned_spread(shapes: Float) -> float:
    """The same after the similarity that all points share is taken out of each frame."""
    mean = np.asarray(shapes[:, INNER].mean(0), np.float32)
    moved = np.stack([apply(similarity(s[INNER], mean), s) for s in shapes])
    return spread(moved)
