"""Pictures, targets and augmentation of the expression training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, EXPRESSIONS
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, cut, similarity
from tools.common import packs

SIZE = EXPRESSION_CROP.size
BATCH = (56, 8)
"""Pictures per step of FER+ and of aligned photographs."""
MARGIN = 12
"""Pixels kept around an aligned crop, so that shifted and shrunk copies show real picture."""

_PAIRS = {
    "AU02": ("browOuterUpLeft", "browOuterUpRight"),
    "AU04": ("browDownLeft", "browDownRight"),
    "AU05": ("eyeWideLeft", "eyeWideRight"),
    "AU07": ("eyeSquintLeft", "eyeSquintRight"),
    "AU10": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "AU12": ("mouthSmileLeft", "mouthSmileRight"),
    "AU24": ("mouthPressLeft", "mouthPressRight"),
    "AU45": ("eyeBlinkLeft", "eyeBlinkRight"),
}
OTHER_UNITS = (
    *("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10"),
    *("AU12", "AU14", "AU17", "AU20", "AU23", "AU25", "AU26", "AU45"),
)
"""Of the second teacher of units, in its order; its AU15 hardly separates and is left out."""
_GREATEST_DISAGREEMENT = 0.1
"""Of the second teacher's points and the pack's, outer eye-corner distances."""
_FRONTAL = 35.0
"""Degrees of yaw up to which its units are taken."""
_SEAM = 4.0
"""Pixels over which a picture fades into what is put around it."""
CALM_EVERY = 3
"""Of the numbered views every third is calm."""

_SINGLE = {"AU01": "browInnerUp", "AU18": "mouthPucker", "AU26": "jawOpen"}


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Pictures with soft targets; a weight of 0 means that a target is unknown."""

    pictures: NDArray[np.uint8]
    """uint8[N, S, S]: S = 48 for FER+, 48 + 2 * MARGIN for aligned crops."""
    classes: NDArray[np.float32]
    """float32[N, 8], sums to 1."""
    class_weight: NDArray[np.float32]
    """float32[N]."""
    units: NDArray[np.float32]
    """float32[N, 12], in [0, 1]."""
    unit_weight: NDArray[np.float32]
    """float32[N]."""
    other_units: NDArray[np.float32] | None = None
    """float32[N, 16]: `OTHER_UNITS`, about 0 to 1; NaN where unknown."""
    answers: NDArray[np.float32] | None = None
    """float32[N, V, 8]: what teachers answer to view k of each picture (see `numbered`)."""
    answer_weight: NDArray[np.float32] | None = None
    """float32[N]."""
    share: NDArray[np.float32] | None = None
    """float32[N]: how often each is drawn in training, relative; None: all alike."""

    def __len__(self) -> int:
        return len(self.pictures)


def action_units(blendshapes: NDArray[np.uint8], names: NDArray[np.str_]) -> NDArray[np.float32]:
    """Twelve units float32[N, 12] in [0, 1] from blendshapes uint8[N, 52].

    Left and right are averaged. AU25 (lips part) is the largest of jaw open, lower lip down and
    upper lip up: any of them parts the lips.
    """
    place = {str(name): i for i, name in enumerate(names)}
    shapes: NDArray[np.float32] = blendshapes.astype(np.float32) / np.float32(255)

    def one(name: str) -> NDArray[np.float32]:
        return shapes[:, place[name]]

    def both(pair: tuple[str, str]) -> NDArray[np.float32]:
        return (one(pair[0]) + one(pair[1])) * np.float32(0.5)

    units = {unit: one(name) for unit, name in _SINGLE.items()}
    units |= {unit: both(pair) for unit, pair in _PAIRS.items()}
    lower = both(("mouthLowerDownLeft", "mouthLowerDownRight"))
    units["AU25"] = np.maximum(np.maximum(units["AU26"], lower), units["AU10"])
    return np.stack([units[unit] for unit in ACTION_UNITS], 1).astype(np.float32)


