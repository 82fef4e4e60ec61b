"""Anatomy of skin that is pulled at a place: smooth bumps around each unit's centre.

Whatever lies near moves along, eye corners and the bridge of the nose among it; lids and lips are
apart from one another. Centres, directions and widths are the person's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.align import FLIP
from tools.train.micro.generators.anatomy import (
    MIDDLE,
    Anatomy,
    closing,
    lid_gap,
    mean_shape,
    personal_shape,
)

Array = NDArray[np.float64]

_UPPER_LID, _LOWER_LID = [37, 38, 43, 44], [40, 41, 46, 47]
_UPPER_LIP = [49, 50, 51, 52, 53, 61, 62, 63]
_LOWER_LIP = [55, 56, 57, 58, 59, 65, 66, 67]
_CORNERS = [48, 54, 60, 64]
_CHIN = list(range(4, 13))
_PULLS: dict[str, tuple[tuple[tuple[int, ...], float, float, float, str], ...]] = {
    "AU01": (((20, 21), 0.0, -1.0, 1.0, "brow"),),
    "AU02": (((17, 18, 19), 0.0, -1.0, 1.1, "brow"),),
    "AU04": (((20, 21), 0.4, 0.9, 1.2, "brow"),),
    "AU05": (((37, 38), 0.0, -1.0, 0.7, "upper lid"),),
    "AU06": (((41, 40), 0.05, -0.9, 1.0, "lower lid"), ((48,), -0.1, -0.25, 0.7, "corners")),
    "AU07": (((40, 41), 0.1, -1.0, 0.7, "lower lid"), ((37, 38), 0.0, 0.4, 0.7, "upper lid")),
    "AU09": (((31, 32), -0.1, -1.0, 0.8, "nose"), ((21,), 0.15, 0.4, 0.8, "brow")),
    "AU10": (((50, 61), 0.0, -1.0, 0.9, "upper lip"), ((31,), 0.0, -0.35, 0.6, "nose")),
    "AU12": (((48, 60), -0.7, -0.7, 1.2, "mouth"),),
    "AU14": (((48, 60), -1.0, -0.05, 1.0, "mouth"),),
    "AU15": (((48, 60), -0.1, 1.0, 1.0, "mouth"),),
    "AU17": (((57, 8), 0.0, -1.0, 1.6, "lower lip and chin"),),
    "AU18": (((48, 60), 0.9, 0.0, 1.4, "mouth"),),
    "AU20": (((48, 60), -1.0, 0.2, 1.3, "mouth"),),
    "AU24": (((50, 51), 0.0, 0.7, 0.8, "upper lip"), ((57, 58), 0.0, -0.8, 0.8, "lower lip")),
    "AU25": (((57, 58), 0.0, 0.9, 0.9, "lower lip"), ((50, 51), 0.0, -0.25, 0.8, "upper lip")),
    "AU26": (((57, 66, 8), 0.0, 1.0, 2.2, "jaw"),),
}
"""By unit: landmarks whose mean is the centre, pull (x towards the right, y down) of the picture's
left half, factor of the width, and the tissue that follows."""
_TISSUE: dict[str, list[int]] = {
    "brow": [*range(17, 31), 39, 42, *_UPPER_LID],
    "upper lid": [*_UPPER_LID, 18, 19, 24, 25, 36, 39, 42, 45],
    "lower lid": [*_LOWER_LID, 36, 39, 42, 45, 1, 15],
    "nose": [*range(28, 36), 49, 50, 51, 52, 53],
    "upper lip": [*_UPPER_LIP, *range(31, 36), *_CORNERS],
    "lower lip": [*_LOWER_LIP, *_CORNERS, *range(6, 11)],
    "lower lip and chin": [*_LOWER_LIP, *_CHIN],
    "corners": [*_CORNERS, 49, 59, 53, 55],
    "mouth": [*range(48, 68), *range(2, 15), 31, 35],
    "jaw": [*_LOWER_LIP, *_CORNERS, *_CHIN],
}


def make(rng: np.random.Generator) -> Anatomy:
    """A new person."""
    shape = personal_shape(rng, mean_shape(), rng.uniform(0.03, 0.1))
    width, stray = rng.uniform(0.1, 0.3), rng.uniform(0.0, 0.06)
    turn, uneven, depth = rng.uniform(0.0, 0.35), rng.uniform(0.02, 0.2), rng.uniform(0.0, 0.6)
    fields = {}
    for name, pulls in _PULLS.items():
        left, right = np.zeros((68, 3)), np.zeros((68, 3))
        for places, x, y, wide, tissue in pulls:
            centre = shape[list(places)].mean(0) + rng.normal(0.0, stray, 3)
            reach = width * wide * np.exp(rng.normal(0.0, 0.2))
            near = np.exp(-((shape - centre)[:, :2] ** 2).sum(1) / (2 * reach**2))
            kept = np.zeros(68)
            kept[_TISSUE[tissue]] = 1.0
            angle = rng.normal(0.0, turn)
            way = np.array(
                [x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)]
            )
            pull = np.zeros((68, 3))
            pull[:, :2] = (near * kept)[:, None] * way
            pull[:, 2] = -depth * pull[:, 0] * np.sign(shape[:, 0]) * (np.arange(68) >= 48)
            if abs(shape[list(places), 0].mean()) < 0.05:  # a pull in the middle serves both halves
                pull *= 0.5
            pull[MIDDLE, 0] = 0.0
            left += pull
            right += pull[FLIP] * (-1.0, 1.0, 1.0)
        largest = float(np.linalg.norm(left[:, :2], axis=1).max())
        one, other = np.exp(rng.normal(0.0, uneven, 2))
        fields[name] = (left / largest * one, right / largest * other)
    lids = closing(shape) * lid_gap(shape)
    fields["LIDS"] = (lids, lids[FLIP] * (-1.0, 1.0, 1.0))
    return Anatomy(shape, fields)
