"""The interface of an anatomy: a face at rest and where each movement takes its landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.align import FLIP
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

Array = NDArray[np.float64]

MIDDLE = np.flatnonzero(np.arange(68) == FLIP)
NAMES = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU15",
    "AU17", "AU18", "AU20", "AU24", "AU25", "AU26", "LIDS",
)  # fmt: skip
"""Movements that every anatomy knows; LIDS closes the eyes."""
LID_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46))


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """IOD is 1; x to the picture's right, y down, z away from the camera."""

    shape: Array
    """float64[68, 3]; the outer eye corners are 1 apart."""
    fields: Mapping[str, tuple[Array, Array]]
    """By movement, float64[68, 3] of the picture's left and right half, largest about 1."""


def personal_shape(rng: np.random.Generator, shape: Array, spread: float) -> Array:
    """`shape` with random proportions: axes, smooth bulges, each landmark's own place."""
    shape = shape * np.exp(rng.normal(0.0, spread * np.array([0.4, 0.9, 1.6])))
    for _ in range(6):
        centre = shape[rng.integers(68)]
        near = np.exp(-((shape - centre) ** 2).sum(1) / (2 * rng.uniform(0.15, 0.4) ** 2))
        push = near[:, None] * rng.normal(0.0, 0.4 * spread, 3)
        mirrored = push[FLIP] * (-1.0, 1.0, 1.0)
        shape = shape + (push if rng.random() < 0.2 else 0.5 * (push + mirrored))
    own = rng.normal(0.0, 0.12 * spread, (68, 3))
    shape = shape + own + own[FLIP] * (-1.0, 1.0, 1.0)
    opening = np.exp(rng.normal(0.0, 3.0 * spread))
    for upper, lower in LID_PAIRS:
        middle = 0.5 * (shape[upper, 1] + shape[lower, 1])
        for point in (upper, lower):
            shape[point, 1] = middle + opening * (shape[point, 1] - middle)
    return normalised(shape)


def normalised(shape: Array) -> Array:
    """Outer eye corners 1 apart, the origin between them."""
    shape = shape - 0.5 * (shape[36] + shape[45])
    return np.asarray(shape / np.linalg.norm(shape[45] - shape[36]))


def mean_shape() -> Array:
    """The agent's own mean face, float64[68, 3]."""
    return np.asarray(MEAN_SHAPE_3D, np.float64).copy()


def halves(
    rng: np.random.Generator, left: Array, gain: float, turn: float, own: float, sides: float
) -> tuple[Array, Array]:
    """A unit's left and mirrored right part on one person.

    `left` float64[68, 3] gives half of what the middle points do. Relative sd of the gain, sd of
    the rotation in radians, relative sd of each landmark's part and of one side's strength.
    """
    angle = rng.normal(0.0, turn)
    cos, sin = np.cos(angle), np.sin(angle)
    left = left * np.exp(rng.normal(0.0, gain)) * (1.0 + own * rng.normal(size=(68, 1)))
    left[:, :2] = left[:, :2] @ np.array([[cos, sin], [-sin, cos]])
    right = left[FLIP] * (-1.0, 1.0, 1.0)
    right = right * (1.0 + 0.5 * own * rng.normal(size=(68, 1)))
    one, other = np.exp(rng.normal(0.0, sides, 2))
    return left * one, right * other


def closing(shape: Array) -> Array:
    """The left half's field that brings the lids together at strength 1, over their distance; to
    be multiplied by it."""
    field = np.zeros((68, 3))
    for upper, lower in LID_PAIRS[:2]:
        field[upper, 1], field[lower, 1] = 0.9, -0.1
    return field


def lid_gap(shape: Array) -> float:
    """Mean distance of the lids, IOD."""
    return float(np.mean([shape[lower, 1] - shape[upper, 1] for upper, lower in LID_PAIRS]))
