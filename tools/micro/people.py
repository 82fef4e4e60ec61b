"""Identity model: a three-dimensional neutral shape and its displacement field per action unit.

The fields are the author's anatomical estimates for 68 landmarks after the descriptions of FACS
(Ekman, Friesen & Hager 2002); they are not measured on any data set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.align import FLIP
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from tools.micro.generator_config import GeneratorConfig

Array = NDArray[np.float64]
_Field = dict[int, tuple[float, float]]

LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
"""Upper and lower lid, one above the other."""
LIPS = ((61, 67), (62, 66), (63, 65))
"""Inner edges of the lips."""

# Displacement of the image-left half, unit strength: x towards the midline, y down. Points on the
# midline give the half that this side contributes.
FIELDS: dict[str, _Field] = {
    "AU01": {
        17: (0.0, 0.02), 18: (0.0, -0.12), 19: (0.02, -0.42), 20: (0.04, -0.82), 21: (0.06, -1.0),
        27: (0.0, -0.06), 37: (0.0, -0.04), 38: (0.0, -0.09),
    },
    "AU02": {
        17: (0.04, -0.72), 18: (0.03, -1.0), 19: (0.0, -0.9), 20: (0.0, -0.48), 21: (0.0, -0.12),
        36: (0.0, -0.04), 37: (0.0, -0.1), 38: (0.0, -0.06),
    },
    "AU04": {
        17: (0.04, 0.05), 18: (0.1, 0.22), 19: (0.19, 0.5), 20: (0.3, 0.82), 21: (0.38, 0.93),
        27: (0.0, 0.1), 37: (0.0, 0.06), 38: (0.02, 0.12),
    },
    "AU05": {18: (0.0, -0.04), 19: (0.0, -0.05), 37: (0.0, -1.0), 38: (0.0, -0.97)},
    "AU06": {
        1: (0.0, -0.1), 2: (0.02, -0.12), 17: (0.03, 0.12), 18: (0.0, 0.08), 36: (0.12, -0.1),
        37: (0.0, 0.25), 38: (0.0, 0.16), 40: (0.0, -0.75), 41: (0.08, -1.0), 48: (-0.05, -0.22),
        31: (-0.03, -0.08),
    },
    "AU07": {36: (0.1, 0.0), 37: (0.0, 0.5), 38: (0.0, 0.45), 40: (0.1, -0.95), 41: (0.12, -1.0)},
    "AU09": {
        20: (0.1, 0.32), 21: (0.2, 0.5), 27: (0.0, 0.1), 29: (0.0, -0.06), 30: (0.0, -0.14),
        31: (-0.12, -1.0), 32: (-0.05, -0.75), 33: (0.0, -0.2), 38: (0.0, 0.08), 40: (0.0, -0.2),
        49: (0.0, -0.45), 50: (0.0, -0.6), 51: (0.0, -0.22), 61: (0.0, -0.3), 62: (0.0, -0.1),
    },
    "AU10": {
        31: (-0.12, -0.35), 32: (-0.03, -0.25), 48: (-0.02, -0.12), 49: (-0.06, -0.72),
        50: (-0.03, -1.0), 51: (0.0, -0.44), 60: (0.0, -0.1), 61: (0.0, -0.72), 62: (0.0, -0.34),
    },
    "AU12": {
        3: (-0.08, -0.05), 4: (-0.14, -0.08), 5: (-0.1, -0.05), 31: (-0.14, -0.05),
        40: (0.0, -0.06), 41: (0.0, -0.1), 48: (-0.76, -0.66), 49: (-0.44, -0.3),
        50: (-0.18, -0.04), 51: (0.0, 0.02), 57: (0.0, 0.0), 58: (-0.18, -0.02),
        59: (-0.48, -0.2), 60: (-0.68, -0.58), 61: (-0.24, -0.06), 67: (-0.24, -0.02),
    },
    "AU14": {
        4: (-0.08, 0.0), 5: (-0.08, 0.0), 48: (-1.0, -0.08), 49: (-0.42, 0.04), 50: (-0.12, 0.02),
        58: (-0.12, -0.02), 59: (-0.4, -0.05), 60: (-0.82, -0.06), 61: (-0.16, 0.02),
        67: (-0.15, -0.02),
    },
    "AU15": {
        5: (0.0, 0.06), 48: (-0.14, 0.98), 49: (-0.06, 0.36), 50: (0.0, 0.08), 58: (-0.04, 0.2),
        59: (-0.1, 0.6), 60: (-0.1, 0.85), 61: (0.0, 0.08), 67: (0.0, 0.14),
    },
    "AU17": {
        6: (0.02, -0.22), 7: (0.02, -0.52), 8: (0.0, -0.32), 48: (0.0, 0.12), 50: (0.0, -0.1),
        51: (0.0, -0.06), 57: (0.0, -0.5), 58: (0.0, -0.9), 59: (0.0, -0.4), 62: (0.0, -0.05),
        66: (0.0, -0.38), 67: (0.0, -0.68),
    },
    "AU18": {
        48: (0.9, 0.02), 49: (0.5, -0.06), 50: (0.22, -0.1), 51: (0.0, -0.05), 57: (0.0, 0.05),
        58: (0.22, 0.1), 59: (0.5, 0.08), 60: (0.8, 0.02), 61: (0.25, -0.06), 67: (0.25, 0.06),
    },
    "AU20": {
        4: (-0.12, 0.04), 5: (-0.12, 0.06), 48: (-0.97, 0.22), 49: (-0.46, 0.1), 50: (-0.14, 0.04),
        58: (-0.22, 0.16), 59: (-0.56, 0.24), 60: (-0.85, 0.18), 61: (-0.2, 0.04),
        67: (-0.22, 0.08),
    },
    "AU23": {
        48: (0.55, 0.0), 49: (0.3, 0.2), 50: (0.14, 0.36), 51: (0.0, 0.18), 57: (0.0, -0.22),
        58: (0.14, -0.45), 59: (0.3, -0.2), 60: (0.48, 0.0), 61: (0.16, 0.12), 67: (0.16, -0.14),
    },
    "AU24": {
        48: (0.1, 0.0), 49: (0.04, 0.45), 50: (0.0, 0.75), 51: (0.0, 0.4), 57: (0.0, -0.5),
        58: (0.0, -1.0), 59: (0.02, -0.5), 60: (0.08, 0.0), 61: (0.0, 0.1), 67: (0.0, -0.12),
    },
    "AU25": {
        49: (0.0, -0.08), 50: (0.0, -0.2), 51: (0.0, -0.1), 57: (0.0, 0.45), 58: (0.0, 0.85),
        59: (0.0, 0.4), 61: (0.0, -0.22), 62: (0.0, -0.11), 66: (0.0, 0.5), 67: (0.0, 0.95),
    },
    "AU26": {
        3: (0.0, 0.1), 4: (0.02, 0.28), 5: (0.03, 0.5), 6: (0.03, 0.75), 7: (0.0, 0.92),
        8: (0.0, 0.48), 48: (0.1, 0.25), 49: (0.04, 0.06), 57: (0.0, 0.48), 58: (0.0, 0.92),
        59: (0.04, 0.6), 60: (0.1, 0.27), 62: (0.0, 0.0), 66: (0.0, 0.5), 67: (0.0, 0.97),
    },
    # Closure of the lids, and what a network's brow does with it: not action units of their own.
    "LIDS": {36: (0.04, 0.02), 37: (0.0, 1.0), 38: (0.0, 1.0), 40: (0.06, -0.1), 41: (0.08, -0.12)},
    "BROW_WITH_LIDS": {
        17: (0.0, 0.6), 18: (0.0, 0.85), 19: (0.0, 1.0), 20: (0.0, 1.0), 21: (0.04, 0.9),
        27: (0.0, 0.1), 31: (0.0, 0.06),
    },
    # The lids follow the eye up and down (negative: up).
    "GAZE": {37: (0.0, 1.0), 38: (0.0, 1.0), 40: (0.0, 0.45), 41: (0.0, 0.4), 18: (0.0, 0.04)},
}  # fmt: skip

UNITS = tuple(FIELDS)
COLUMN = {(name, side): 2 * k + side for k, name in enumerate(UNITS) for side in (0, 1)}
"""Row of `Person.fields`: unit and side, 0 the image's left and 1 its right."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """IOD is 1 here; axes as in `agent.vision.faces.shape3d`."""

    shape: Array
    """float64[68, 3]."""
    fields: Array
    """float64[K, 68, 3], `COLUMN` order; each side's largest displacement is near 1."""
    gap: Array
    """float64[2]: distance of the lids, left and right."""
    iod: float
    """Pixels."""
    distance: float
    centre: Array
    """float64[2], frame pixels."""
    crosstalk: float
    pose_bias: Array
    """float64[2, 68, 2]: the landmarks' bias at 10 degrees of yaw, and of pitch."""


