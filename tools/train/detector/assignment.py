"""Label assignment: which cell of the detector's grids learns which face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.detect import STRIDES
from tools.train.detector.labels import HEIGHT, WIDTH, Floats, Labels

LEVELS = ((0.0, 40.0), (32.0, 96.0), (80.0, 1e9))
"""Face sizes, sqrt(w h) in input pixels, that each stride learns; neighbours share a margin."""

REACH = 0.3
"""Distance from a face's centre, share of its side, up to which cells learn it."""

_FIRST = np.cumsum([0, *[(HEIGHT // s) * (WIDTH // s) for s in STRIDES]])
_GRIDS = [
    (int(first), s, HEIGHT // s, WIDTH // s, low, high)
    for first, s, (low, high) in zip(_FIRST, STRIDES, LEVELS, strict=False)
]
"""First cell, stride, rows, columns, smallest and largest face of each of the three grids."""


def assign(labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which face each of the 1,680 cells learns (-1: none) and which cells count in the loss.

    A cell is positive when the face's size suits its stride and its centre lies near the face's
    (centre sampling, Tian et al. 2019, arXiv:1904.01355): within 0.3 of the side, at least 0.6 and
    at most 1.5 strides. Of several faces the smallest wins.
    """
    owner = np.full(int(_FIRST[-1]), -1, np.int64)
    counts = np.ones(int(_FIRST[-1]), bool)
    side = labels.box[:, 2:] - labels.box[:, :2]
    size = np.sqrt(side.prod(1))
    middle = (labels.box[:, :2] + labels.box[:, 2:]) / 2
    for k in np.flatnonzero(labels.ignore):
        for first, stride, rows, columns, _, _ in _GRIDS:
            counts[_cells(middle[k], side[k] / 2 + 1, first, stride, rows, columns)] = False
    active = np.flatnonzero(~labels.ignore)
    for k in active[np.argsort(-size[active], kind="stable")]:  # the smallest comes last
        for first, stride, rows, columns, low, high in _GRIDS:
            if low <= size[k] < high:
                reach = np.clip(REACH * side[k], 0.6 * stride, 1.5 * stride)
                taken = _cells(middle[k], reach, first, stride, rows, columns)
                owner[taken] = k
                counts[taken] = True
    return owner, counts


def shares(owner: NDArray[np.int64]) -> Floats:
    """Weight float32[1680] of each positive cell: 1 / sqrt(cells of its face), 0 elsewhere.

    A large face has up to nine cells, one of ten pixels one or two: so each counts more nearly
    alike.
    """
    positive = owner >= 0
    cells = np.bincount(owner[positive], minlength=1)
    weight = np.zeros(len(owner), np.float32)
    weight[positive] = 1.0 / np.sqrt(cells[owner[positive]])
    return weight


def _cells(
    middle: Floats, reach: Floats, first: int, stride: int, rows: int, columns: int
) -> NDArray[np.int64]:
    """Cells of one grid whose centres lie less than `reach` from `middle`, both float32[2]."""
    cell = (middle + 0.5) / stride - 0.5
    low = np.maximum(np.floor(cell - reach / stride).astype(int) + 1, 0)
    high = np.minimum(np.ceil(cell + reach / stride).astype(int), [columns, rows])
    x, y = np.arange(low[0], high[0]), np.arange(low[1], high[1])
    return np.asarray(first + (y[:, None] * columns + x).ravel(), np.int64)
