"""Source pictures of the detector's training: labelled scenes, faces, backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.common.packs import decode, load
from tools.train.detector import mine, relabel
from tools.train.detector.labels import Floats, Labels, Picture

FACE_SHARES = {"utkface": 1.0, "ytf": 2.0, "sfhq_synthetic": 2.5, "mask_portraits": 2.5}
"""How often a face of each source is pasted; the chin is cut in most of the faces left out."""
SCENE_SHARES = {
    "mask_portraits": 0.4,
    "facemask_cc0": 1.0,
    "widerface_val_subset": 2.5,
    "human_segmentation": 1.5,
    "human_demo_photos": 1.5,
}
"""Weight of a scene by source, others 1: portraits are easy, bare faces in groups are rare."""


class Encoded(Sequence[Picture]):
    """Some pictures of a pack, each decoded when first asked for and kept from then on."""

    def __init__(
        self, blob: NDArray[np.uint8], offsets: NDArray[Any], indices: NDArray[Any]
    ) -> None:
        self._blob, self._offsets = blob, offsets
        self._indices = [int(i) for i in indices]
        self._kept: dict[int, Picture] = {}

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        picture = self._kept.get(index)
        if picture is None:
            picture = decode(self._blob, self._offsets, self._indices[index])
            self._kept[index] = picture
        return picture


@dataclass(frozen=True, slots=True)
class Sources:
    """Material for a `Painter`. Any of the three kinds but the backgrounds may be empty.

    Weights need not sum to 1. Pictures are grey uint8[H, W]; coordinates are in their pixels.
    """

    scenes: Sequence[Picture]
    scene_labels: Sequence[Labels]
    scene_weights: Floats
    """float32[scenes], relative frequency."""
    faces: Sequence[Picture]
    """Cut-out faces, the larger part of the head inside."""
    face_points: Floats
    """float32[faces, 68, 2]."""
    face_weights: Floats
    """float32[faces], relative frequency."""
    face_tight: NDArray[np.bool_]
    """bool[faces]: the picture shows hardly more than the head."""
    backgrounds: Sequence[Picture]
    """Pictures without any face."""
    background_weights: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """float32[backgrounds], relative frequency; empty: all alike."""


def packs() -> Sources:
    """The training parts of the packs; scenes with the teachers' labels where they were asked."""
    scenes = load("scenes.npz")
    train = np.flatnonzero(scenes["split"] == 0)
    labels = relabel.labels(scenes, train)
    weights = []
    for i, one in zip(train, labels, strict=True):
        share = SCENE_SHARES.get(str(scenes["source"][i]), 1.0)
        weights.append(share * (1.0 + 0.1 * min(int((~one.ignore).sum()), 20)))
    pictures = Encoded(scenes["jpeg"], scenes["off"], train)
    blanks, blank_weights = backgrounds(pictures, train)
    faces, points = load("faces.npz"), load("faces_labels.npz")
    names = [str(name) for name in points["source_names"]]
    face_weights = np.array([FACE_SHARES.get(names[k], 0.0) for k in points["source"]])
    face_weights[points["split"] != 0] = 0.0
    kept = np.flatnonzero(face_weights)
    return Sources(
        pictures,
        labels,
        np.array(weights, np.float32),
        Encoded(faces["jpeg"], faces["off"], kept),
        points["lm68"][kept].astype(np.float32),
        face_weights[kept].astype(np.float32),
        np.array([names[k] == "utkface" for k in points["source"][kept]]),
        blanks,
        blank_weights,
    )


class Windows(Sequence[Picture]):
    """Parts of pictures, each int[5]: position in `pictures`, x0, y0, x1, y1."""

    def __init__(self, pictures: Sequence[Picture], places: NDArray[Any]) -> None:
        self._pictures = pictures
        self._places = [tuple(row) for row in places.tolist()]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at, x0, y0, x1, y1 = self._places[index]
        return self._pictures[at][y0:y1, x0:x1]


class Joined(Sequence[Picture]):
    """Two sequences one after the other."""

    def __init__(self, first: Sequence[Picture], second: Sequence[Picture]) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        count = len(self._first)
        return self._first[index] if index < count else self._second[index - count]


def backgrounds(scenes: Encoded, train: NDArray[np.int64]) -> tuple[Sequence[Picture], Floats]:
    """Face-free views and how often each is drawn; `train`: the rows behind `scenes`.

    Pictures of the negatives pack, and windows of scenes once `tools.train.detector.mine` has
    chosen some; together the windows weigh half of the pictures.
    """
    negatives = load("negatives.npz")
    rows = np.flatnonzero(negatives["split"] == 0)
    whole = Encoded(negatives["jpeg"], negatives["off"], rows)
    scores, windows, window_scores = mine.read()
    weights = hardness(np.array([scores.get(int(row), 0.0) for row in rows]))
    places = np.concatenate([np.searchsorted(train, windows[:, :1]), windows[:, 1:]], 1)
    part = hardness(window_scores)
    part *= 0.5 * weights.sum() / max(float(part.sum()), 1e-6)
    return Joined(whole, Windows(scenes, places)), np.concatenate([weights, part])


def hardness(scores: NDArray[Any]) -> Floats:
    """Weight by score: 0 where a teacher saw a face, else from 1 to 7."""
    return np.where(scores < 0, 0.0, 1.0 + 6.0 * np.maximum(scores, 0.0) ** 2).astype(np.float32)