def other_units(rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Intensities of the second teacher float32[N, 16], fifths, for rows of the faces pack; None
    where the packs are without them.

    They were made with OpenFace's linear regressors (Baltrusaitis et al. 2018), for academic use.
    Profiles and faces whose points the two teachers see differently are unknown: NaN.
    """
    if not (packs.packs_folder() / "au_labels.npz").is_file():
        return None
    pack, labels = packs.load("au_labels.npz"), packs.load("faces_labels.npz")
    place = {str(name): k for k, name in enumerate(pack["names"])}
    units = pack["au"][rows][:, [place[name] for name in OTHER_UNITS]].astype(np.float32) / 5
    doubtful = pack["disagreement"][rows].astype(np.float32) > _GREATEST_DISAGREEMENT
    turned = np.abs(labels["pose_yaw_pitch_roll"][rows, 0].astype(np.float32)) > _FRONTAL
    units[doubtful | turned] = np.nan
    return np.asarray(units, np.float32)


def soften(votes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Label distribution float32[N, 8] of FER+ votes uint8[N, 10].

    Single votes are taken for slips and dropped where a class has more, as Barsoum et al. 2016 do;
    `unknown` and `not a face` take no part.
    """
    counts = votes[:, :8].astype(np.float32)
    firm = np.where(counts > 1, counts, 0)
    counts = np.where(firm.sum(1, keepdims=True) > 0, firm, counts)
    return (counts / np.maximum(counts.sum(1, keepdims=True), 1)).astype(np.float32)


def ferplus(usage: int) -> tuple[Faces, NDArray[np.uint8]]:
    """FER+ pictures of one part (0 train, 1 valid) and their votes uint8[N, 10].

    Pictures that most voters called unknown or not a face are left out.
    """
    pack, teacher = packs.load("ferplus.npz"), packs.load("ferplus_teacher.npz")
    rows = _named(pack, usage)
    votes = pack["votes"][rows]
    pictures = np.stack([packs.decode(pack["webp"], pack["off"], int(i)) for i in rows])
    units = action_units(teacher["blendshapes"][rows], teacher["blendshape_names"])
    faces = Faces(
        pictures=pictures,
        classes=soften(votes),
        class_weight=np.ones(len(rows), np.float32),
        units=units,
        unit_weight=teacher["bs_ok"][rows].astype(np.float32),
    )
    return faces, votes


def votes_of(usage: int) -> NDArray[np.uint8]:
    """The votes of `ferplus` alone."""
    pack = packs.load("ferplus.npz")
    return np.asarray(pack["votes"][_named(pack, usage)], np.uint8)


def _named(pack: dict[str, NDArray[Any]], usage: int) -> NDArray[np.int64]:
    return np.flatnonzero((pack["usage"] == usage) & (pack["votes"].argmax(1) < 8))


def aligned(split: int) -> Faces:
    """Photographs cut by their landmarks as at run time, with a margin; 0 train, 1 valid.

    All carry action units; only the LFW ones carry a human expression label. Many pictures end at
    the chin or the brow; at run time the scene goes on there. In training every second one goes on
    as a picture without a face, else, and in the valid part always, as its own mirror image.
    """
    pack, labels = packs.load("faces.npz"), packs.load("faces_labels.npz")
    rows = np.where(labels["split"] == split)[0]
    scenes = _scenes() if split == 0 else []
    side = SIZE + 2 * MARGIN
    target = EXPRESSION_CROP.place(MEAN_SHAPE) + MARGIN
    pictures = np.empty((len(rows), side, side), np.uint8)
    for k, i in enumerate(rows):
        picture = packs.decode(pack["jpeg"], pack["off"], int(i))
        pad = max(picture.shape) // 3
        scene = scenes[k % len(scenes)] if scenes and k % 2 else None
        picture = surrounded(picture, pad, scene)
        matrix = similarity(labels["lm68"][i].astype(np.float32) + pad, target)
        pictures[k] = cut(picture, matrix, side)
    named = labels["label8"][rows].astype(int)
    classes = np.full((len(rows), len(EXPRESSIONS)), 0.02, np.float32)
    classes[np.arange(len(rows)), np.maximum(named, 0)] += 1.0 - 0.02 * len(EXPRESSIONS)
    return Faces(
        pictures=pictures,
        classes=classes,
        class_weight=(0.5 * (named >= 0)).astype(np.float32),
        units=action_units(labels["blendshapes"][rows], labels["blendshape_names"]),
        unit_weight=np.ones(len(rows), np.float32),
        other_units=other_units(rows),
    )


def surrounded(
    picture: NDArray[np.uint8], pad: int, scene: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """A picture with `pad` pixels more on every side: its mirror image, or a scene stretched to fit
    behind it; the seam is soft."""
    wide = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
    if scene is None:
        return np.asarray(wide, np.uint8)
    behind = cv2.resize(scene, wide.shape[::-1], interpolation=cv2.INTER_AREA)
    mask = np.zeros(wide.shape, np.uint8)
    mask[pad:-pad, pad:-pad] = 1
    share = np.minimum(cv2.distanceTransform(mask, cv2.DIST_L1, 3) / _SEAM, 1.0)
    mixed = behind + share * (wide.astype(np.float32) - behind)
    return np.rint(mixed).astype(np.uint8)


def _scenes() -> list[NDArray[np.uint8]]:
    """Training pictures without a face, an odd number of them; none where the packs lack them."""
    if not (packs.packs_folder() / "negatives.npz").is_file():
        return []
    pack = packs.load("negatives.npz")
    rows = np.flatnonzero(pack["split"] == 0)[:301]
    return [packs.decode(pack["jpeg"], pack["off"], int(i)) for i in rows]


def vary(
    picture: NDArray[np.uint8], rng: np.random.Generator, calm: bool = False
) -> NDArray[np.uint8]:
    """One training view uint8[48, 48]: mirrored, moved, relit, blurred, coarsened, part hidden.

    `calm` halves what is moved and relit and leaves most of the rest out.
    """
    side = picture.shape[0]
    normal, uniform = rng.standard_normal(9).tolist(), rng.random(12).tolist()
    normal = [(0.5 if calm else 0.75) * value for value in normal]
    if calm:
        for place in (2, 5, 7):
            uniform[place] *= 4.0
    angle = 0.122 * min(max(normal[0], -2.8), 2.8)
    scale = math.exp(0.09 * min(max(normal[1], -2.5), 2.5))
    c, s = math.cos(angle) * scale, math.sin(angle) * scale
    aspect, shear = math.exp(0.03 * normal[2]), 0.04 * normal[3]
    mirror = -1.0 if uniform[0] < 0.5 else 1.0
    a, b, d, e = mirror * (c * aspect + shear * s), shear * c - s, mirror * s, c
    middle = (side - 1) / 2
    x = (SIZE - 1) / 2 - (a + b) * middle + 1.7 * min(max(normal[4], -2.5), 2.5)
    y = (SIZE - 1) / 2 - (d + e) * middle + 1.7 * min(max(normal[5], -2.5), 2.5)
    border = cv2.BORDER_CONSTANT if uniform[1] < 0.2 else cv2.BORDER_REFLECT_101
    view = cv2.warpAffine(
        picture, np.array([[a, b, x], [d, e, y]]), (SIZE, SIZE), borderMode=border
    )
    if uniform[2] < 0.1:
        small = int(18 + 24 * uniform[3])
        view = cv2.resize(view, (small, small), interpolation=cv2.INTER_AREA)
        view = cv2.resize(view, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    elif uniform[2] < 0.18:
        view = cv2.GaussianBlur(view, (0, 0), 0.4 + 0.8 * uniform[3])
    if uniform[4] < 0.7:
        view = cv2.LUT(view, _tone(float(cv2.mean(view)[0]) / 255, *normal[6:]))
    if uniform[5] < 0.1:
        grain = np.empty(view.shape, np.int16)
        cv2.setRNGSeed(int(2**31 * uniform[3]))  # OpenCV's own generator: views can be repeated
        cv2.randn(grain, 0, 2 + 8 * uniform[6])
        view = cv2.add(view, grain, dtype=cv2.CV_8U)
    if uniform[7] < 0.2:
        height, width = int(5 + 15 * uniform[8]), int(5 + 15 * uniform[9])
        top, left = int((SIZE - height) * uniform[10]), int((SIZE - width) * uniform[11])
        view[top : top + height, left : left + width] = int(255 * uniform[6])
    return np.asarray(view, np.uint8)


def numbered(picture: NDArray[np.uint8], row: int, number: int) -> NDArray[np.uint8]:
    """View `number` of the picture in this row of its part, always the same uint8[48, 48].

    A teacher can then answer once to just what a student is shown (Beyer et al. 2022,
    arXiv:2106.05237). Every `CALM_EVERY`-th is calm.
    """
    rng = np.random.default_rng((1, row, number))
    return vary(picture, rng, calm=number % CALM_EVERY == 0)


_LEVELS = np.linspace(0.0, 1.0, 256, dtype=np.float32)


def _tone(mean: float, gamma: float, contrast: float, brightness: float) -> NDArray[np.uint8]:
    """Lookup table of gamma, contrast about the mean and brightness, given as normal draws."""
    power, slope = math.exp(0.2 * gamma), math.exp(0.22 * contrast)
    shift = mean + 0.08 * brightness - slope * mean**power
    levels = cv2.pow(_LEVELS, power).ravel() * (255 * slope) + 255 * shift
    return cv2.convertScaleAbs(np.maximum(levels, 0)).ravel()


Batch = dict[str, NDArray[Any]]


def batches(
    parts: list[tuple[Faces, int]],
    rng: np.random.Generator,
    calm: Callable[[], bool] = lambda: False,
) -> Iterator[Batch]:
    """Endless training batches: `count` varied pictures of each part, each in its own epochs; faces
    with a `share` are drawn with these odds.

    `calm` is asked before each batch and handed on to `vary`. Faces with `answers` are shown in
    their numbered views, mirrored at random.
    """
    queues = [np.empty(0, int) for _ in parts]
    while True:
        chosen: list[tuple[Faces, NDArray[Any]]] = []
        for k, (faces, count) in enumerate(parts):
            if len(queues[k]) < count:
                queues[k] = np.concatenate([queues[k], _order(faces, rng)])
            chosen.append((faces, queues[k][:count]))
            queues[k] = queues[k][count:]
        quiet = calm()
        made = [_part(faces, rows, rng, quiet) for faces, rows in chosen]
        yield {key: np.concatenate([part[key] for part in made]) for key in made[0]}


def _order(faces: Faces, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of one epoch, as many as there are faces."""
    if faces.share is None:
        return rng.permutation(len(faces))
    odds = faces.share.astype(np.float64)
    return rng.choice(len(faces), len(faces), p=odds / odds.sum())


def _part(
    faces: Faces, rows: NDArray[Any], rng: np.random.Generator, calm: bool
) -> dict[str, NDArray[Any]]:
    """The batch's share of one part."""
    count = len(rows)
    answers = np.zeros((count, len(EXPRESSIONS)), np.float32)
    answer_weight = np.zeros(count, np.float32)
    if faces.answers is None or faces.answer_weight is None:
        views = [vary(faces.pictures[i], rng, calm) for i in rows]
    else:
        step = CALM_EVERY if calm else 1
        numbers = rng.integers(0, -(-faces.answers.shape[1] // step), count) * step
        views = [
            numbered(faces.pictures[i], int(i), int(k)) for i, k in zip(rows, numbers, strict=True)
        ]
        views = [
            v[:, ::-1] if turn else v
            for v, turn in zip(views, rng.random(count) < 0.5, strict=True)
        ]
        answers, answer_weight = faces.answers[rows, numbers], faces.answer_weight[rows]
    others = np.full((count, len(OTHER_UNITS)), np.nan, np.float32)
    if faces.other_units is not None:
        others = faces.other_units[rows]
    return {
        "pictures": np.stack(views)[:, None].astype(np.float32) / 255.0,
        "classes": faces.classes[rows],
        "class_weight": faces.class_weight[rows],
        "units": faces.units[rows],
        "unit_weight": faces.unit_weight[rows],
        "other_units": others,
        "answers": answers,
        "answer_weight": answer_weight,
    }
