"""Photographed scenes whose terms allow any use, with their boxes, and their face-free pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from tools.common.packs import decode, load
from tools.train.clean.photographs import held_pictures
from tools.train.detector.labels import Labels

Scenes = tuple[list[Grey], list[Labels]]


def cc0(held_out: bool = False) -> Scenes:
    """The CC0 mask scenes' training part, boxes drawn by people, or what is held out of it."""
    scenes = load("scenes.npz")
    held = held_pictures(scenes)
    own = (scenes["source"] == "facemask_cc0") & (scenes["split"] == 0) & (held == held_out)
    return _taken(scenes, np.flatnonzero(own))


def intel(split: int) -> Scenes:
    """Frames of Intel's sample videos, boxes by permissive teachers; 0 train, 1 held out."""
    scenes = load("scenes.npz")
    own = (scenes["source"] == "intel_ccby_frames") & (scenes["split"] == split)
    return _taken(scenes, np.flatnonzero(own))


def _taken(scenes: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> Scenes:
    pictures, labels = [], []
    for i in rows:
        own = np.flatnonzero(scenes["box_img"] == i)
        pictures.append(decode(scenes["jpeg"], scenes["off"], int(i)))
        labels.append(
            Labels(
                scenes["box"][own].astype(np.float32),
                scenes["kps"][own].astype(np.float32),
                scenes["ignore"][own] == 1,
            )
        )
    return pictures, labels


def pieces(
    pictures: Sequence[Grey], every: Sequence[Labels], seed: int, each: int = 6
) -> list[Grey]:
    """Parts of scenes that hold no face: hands, clothes, walls, furniture."""
    rng = np.random.default_rng(seed)
    found = []
    for picture, labels in zip(pictures, every, strict=True):
        height, width = picture.shape
        kept = 0
        for _ in range(40):
            side = int(rng.uniform(0.2, 0.6) * min(height, width))
            x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
            if not apart(labels.box, x, y, side):
                continue
            found.append(picture[y : y + side, x : x + side].copy())
            kept += 1
            if kept == each:
                break
    return found


def apart(boxes: Float, x: int, y: int, side: int) -> bool:
    """True where a square with its corner at x, y stays clear of all boxes float32[N, 4].

    A third of a box's size beside it counts as part of the face.
    """
    grow = 0.35 * (boxes[:, 2:] - boxes[:, :2])
    low, high = boxes[:, :2] - grow, boxes[:, 2:] + grow
    return not ((low < [x + side, y + side]) & (high > [x, y])).all(1).any()
