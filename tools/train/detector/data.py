"""Training samples for the detector: drawn pictures with the targets of all cells."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from tools.train.detector.assignment import assign, shares
from tools.train.detector.paint import Painter
from tools.train.detector.sources import Sources


class Stream(IterableDataset[tuple[torch.Tensor, ...]]):
    """Endless training samples: picture uint8[1, 256, 320], box float32[1680, 4], keypoints
    float32[1680, 5, 2], confidence float32[1680], weight float32[1680] (above 0: positive), counts
    bool[1680]."""

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
            confidence = np.zeros(len(owner), np.float32)
            confidence[positive] = labels.confidence[owner[positive]]
            yield tuple(
                torch.from_numpy(np.ascontiguousarray(a))
                for a in (picture[None], box, five, confidence, shares(owner), counts)
            )
