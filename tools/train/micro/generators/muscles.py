"""Anatomy of muscles: linear ones pull skin towards the bone, sphincters inwards (Waters 1987).

K. Waters, "A muscle model for animating three-dimensional facial expression", SIGGRAPH 1987. The
jaw turns about its joint.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Linear:
    """A muscle of the picture's left half, frontal plane, IOD."""

    bone: tuple[float, float]
    skin: tuple[int, ...]
    """Landmarks whose mean is the insertion."""
    tissue: str
    strength: float = 1.0
    width: float = 1.0
    """Factor of the angle of influence."""


_BROWS = (*range(17, 28), 37, 38, 43, 44)
_MOUTH = (*range(48, 68), *range(2, 15), 31, 35)
_TISSUE: dict[str, tuple[int, ...]] = {
    "brows": _BROWS,
    "upper lids": (37, 38, 43, 44),
    "lower lids": (40, 41, 46, 47),
    "nose": (*range(29, 36), 49, 50, 51, 52, 53, 61, 62, 63),
    "upper lip": (31, 32, 33, 34, 35, 48, 49, 50, 51, 52, 53, 54, 60, 61, 62, 63, 64),
    "lower lip": (48, 54, 55, 56, 57, 58, 59, 60, 64, 65, 66, 67, *range(5, 12)),
    "mouth": _MOUTH,
}
_MUSCLES: dict[str, tuple[_Linear, ...]] = {
    "AU01": (_Linear((-0.16, -0.75), (20, 21), "brows"),),
    "AU02": (_Linear((-0.55, -0.8), (17, 18, 19), "brows"),),
    "AU04": (
        _Linear((-0.02, 0.0), (20, 21), "brows"),
        _Linear((-0.1, 0.35), (19, 20, 21), "brows", 0.6),
    ),
    "AU05": (_Linear((-0.31, -0.35), (37, 38), "upper lids"),),
    "AU06": (
        _Linear((-0.36, -0.3), (40, 41), "lower lids"),
        _Linear((-0.6, 0.2), (48,), "mouth", 0.3, 0.6),
    ),
    "AU07": (
        _Linear((-0.18, -0.1), (40, 41), "lower lids"),
        _Linear((-0.25, 0.3), (37, 38), "upper lids", 0.45),
    ),
    "AU09": (
        _Linear((-0.1, 0.0), (31, 32), "nose"),
        _Linear((-0.03, 0.2), (21, 20), "brows", 0.4),
    ),
    "AU10": (_Linear((-0.25, 0.1), (49, 50), "upper lip"),),
    "AU12": (_Linear((-0.72, 0.25), (48, 60), "mouth"),),
    "AU14": (_Linear((-0.85, 0.7), (48, 60), "mouth"),),
    "AU15": (_Linear((-0.42, 1.15), (48, 60), "mouth"),),
    "AU17": (_Linear((-0.05, 0.35), (7, 57, 58), "lower lip", 1.0, 1.6),),
    "AU18": (_Linear((0.0, 0.76), (48, 60), "mouth"),),
    "AU20": (_Linear((-0.75, 0.9), (48, 60), "mouth"),),
    "AU24": (
        _Linear((-0.08, 1.1), (50, 61), "upper lip", 0.8),
        _Linear((-0.08, 0.4), (58, 67), "lower lip", 0.8),
    ),
    "AU25": (
        _Linear((-0.2, 1.3), (58, 67), "lower lip"),
        _Linear((-0.2, 0.2), (50, 61), "upper lip", 0.25),
    ),
}
_JAW = (0.0, 0.05, 0.45)
"""Joint of the jaw, between the ears."""
_OPEN = {4: 0.25, 5: 0.6, 6: 0.85, 7: 1.0, 8: 1.0, 48: 0.3, 60: 0.35, 59: 0.7, 58: 0.95, 57: 1.0,
         67: 0.95, 66: 1.0, 49: 0.05}  # fmt: skip
"""How much of the jaw's turn each landmark takes; the other half is the mirror image."""


def make(rng: np.random.Generator) -> Anatomy:
    """A new person."""
    shape = personal_shape(rng, mean_shape(), rng.uniform(0.03, 0.09))
    angle, stray, uneven = rng.uniform(0.5, 1.1), rng.uniform(0.0, 0.08), rng.uniform(0.02, 0.2)
    fields = {}
    for name, muscles in _MUSCLES.items():
        left = np.zeros((68, 3))
        for muscle in muscles:
            moved = (
                muscle.strength
                * np.exp(rng.normal(0.0, 0.2))
                * _pull(rng, shape, muscle, angle, stray)
            )
            left += moved
        fields[name] = _sides(rng, left, uneven)
    fields["AU26"] = _sides(rng, _jaw(rng, shape), 0.02)
    lids = closing(shape) * lid_gap(shape)
    fields["LIDS"] = (lids, lids[FLIP] * (-1.0, 1.0, 1.0))
    return Anatomy(shape, fields)


def _pull(
    rng: np.random.Generator, shape: Array, muscle: _Linear, angle: float, stray: float
) -> Array:
    bone = np.array(muscle.bone) + rng.normal(0.0, stray, 2)
    skin = shape[list(muscle.skin), :2].mean(0)
    flat = shape[:, :2]
    length = max(float(np.linalg.norm(skin - bone)), 0.05)
    away = flat - bone
    far = np.maximum(np.linalg.norm(away, axis=1), 1e-3)
    cosine = away @ ((skin - bone) / length) / far
    spread = np.clip(np.arccos(np.clip(cosine, -1.0, 1.0)) / (angle * muscle.width), 0.0, 1.0)
    # most at the insertion, nothing at the bone, gone at twice the length
    radial = np.where(far < length, np.sin(0.5 * np.pi * far / length),
                      np.cos(0.5 * np.pi * np.clip((far - length) / length, 0.0, 1.0)))  # fmt: skip
    kept = np.zeros(68)
    kept[list(_TISSUE[muscle.tissue])] = 1.0
    amount = np.cos(0.5 * np.pi * spread) * radial * kept
    field = np.zeros((68, 3))
    field[:, :2] = -amount[:, None] * away / far[:, None]
    field[48:, 2] = -0.3 * field[48:, 0] * np.sign(flat[48:, 0])
    field[MIDDLE] *= 0.5
    field[MIDDLE, 0] = 0.0
    return field


def _jaw(rng: np.random.Generator, shape: Array) -> Array:
    """Half of the displacement per radian of opening, scaled later."""
    share = np.zeros(68)
    for point, part in _OPEN.items():
        share[point] = share[FLIP[point]] = part
    share *= np.exp(0.1 * rng.normal(size=68))
    arm = shape - np.array(_JAW)
    field = np.zeros((68, 3))
    field[:, 1] = -arm[:, 2]
    field[:, 2] = arm[:, 1]
    field *= share[:, None]
    field[shape[:, 0] > 0.02] = 0.0
    field[MIDDLE] *= 0.5
    return field


def _sides(rng: np.random.Generator, left: Array, uneven: float) -> tuple[Array, Array]:
    left = left / max(float(np.linalg.norm(left[:, :2], axis=1).max()), 1e-6)
    one, other = np.exp(rng.normal(0.0, uneven, 2))
    return left * one, left[FLIP] * (-1.0, 1.0, 1.0) * other
