"""Training data of the landmark network: labelled faces, negatives, crop geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import (
    LANDMARK_CROP,
    MEAN_FIVE,
    MEAN_SHAPE,
    apply,
    five_points,
    invert,
    similarity,
)
from tools.common.packs import decode, load
from tools.train.landmarks.candidates import Candidates, offered
from tools.train.landmarks.labels import refined

SIZE = LANDMARK_CROP.size
TARGET = LANDMARK_CROP.place(MEAN_SHAPE)
TARGET_FIVE = LANDMARK_CROP.place(MEAN_FIVE)
SOURCES = ("utkface", "lfw", "ytf", "portraits", "synthetic")
# per source: how far the labels are trusted, how often drawn
TRUST = np.array([1.0, 0.5, 1.0, 0.8, 1.0], np.float32)
SHARE = np.array([1.0, 0.5, 1.6, 1.6, 1.6], np.float32)


@dataclass(frozen=True, slots=True)
class Faces:
    """Labelled faces, pictures decoded: one split of one set of sources."""

    pictures: list[Grey]
    points: Float
    """float32[N, 68, 2], picture pixels."""
    weight: Float
    """float32[N, 68], 0 where a point lies outside its picture."""
    source: NDArray[np.uint8]
    """uint8[N], index into `names`."""
    yaw: Float
    """float32[N], degrees, rough."""
    share: Float
    """float32[N], how often a face is drawn in training, relative."""
    names: tuple[str, ...] = SOURCES
    first: Float | None = None
    """float32[N, 68, 2]: where `points` are refined, what a single teacher says."""


def load_faces(split: int) -> Faces:
    """Faces of the packs, split 0 (train) or 1 (valid)."""
    labels, pack = load("faces_labels.npz"), load("faces.npz")
    rows = np.flatnonzero(labels["split"] == split)
    doubt = np.maximum(labels["agreement"], labels["stability"])[rows].astype(np.float32)
    trust = TRUST[labels["source"][rows]] * np.clip(1.4 - 10.0 * doubt, 0.4, 1.0)
    found = refined()
    return Faces(
        [decode(pack["jpeg"], pack["off"], int(i)) for i in rows],
        found.points[rows],
        labels["vis68"][rows].astype(np.float32) * trust[:, None] * found.trust[rows],
        labels["source"][rows],
        labels["pose_yaw_pitch_roll"][rows, 0].astype(np.float32),
        SHARE[labels["source"][rows]],
        first=labels["lm68"][rows].astype(np.float32),
    )


def load_negatives(split: int) -> list[Grey]:
    """Pictures without a face."""
    pack = load("negatives.npz")
    return [
        decode(pack["jpeg"], pack["off"], int(i)) for i in np.flatnonzero(pack["split"] == split)
    ]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that the network is trained on and checked with."""

    faces: Faces
    negatives: list[Grey]
    valid_faces: Faces
    valid_negatives: list[Grey]
    description: tuple[str, ...]
    """For the manifest: what the training part is."""
    terms: str
    chosen_faces: Faces | None = None
    chosen_negatives: list[Grey] | None = None
    """What thresholds and corrections are chosen on; None: the valid ones."""
    candidates: Callable[[], Candidates] | None = None
    """Makes what a detector offers, of the training part."""


def packs() -> Sources:
    """All packs."""
    return Sources(
        load_faces(0),
        load_negatives(0),
        load_faces(1),
        load_negatives(1),
        (
            "UTKFace, LFW, YouTube Faces frames, web portraits, SFHQ synthetic faces: 19,730 crops",
            "points: consensus of MediaPipe FaceMesh v2, PFLD-GhostOne (Apache-2.0) and dlib's "
            "shape_predictor_68 (trained on iBUG 300-W: non-commercial research), moved most of "
            "the way to the convention of hand-made points",
            "presence: faces of 2,643 scenes (masks, WIDER subset, web photographs)",
            "no face: 966 pictures of an ImageNet sample and of haartraining negatives; what the "
            "detector wrongly finds in them",
        ),
        "Trained on third parties' photographs for non-commercial research; weights alike.",
        candidates=lambda: offered(0),
    )


def about_centre(degrees: float, scale: float, shift: Float, aspect: float = 1.0) -> Float:
    """Crop-to-crop float32[2, 3]: turn, scale (x by `aspect` more) about the centre, then shift."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[c, -s], [s, c]]) @ np.diag([scale * aspect, scale])
    middle = np.full(2, (SIZE - 1) / 2)
    return np.concatenate([linear, (middle - linear @ middle + shift)[:, None]], 1).astype(
        np.float32
    )


def chain(second: Float, first: Float) -> Float:
    """The matrix that applies `first`, then `second`."""
    return np.concatenate(
        [second[:, :2] @ first[:, :2], (second[:, :2] @ first[:, 2] + second[:, 2])[:, None]], 1
    ).astype(np.float32)


def valid_crop(points: Float, offset: Float | None = None) -> Float:
    """Matrix of a crop placed by the five keypoints of float32[68, 2] and moved by `offset`."""
    matrix = similarity(five_points(points), TARGET_FIVE)
    return matrix if offset is None else chain(offset, matrix)


def back(matrix: Float, points: Float) -> Float:
    """Crop pixels to picture pixels, float32[68, 2]."""
    return apply(invert(matrix), points)