def make_person(rng: np.random.Generator, config: GeneratorConfig) -> Person:
    """A new face: proportions, fields, size and place in the picture."""
    shape = _shape(rng, config)
    fields = _fields(rng, config)
    gap = np.array([_gap(shape, LIDS[:2]), _gap(shape, LIDS[2:])])
    iod = float(np.exp(rng.uniform(*np.log(config.face_size))))
    return Person(
        shape=shape,
        fields=fields,
        gap=gap,
        iod=iod,
        distance=float(rng.uniform(*config.distance)),
        centre=np.array([640.0, 340.0]) + rng.normal(0.0, 60.0, 2),
        crosstalk=float(rng.uniform(*config.crosstalk)),
        pose_bias=config.pose_bias * smooth_fields(rng, shape, 2, 0.35),
    )


def smooth_fields(rng: np.random.Generator, shape: Array, count: int, reach: float) -> Array:
    """Random displacements float64[count, 68, 2], sd 1, alike within `reach` IOD."""
    return np.asarray(spatial_root(shape, reach) @ rng.normal(size=(count, 68, 2)))


def spatial_root(shape: Array, reach: float) -> Array:
    """Cholesky factor float64[68, 68] of a Gaussian covariance over the frontal face."""
    flat = shape[:, :2]
    square = ((flat[:, None] - flat[None]) ** 2).sum(-1)
    return np.linalg.cholesky(np.exp(-0.5 * square / reach**2) + 1e-6 * np.eye(68))


