"""Training data of the clean set's expression network: see `tools.train.clean.sources`.

Faces rendered by `tools.train.clean.render` and photographs re-enacted by
`tools.train.clean.reenacted` show the eight prototypes of `tools.render.units`; photographs and
SFHQ's faces are as they were taken. All are shown in other looks as well
(`tools.train.clean.style`); `tools.train.clean.grimace` and `tools.train.clean.chimera` make more
of them. A permissively licensed network names every view of every face (`tools.train.clean.named`):
what people see in a face is further from the prototype that it was drawn as. Action units are
exact, or MediaPipe's blendshapes (Apache-2.0).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Float, Grey
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, cut, similarity
from tools.common.files import run_folder
from tools.common.packs import decode, load
from tools.train.clean import named, origins
from tools.train.clean import sources as clean
from tools.train.clean.chimera import chimera
from tools.train.clean.convention import as_labelled
from tools.train.clean.grimace import grimace
from tools.train.clean.photographs import photographs
from tools.train.clean.reenacted import Drawn, load_reenacted
from tools.train.clean.render import load_rendered
from tools.train.clean.style import restyle
from tools.train.clean.synthetic import synthetic_rows
from tools.train.expression import answers
from tools.train.expression.data import MARGIN, SIZE, Faces, action_units

BATCH = (4, 12, 18, 16, 7, 7)
"""Pictures per step of rendered and re-enacted faces, of grimaces, of chimeras, of photographs and
of SFHQ's faces."""
CHIMERAS = 8000
GRIMACES = (1, 6)
"""Made of every re-enacted face, and of every photograph and face of SFHQ."""
LOOKS = 1
"""Other looks of every face beside its own."""
VIEWS = 6
"""Numbered views of each picture that the teacher names."""
EVENNESS = 0.7
"""How far classes are drawn alike often: 0 as they come, 1 all alike."""
DRAWS = 4
"""Classes drawn from the teacher's probabilities for every held-out face."""
HELD_PHOTOGRAPHS = 80
"""Re-enacted photographs kept for what is chosen, the last ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Training parts, and what is chosen on."""

    parts: list[tuple[Faces, int]]
    chosen: Faces
    """Held-out faces uint8[N, 48, 48] named by the teacher, for temperature and threshold."""
    shift: Float
    """float32[8], to be added to the trained network's logits: how common classes are."""
    description: tuple[str, ...] = origins.lines(origins.EXPRESSION)
    terms: str = clean.TERMS
    held_out: str = "held-out photographs, most of them moved, named by the teacher"


def material() -> Material:
    """All of it, loaded."""
    moved = load_reenacted()
    last = moved.photograph > moved.photograph.max() - HELD_PHOTOGRAPHS
    drawn = _reenacted(moved, ~last)
    real = [_photographs(False), _synthetic("train")]
    rng = np.random.default_rng(17)
    pool = np.concatenate([part.pictures for part in (drawn, *real)])
    parts = [_in_other_looks(part, pool, rng) for part in (_rendered(False), drawn, *real)]
    once, often = GRIMACES
    base = [drawn.pictures] * once + [part.pictures for part in real] * often
    grimaces = _grimaces(np.concatenate(base), pool, rng)
    parts[2:2] = [grimaces, _chimeras(np.concatenate([pool, grimaces.pictures]), pool, rng)]
    held = [_reenacted(moved, last), _photographs(True), _synthetic("held_out")]
    return Material(list(zip(parts, BATCH, strict=True)), _chosen(held), named.expected())


def answered(parts: list[tuple[Faces, int]], views: int = VIEWS) -> list[tuple[Faces, int]]:
    """The same faces with the teacher's answers to their numbered views.

    Answers are kept in `runs/expression-clean`, under a checksum of the pictures.
    """
    ask = named.Namer()
    done = []
    for k, (faces, count) in enumerate(parts):
        checksum = zlib.crc32(faces.pictures.tobytes())
        folder = run_folder("expression-clean") / f"answers-{checksum:08x}"
        logits = answers.kept(folder, k, faces, views, ask)
        done.append((weighed(faces, answers.soften(logits)), count))
    return done


def weighed(faces: Faces, told: NDArray[np.float32]) -> Faces:
    """Faces with the teacher's answers float32[N, V, 8]; those of rare classes are drawn more
    often, `EVENNESS`."""
    plain = told**answers.TEMPERATURE
    mean = (plain / plain.sum(2, keepdims=True)).mean(1)
    boost = (mean.sum(0) + 1.0) ** -EVENNESS
    return replace(
        faces,
        answers=told,
        answer_weight=np.ones(len(faces), np.float32),
        share=(mean @ boost).astype(np.float32),
    )


