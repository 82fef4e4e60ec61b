"""The schematic face: the mean of 3,289 (`agent.vision.faces.shape3d`), moved by action units.

Directions are anatomical estimates after the FACS manual (Ekman, Friesen & Hager 2002), of our own
hand, and sizes are chosen to be seen: it shows which unit is said to act and how strongly, not how
anybody looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agent.base.types import Float
from agent.vision.faces.align import FLIP
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

OUTLINES: tuple[tuple[range, bool], ...] = (
    (range(17), False), (range(17, 22), False), (range(22, 27), False), (range(27, 31), False),
    (range(31, 36), False), (range(36, 42), True), (range(42, 48), True), (range(48, 60), True),
    (range(60, 68), True),
)  # fmt: skip
"""Points of jaw, brows, nose, eyes, lips, and whether their outline is closed."""
_LIPS_DOWN = dict.fromkeys((56, 57, 58, 59, 65, 66, 67), (0.0, 1.0))

HALVES: Mapping[str, tuple[float, Mapping[int, tuple[float, float]]]] = {
    "AU01": (0.09, {21: (0.0, -1.0), 20: (0.0, -0.75), 19: (0.0, -0.3)}),
    "AU02": (0.09, {17: (0.0, -0.8), 18: (0.0, -1.0), 19: (0.0, -0.75), 20: (0.0, -0.3)}),
    "AU04": (0.07, {21: (0.4, 0.9), 20: (0.3, 0.75), 19: (0.2, 0.45), 18: (0.1, 0.2)}),
    "AU05": (0.035, {37: (0.0, -1.0), 38: (0.0, -1.0)}),
    "AU06": (0.03, {40: (0.0, -1.0), 41: (0.0, -1.0)}),
    "AU07": (0.025, {40: (0.0, -1.0), 41: (0.0, -1.0), 37: (0.0, 0.6), 38: (0.0, 0.6)}),
    "AU09": (0.04, {31: (0.0, -1.0), 32: (0.0, -0.7), 50: (0.0, -0.5), 21: (0.0, 0.4)}),
    "AU10": (0.06, {50: (0.0, -1.0), 49: (0.0, -0.6), 51: (0.0, -0.8), 61: (0.0, -0.8),
                    62: (0.0, -0.6), 31: (0.0, -0.25)}),
    "AU12": (0.10, {48: (-0.7, -0.7), 60: (-0.6, -0.6), 49: (-0.3, -0.3), 59: (-0.3, -0.25)}),
    "AU14": (0.07, {48: (-1.0, -0.05), 60: (-0.85, -0.05), 49: (-0.3, 0.0), 59: (-0.3, 0.0)}),
    "AU15": (0.07, {48: (-0.1, 1.0), 60: (-0.1, 0.85), 59: (0.0, 0.4), 49: (0.0, 0.25)}),
    "AU17": (0.05, {8: (0.0, -1.0), 7: (0.0, -0.8), 57: (0.0, -1.0), 58: (0.0, -0.8),
                    66: (0.0, -0.8)}),
    "AU18": (0.08, {48: (1.0, 0.0), 60: (0.9, 0.0), 49: (0.5, 0.0), 59: (0.5, 0.0)}),
    "AU20": (0.08, {48: (-1.0, 0.2), 60: (-0.9, 0.2), 59: (-0.4, 0.1)}),
    "AU24": (0.025, {50: (0.0, 1.0), 51: (0.0, 1.0), 49: (0.0, 0.6), 58: (0.0, -1.0),
                     57: (0.0, -1.0), 59: (0.0, -0.6)}),
    "AU25": (0.09, {**_LIPS_DOWN, 59: (0.0, 0.6)}),
    "AU26": (0.17, {**_LIPS_DOWN, 59: (0.0, 0.6), 8: (0.0, 1.1), 7: (0.0, 1.0), 6: (0.0, 0.8),
                    5: (0.0, 0.4), 48: (0.0, 0.3), 60: (0.0, 0.3)}),
    "AU45": (0.05, {37: (0.0, 1.2), 38: (0.0, 1.2), 40: (0.0, -0.2), 41: (0.0, -0.2)}),
}  # fmt: skip
"""What a unit at its strongest does to the half of the face at the picture's left: the largest
displacement in inter-ocular distances, and shares (x, y) of it by landmark, x right, y down."""


def displacements(unit: str) -> Float:
    """float32[68, 2] at intensity 1, inter-ocular distances; zeros for a unit that is not drawn."""
    size, half = HALVES.get(unit, (0.0, {}))
    left = np.zeros((68, 2), np.float32)
    for point, (x, y) in half.items():
        left[point] = size * x, size * y
    mirrored = left[FLIP] * np.array([-1.0, 1.0], np.float32)
    # a point of the middle is moved once, and not sideways; one named in both halves once too
    both = np.where(np.abs(left) >= np.abs(mirrored), left, mirrored)
    both[np.arange(68) == FLIP, 0] = 0.0
    return np.asarray(both, np.float32)


def drawing() -> dict[str, Any]:
    """What the page needs: `points` [68][3], `units` {name: {point: [x, y]}}, `outlines`."""
    units = {}
    for unit in HALVES:
        moved = displacements(unit)
        units[unit] = {
            str(n): [round(float(each), 4) for each in moved[n]]
            for n in np.flatnonzero(np.abs(moved).sum(1))
        }
    return {
        "points": [[round(float(each), 3) for each in point] for point in MEAN_SHAPE_3D],
        "units": units,
        "outlines": [[list(part), closed] for part, closed in OUTLINES],
    }