def _shape(rng: np.random.Generator, config: GeneratorConfig) -> Array:
    """The mean shape with personal proportions, nearly symmetric, outer eye corners 1 apart."""
    shape = np.asarray(MEAN_SHAPE_3D, np.float64).copy()
    spread = config.shape_spread
    shape *= np.exp(rng.normal(0.0, spread * np.array([0.4, 0.8, 1.6])))
    shape[17:27, 1] += rng.normal(0.0, 0.5 * spread)  # height of the brows
    shape[17:27, 1] += rng.normal(0.0, 0.5 * spread) * (np.abs(shape[17:27, 0]) - 0.4)
    shape[27:36, 1] *= 1.0 + rng.normal(0.0, spread)
    shape[31:36, 0] *= 1.0 + rng.normal(0.0, 1.5 * spread)
    shape[28:36, 2] += rng.normal(0.0, 0.6 * spread)
    shape[48:, 0] *= 1.0 + rng.normal(0.0, 1.3 * spread)
    shape[48:, 1] += rng.normal(0.0, 0.6 * spread)
    shape[3:14, 1] *= 1.0 + rng.normal(0.0, 0.8 * spread)
    shape[:17, 0] *= 1.0 + rng.normal(0.0, 0.6 * spread)
    opening = float(np.exp(rng.normal(0.0, 3.0 * spread)))
    for upper, lower in LIDS:
        middle = (shape[upper, 1] + shape[lower, 1]) / 2
        for point in (upper, lower):
            shape[point, 1] = middle + opening * (shape[point, 1] - middle)
    lips = float(np.exp(rng.normal(0.0, 3.0 * spread)))
    middle = shape[[62, 66], 1].mean()
    for point in (49, 50, 51, 52, 53, 55, 56, 57, 58, 59):
        shape[point, 1] = middle + lips * (shape[point, 1] - middle)
    own = rng.normal(0.0, 0.15 * spread, (68, 3))
    shape += own + own[FLIP] * (-1.0, 1.0, 1.0) + rng.normal(0.0, 0.05 * spread, (68, 3))
    shape -= (shape[36] + shape[45]) / 2
    return np.asarray(shape / np.linalg.norm(shape[36] - shape[45]))


def _fields(rng: np.random.Generator, config: GeneratorConfig) -> Array:
    """Personal displacement fields: gain, direction, and each landmark's own part."""
    fields = np.zeros((len(COLUMN), 68, 3))
    for name in UNITS:
        left = np.zeros((68, 3))
        for point, (across, down) in FIELDS[name].items():
            left[point, :2] = across, down
        # The mouth moves over a curved surface: outwards is backwards.
        left[48:, 2] = -0.45 * left[48:, 0]
        gain = 1.0 + rng.uniform(-1.0, 1.0) * config.gain_spread
        angle = np.radians(rng.uniform(-1.0, 1.0) * config.rotation)
        if name in ("LIDS", "GAZE", "BROW_WITH_LIDS"):
            gain, angle = 1.0, angle / 3  # a closed eye is closed
        own = 1.0 + config.field_spread * rng.normal(size=(68, 1))
        sides = np.exp(config.asymmetry * rng.normal(size=2) / np.sqrt(2))
        if name == "LIDS":
            own, sides = np.ones((68, 1)), np.ones(2)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        left[:, :2] = left[:, :2] @ turn
        left *= gain * own
        right = left[FLIP] * (-1.0, 1.0, 1.0)
        fields[COLUMN[name, 0]] = left * sides[0]
        fields[COLUMN[name, 1]] = right * sides[1]
    return fields


def _gap(shape: Array, pairs: tuple[tuple[int, int], ...]) -> float:
    return float(np.mean([shape[lower, 1] - shape[upper, 1] for upper, lower in pairs]))
