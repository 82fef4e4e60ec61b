"""Training data of the clean set's expression network: see `tools.train.clean.sources`.

Rendered faces (`tools.train.clean.render`) and re-enacted photographs
(`tools.train.clean.reenacted`) show the eight prototypes of `tools.render.units` at known
strengths. Photographs and SFHQ's faces carry action units from MediaPipe's blendshapes
(Apache-2.0) and, where these leave no doubt, a class by the same published rules. Each is also
shown in other looks (`tools.train.clean.style`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Float, Grey
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, cut, similarity
from tools.common.packs import decode, load
from tools.train.clean import origins, unit_classes
from tools.train.clean import sources as clean
from tools.train.clean.convention import as_labelled
from tools.train.clean.photographs import photographs
from tools.train.clean.reenacted import Drawn, load_reenacted
from tools.train.clean.render import load_rendered
from tools.train.clean.style import restyle
from tools.train.clean.synthetic import synthetic_rows
from tools.train.expression.data import MARGIN, SIZE, Faces, action_units

BATCH = (10, 30, 10, 14)
"""Pictures per step of rendered and re-enacted faces, of photographs and of SFHQ's faces."""
LOOKS = 2
"""Other looks of every face beside its own."""
SOFT_WEIGHT = 0.3
"""Of a photograph whose class only its units tell."""
HELD_PHOTOGRAPHS = 80
"""Re-enacted photographs kept for what is chosen, the last ones."""
CLASS_WEIGHT = np.array([1.3, 1.3, 1.0, 1.0, 1.0, 0.6, 0.6, 0.4], np.float32)
"""In front of cameras rest and smiles are common, disgust, fear and contempt are rare."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Training parts, and what is chosen on."""

    parts: list[tuple[Faces, int]]
    chosen: Faces
    """Held-out faces with a class, uint8[N, 48, 48], for temperature and threshold."""
    description: tuple[str, ...] = origins.lines(origins.EXPRESSION)
    terms: str = clean.TERMS
    held_out: str = "held-out photographs, most of them moved to other expressions"


def material() -> Material:
    """All of it, loaded."""
    moved = load_reenacted()
    last = moved.photograph > moved.photograph.max() - HELD_PHOTOGRAPHS
    drawn = _reenacted(moved, ~last)
    rule = unit_classes.learnt(drawn.units, drawn.classes, drawn.class_weight)
    parts = [
        _rendered(False),
        drawn,
        _softly_named(_photographs(False), rule),
        _softly_named(_synthetic("train"), rule),
    ]
    rng = np.random.default_rng(17)
    pool = np.concatenate([part.pictures for part in parts[1:]])
    restyled = [_in_other_looks(part, pool, rng) for part in parts]
    held = [_reenacted(moved, last), _photographs(True), _synthetic("held_out")]
    return Material(list(zip(restyled, BATCH, strict=True)), _known(held))


def _known(parts: list[Faces]) -> Faces:
    """Those with a class, without their margin."""
    joined = Faces(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("pictures", "classes", "class_weight", "units", "unit_weight")
        )
    )
    rows = joined.class_weight > 0
    inner = np.ascontiguousarray(joined.pictures[rows, MARGIN:-MARGIN, MARGIN:-MARGIN])
    return Faces(
        inner,
        joined.classes[rows],
        joined.class_weight[rows],
        joined.units[rows],
        joined.unit_weight[rows],
    )


def _softly_named(faces: Faces, rule: unit_classes.Rule) -> Faces:
    """Faces without a class get what their units tell, at a low weight."""
    unnamed = faces.class_weight == 0
    return replace(
        faces,
        classes=np.where(unnamed[:, None], unit_classes.told(faces.units, rule), faces.classes),
        class_weight=np.where(unnamed, np.float32(SOFT_WEIGHT), faces.class_weight),
    )


def _in_other_looks(faces: Faces, pool: NDArray[np.uint8], rng: np.random.Generator) -> Faces:
    """The faces and `LOOKS` restyled copies of each."""
    looks = [faces.pictures]
    for _ in range(LOOKS):
        others = pool[rng.integers(len(pool), size=len(faces))]
        looks.append(
            np.stack([restyle(p, q, rng) for p, q in zip(faces.pictures, others, strict=True)])
        )
    times = LOOKS + 1
    return replace(
        faces,
        pictures=np.concatenate(looks),
        classes=np.tile(faces.classes, (times, 1)),
        class_weight=np.tile(faces.class_weight, times),
        units=np.tile(faces.units, (times, 1)),
        unit_weight=np.tile(faces.unit_weight, times),
    )


