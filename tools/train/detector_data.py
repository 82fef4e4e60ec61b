"""Training samples for the detector: drawn pictures with the targets of all cells."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from tools.train.detector_labels import Labels
from tools.train.detector_net import STRIDES, cells
from tools.train.detector_paint import Painter
from tools.train.detector_sources import Sources

LEVELS = ((0.0, 40.0), (32.0, 96.0), (80.0, 1e9))
"""Face sizes, sqrt(w h) in input pixels, that each stride learns; neighbours share a margin."""

_CENTRES, _CELL_STRIDES = (t.numpy() for t in cells())
_LEVEL = np.searchsorted(np.array(STRIDES), _CELL_STRIDES)
_LOW, _HIGH = np.array(LEVELS, np.float32)[_LEVEL].T


def assign(labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which face each of the 1,680 cells learns (-1: none) and which cells count in the loss.

    A cell is positive when the face's size suits its stride and its centre lies near the face's
    (centre sampling, Tian et al. 2019, arXiv:1904.01355): within a quarter of the side, at least
    0.6 and at most 1.5 strides. Of several faces the smallest wins.
    """
    owner = np.full(len(_CENTRES), -1, np.int64)
    counts = np.ones(len(_CENTRES), bool)
    active = np.flatnonzero(~labels.ignore)
    for box in labels.box[labels.ignore]:
        inside = (np.abs(_CENTRES - (box[:2] + box[2:]) / 2) <= (box[2:] - box[:2]) / 2 + 1).all(1)
        counts[inside] = False
    if len(active):
        box = labels.box[active]
        side = box[:, 2:] - box[:, :2]
        size = np.sqrt(side.prod(1))
        middle = (box[:, :2] + box[:, 2:]) / 2
        reach = np.clip(
            0.25 * side[:, None],
            0.6 * _CELL_STRIDES[None, :, None],
            1.5 * _CELL_STRIDES[None, :, None],
        )
        near = (np.abs(_CENTRES[None] - middle[:, None]) < reach).all(2)
        fits = (size[:, None] >= _LOW) & (size[:, None] < _HIGH)
        area = np.where(near & fits, size[:, None], np.inf)
        best = area.argmin(0)
        taken = np.isfinite(area[best, np.arange(len(best))])
        owner[taken] = active[best[taken]]
        counts[taken] = True
    return owner, counts


class Stream(IterableDataset[tuple[torch.Tensor, ...]]):
    """Endless training samples: picture uint8[1, 256, 320], box float32[1680, 4], keypoints
    float32[1680, 5, 2], positive bool[1680], counts bool[1680]."""

    def __init__(self, seed: int, sources: Sources | None = None) -> None:
        self.seed = seed
        self.sources = sources

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        info = get_worker_info()
        cv2.setNumThreads(1)
        painter = Painter(self.seed * 1000 + (info.id if info else 0), self.sources)
        while True:
            picture, labels = painter()
            owner, counts = assign(labels)
            positive = owner >= 0
            box = np.zeros((len(owner), 4), np.float32)
            five = np.full((len(owner), 5, 2), np.nan, np.float32)
            box[positive] = labels.box[owner[positive]]
            five[positive] = labels.five[owner[positive]]
            yield tuple(
                torch.from_numpy(np.ascontiguousarray(a))
                for a in (picture[None], box, five, positive, counts)
            )
