"""Calibration of the per-point error that the landmark network predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.vision.faces.align import cut
from agent.vision.faces.landmarks import crop_matrix
from tools.common.bootstrap import spearman
from tools.eval.landmarks.distances import iod
from tools.eval.landmarks.measure import Net, Offset, displaced
from tools.train.landmarks.data import SIZE, Faces, back

BINS = 10
WITHIN = {"1x": 0.594, "2x": 0.908}
"""Share of distances below once and twice the expected one if the density is an isotropic Laplace:
1 - (1 + 2 k) exp(-2 k)."""


def judged(
    net: Net, faces: Faces, rows: NDArray[Any], offset: Offset, seed: int = 1
) -> tuple[Float, Float]:
    """Distances to the labels and expected ones after one pass, both float32[N, 68], % of the IOD.

    NaN in both where a label lies outside its picture.
    """
    rng = np.random.default_rng(seed)
    found = np.full((len(rows), 68), np.nan, np.float32)
    expected = found.copy()
    for k, i in enumerate(rows):
        label = faces.points[i]
        matrix = crop_matrix(displaced(label, offset(rng)))
        answer = net(cut(faces.pictures[i], matrix, SIZE))
        if answer.spread is None:
            raise ValueError("This network does not tell how far off its points may be.")
        seen = faces.weight[i] > 0
        distance = np.hypot(*(back(matrix, answer.points) - label).T) / iod(label)
        found[k, seen] = 100 * distance[seen]
        expected[k, seen] = 100 * answer.spread[seen]
    return found, expected


def trust(found: Float, expected: Float) -> dict[str, Any]:
    """Expected against found distances, both float32[N, 68] in % of the IOD with NaN left out.

    `mean_ratio` found over expected; `rank_correlation` (Spearman 1904) over points, over the
    points' means per face, and within each of the 68 points (mean); `within` the share of points
    nearer than once and twice the expected distance, beside what an isotropic Laplace density
    implies; `by_tenth` mean expected and found distance per tenth of the points, surest first.
    """
    known = np.isfinite(found) & np.isfinite(expected)
    a, b = expected[known].astype(np.float64), found[known].astype(np.float64)
    order = np.argsort(a, kind="stable")
    tenths = np.array_split(order, BINS)
    per_point = [
        spearman(expected[known[:, p], p], found[known[:, p], p])
        for p in range(found.shape[1])
        if known[:, p].sum() > 2
    ]
    return {
        "mean_ratio": round(float(b.mean() / a.mean()), 3),
        "rank_correlation": {
            "points": round(spearman(a, b), 3),
            "faces": round(spearman(np.nanmean(expected, 1), np.nanmean(found, 1)), 3),
            "within each point": round(float(np.mean(per_point)), 3),
        },
        "within": {
            name: {"found": round(float((b < float(name[:-1]) * a).mean()), 3), "implied": share}
            for name, share in WITHIN.items()
        },
        "by_tenth": [
            {"expected": round(float(a[t].mean()), 2), "found": round(float(b[t].mean()), 2)}
            for t in tenths
        ],
    }
