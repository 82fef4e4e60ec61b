"""Anatomy from a scanned face space: ICT-FaceKit's expressions and identities at 68 vertices.

Real geometry in three dimensions (Li et al. 2020, arXiv:2004.00572; MIT), not an estimate of ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tools.common.packs import packs_folder
from tools.render.units import UNITS
from tools.train.micro.generators.anatomy import NAMES, Anatomy, normalised

Array = NDArray[np.float64]
_NEIGHBOURS = (
    ("browDown", "browInnerUp", "browOuterUp"),
    ("eyeSquint", "eyeWide", "cheekSquint", "cheekRaiser"),
    ("noseSneer", "mouthUpperUp"),
    ("mouthSmile", "mouthDimple", "mouthStretch", "mouthFrown", "mouthUpperUp", "mouthLowerDown"),
)
"""Expressions that the same muscles' owner mixes into one another."""


@dataclass(frozen=True, slots=True, eq=False)
class _Space:
    neutral: Array
    """float64[68, 3]."""
    identity: Array
    """float64[100, 68, 3]."""
    expression: dict[str, tuple[Array, Array]]
    """By name without side, float64[68, 3] of the picture's left and right."""


@cache
def _space() -> _Space:
    """SystemExit without the pack."""
    folder = packs_folder() / "render"
    if not (folder / "ict_facekit.npz").is_file():
        raise SystemExit(f"No face geometry in {folder}. Put ict_facekit.npz there; see README.")
    points = json.loads((folder / "vertex_indices.json").read_text())["idx_to_landmark_verts"]
    axes = np.array([1.0, -1.0, -1.0])
    with np.load(folder / "ict_facekit.npz") as pack:
        neutral = pack["neutral"][points].astype(np.float64) * axes
        identity = pack["id_delta"][:, points].astype(np.float64) * axes
        delta = pack["expr_delta"][:, points].astype(np.float64) * axes
        names = [str(name) for name in pack["expr_names"]]
    table = dict(zip(names, delta, strict=True))
    expression: dict[str, tuple[Array, Array]] = {}
    for name in names:
        stem = name[:-2] if name.endswith(("_L", "_R")) else name
        if stem in expression:
            continue
        # the subject's right side is at the picture's left
        one, other = (
            (table[stem + "_R"], table[stem + "_L"]) if stem != name else (table[stem] / 2,) * 2
        )
        expression[stem] = (one, other)
    return _Space(neutral, identity, expression)


def make(rng: np.random.Generator) -> Anatomy:
    """A new person: identity coefficients, and units that lean a little on their neighbours."""
    space = _space()
    coefficients = rng.normal(0.0, rng.uniform(0.6, 1.2), 100)
    raw = space.neutral + np.tensordot(coefficients, space.identity, 1)
    scale = float(np.linalg.norm(raw[45] - raw[36]))
    shape = normalised(raw)
    leaning, uneven = rng.uniform(0.0, 0.3), rng.uniform(0.02, 0.2)
    fields: dict[str, tuple[Array, Array]] = {}
    for name in NAMES:
        parts = dict(UNITS["AU45" if name == "LIDS" else name])
        if name != "LIDS":
            for group in _NEIGHBOURS:
                for stem in [stem for stem in parts if stem in group]:
                    other = group[int(rng.integers(len(group)))]
                    parts[other] = parts.get(other, 0.0) + leaning * rng.normal() * parts[stem]
        sides = []
        for side in (0, 1):
            field = sum(
                (share * space.expression[stem][side] for stem, share in parts.items()),
                np.zeros((68, 3)),
            )
            sides.append(field / scale * np.exp(rng.normal(0.0, uneven)))
        if name == "LIDS":
            largest = 1.0
        else:
            largest = max(float(np.linalg.norm(f[:, :2], axis=1).max()) for f in sides)
            largest /= np.exp(rng.normal(0.0, 0.15))
        fields[name] = (sides[0] / largest, sides[1] / largest)
    return Anatomy(shape, fields)