def _chosen(parts: list[Faces]) -> Faces:
    """Held-out faces without their margin, `DRAWS` times, with classes drawn from the teacher's
    probabilities: its most likely class alone would make it look surer than it is."""
    units = np.concatenate([part.units for part in parts])
    weight = np.concatenate([part.unit_weight for part in parts])
    pictures = np.concatenate([part.pictures for part in parts])
    inner = np.ascontiguousarray(pictures[:, MARGIN:-MARGIN, MARGIN:-MARGIN])
    drawn = draw_classes(named.Namer()(inner) + named.expected(), DRAWS)
    return Faces(
        np.tile(inner, (DRAWS, 1, 1)),
        drawn,
        np.ones(len(drawn), np.float32),
        np.tile(units, (DRAWS, 1)),
        np.tile(weight, DRAWS),
    )


def draw_classes(logits: Float, times: int, seed: int = 3) -> Float:
    """One-hot classes float32[times * N, 8] drawn from the odds of logits float32[N, 8]."""
    odds = np.exp(logits - logits.max(1, keepdims=True))
    below = np.cumsum(odds / odds.sum(1, keepdims=True), 1)
    drawn = np.random.default_rng(seed).random((times, len(logits), 1))
    found = np.minimum((drawn > below).sum(2), logits.shape[1] - 1).ravel()
    return np.eye(logits.shape[1], dtype=np.float32)[found]


def _grimaces(
    pictures: NDArray[np.uint8], pool: NDArray[np.uint8], rng: np.random.Generator
) -> Faces:
    """One of each, every second one in another look."""
    made = np.stack([grimace(picture, rng) for picture in pictures])
    for k in range(0, len(made), 2):
        made[k] = restyle(made[k], pool[rng.integers(len(pool))], rng)
    return _unknown(made)


def _chimeras(
    pictures: NDArray[np.uint8], pool: NDArray[np.uint8], rng: np.random.Generator
) -> Faces:
    """`CHIMERAS` of pairs drawn at random, every second one in another look."""
    pairs = rng.integers(len(pictures), size=(CHIMERAS, 2))
    made = np.stack([chimera(pictures[a], pictures[b], rng) for a, b in pairs])
    for k in range(0, len(made), 2):
        made[k] = restyle(made[k], pool[rng.integers(len(pool))], rng)
    return _unknown(made)


def _unknown(made: NDArray[np.uint8]) -> Faces:
    """Faces without a class and without action units."""
    count = len(made)
    return Faces(
        made,
        np.full((count, len(EXPRESSIONS)), 1 / len(EXPRESSIONS), np.float32),
        np.zeros(count, np.float32),
        np.zeros((count, len(ACTION_UNITS)), np.float32),
        np.zeros(count, np.float32),
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


def _faces(pictures: list[Grey], points: Float, units: Float, weight: Float | None = None) -> Faces:
    """Faces without a class; `weight` of their units, None: all 1."""
    count = len(units)
    return Faces(
        np.stack([_crop(p, q) for p, q in zip(pictures, points, strict=True)]),
        np.full((count, len(EXPRESSIONS)), 1 / len(EXPRESSIONS), np.float32),
        np.zeros(count, np.float32),
        units,
        np.ones(count, np.float32) if weight is None else weight,
    )


def _rendered(held_out: bool) -> Faces:
    faces = load_rendered("expressions", held_out)
    points = as_labelled(faces.points, faces.pose[:, 0])
    return _faces(
        faces.pictures, points, faces.units, np.where(faces.masked, 0.0, 1.0).astype(np.float32)
    )


def _reenacted(moved: Drawn, rows: NDArray[np.bool_]) -> Faces:
    pictures = [moved.pictures[i] for i in np.flatnonzero(rows)]
    return _faces(pictures, moved.points[rows], moved.units[rows])


def _photographs(held_out: bool) -> Faces:
    """Bare faces of the CC0 scenes and of the Intel clips."""
    real = photographs(held_out)
    real = real.take(~real.masked)
    names = load("faces_labels.npz")["blendshape_names"]
    units = action_units(np.rint(real.blendshapes * 255).astype(np.uint8), names)
    return _faces(real.pictures, real.points, units)


def _synthetic(part: str) -> Faces:
    rows = synthetic_rows(part)
    pack, labels = load("faces.npz"), load("faces_labels.npz")
    pictures = [decode(pack["jpeg"], pack["off"], int(i)) for i in rows]
    units = action_units(labels["blendshapes"][rows], labels["blendshape_names"])
    return _faces(pictures, labels["lm68"][rows].astype(np.float32), units)


def _crop(picture: Grey, points: Float) -> Grey:
    """Cut as at run time, with the margin that variation needs."""
    side = SIZE + 2 * MARGIN
    pad = max(picture.shape) // 3
    padded = np.asarray(cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REFLECT_101))
    target = EXPRESSION_CROP.place(MEAN_SHAPE) + np.float32(MARGIN)
    return cut(padded, similarity(points + np.float32(pad), target), side)