def targets(expression: NDArray[np.int8], strength: Float) -> tuple[Float, Float]:
    """Class distributions float32[N, 8] and their weights float32[N] of prototypes.

    A faint expression is half neutral; -1 is a mixture of coefficients, of no class.
    """
    share = np.clip(0.35 + 1.2 * (strength - 0.25), 0.35, 0.95).astype(np.float32)
    named = np.maximum(expression.astype(int), 0)
    classes = np.full((len(named), len(EXPRESSIONS)), 0.005, np.float32)
    classes[:, 0] += 1.0 - share
    classes[np.arange(len(named)), named] += share
    classes /= classes.sum(1, keepdims=True)
    return classes, np.where(expression >= 0, CLASS_WEIGHT[named], 0.0).astype(np.float32)


def classes_of(units: Float) -> tuple[Float, Float]:
    """Class distributions and weights of faces by their action units float32[N, 12].

    Only three leave no doubt in blendshapes: a smile (12), raised brows with a dropped jaw (1, 26),
    and nothing at all.
    """
    value = dict(zip(ACTION_UNITS, units.T, strict=True))
    smile = value["AU12"] > 0.45
    surprise = (value["AU01"] > 0.5) & (value["AU26"] > 0.2) & (value["AU12"] < 0.2)
    rest = np.max([value[u] for u in ("AU10", "AU12", "AU18", "AU26")], axis=0) < 0.1
    rest &= (value["AU01"] < 0.3) & (value["AU02"] < 0.3) & (value["AU04"] < 0.25)
    named = np.select([smile, surprise, rest], [1, 2, 0], -1)
    classes = np.full((len(units), len(EXPRESSIONS)), 0.02, np.float32)
    classes[np.arange(len(units)), np.maximum(named, 0)] += 1.0 - 0.02 * len(EXPRESSIONS)
    return classes, (0.8 * (named >= 0)).astype(np.float32)


def _rendered(held_out: bool) -> Faces:
    faces = load_rendered("expressions", held_out)
    points = as_labelled(faces.points, faces.pose[:, 0])
    classes, weight = targets(faces.expression, faces.strength)
    weight[faces.masked | (np.abs(faces.pose[:, 0]) > 45)] = 0.0
    return Faces(
        np.stack([_crop(p, q) for p, q in zip(faces.pictures, points, strict=True)]),
        classes,
        weight,
        faces.units,
        np.where(faces.masked, 0.0, 1.0).astype(np.float32),
    )


def _reenacted(moved: Drawn, rows: NDArray[np.bool_]) -> Faces:
    classes, weight = targets(moved.expression[rows], moved.strength[rows])
    every = zip(np.flatnonzero(rows), moved.points[rows], strict=True)
    return Faces(
        np.stack([_crop(moved.pictures[i], q) for i, q in every]),
        classes,
        weight,
        moved.units[rows],
        np.ones(int(rows.sum()), np.float32),
    )


def _photographs(held_out: bool) -> Faces:
    """Bare faces of the CC0 scenes and of the Intel clips."""
    real = photographs(held_out)
    real = real.take(~real.masked)
    names = load("faces_labels.npz")["blendshape_names"]
    units = action_units(np.rint(real.blendshapes * 255).astype(np.uint8), names)
    classes, weight = classes_of(units)
    return Faces(
        np.stack([_crop(p, q) for p, q in zip(real.pictures, real.points, strict=True)]),
        classes,
        weight,
        units,
        np.ones(len(units), np.float32),
    )


def _synthetic(part: str) -> Faces:
    rows = synthetic_rows(part)
    pack, labels = load("faces.npz"), load("faces_labels.npz")
    pictures = [decode(pack["jpeg"], pack["off"], int(i)) for i in rows]
    points = labels["lm68"][rows].astype(np.float32)
    units = action_units(labels["blendshapes"][rows], labels["blendshape_names"])
    classes, weight = classes_of(units)
    return Faces(
        np.stack([_crop(p, q) for p, q in zip(pictures, points, strict=True)]),
        classes,
        weight,
        units,
        np.ones(len(rows), np.float32),
    )


def _crop(picture: Grey, points: Float) -> Grey:
    """Cut as at run time, with the margin that variation needs."""
    side = SIZE + 2 * MARGIN
    pad = max(picture.shape) // 3
    padded = np.asarray(cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REFLECT_101))
    target = EXPRESSION_CROP.place(MEAN_SHAPE) + np.float32(MARGIN)
    return cut(padded, similarity(points + np.float32(pad), target), side)
