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
    scenes, negatives = load("scenes.npz"), load("negatives.npz")
    train = np.flatnonzero(scenes["split"] == 0)
    labels = relabel.labels(scenes, train)
    weights = []
    for i, one in zip(train, labels, strict=True):
        share = SCENE_SHARES.get(str(scenes["source"][i]), 1.0)
        weights.append(share * (1.0 + 0.1 * min(int((~one.ignore).sum()), 20)))
    blanks = np.flatnonzero(negatives["split"] == 0)
    faces, points = load("faces.npz"), load("faces_labels.npz")
    names = [str(name) for name in points["source_names"]]
    face_weights = np.array([FACE_SHARES.get(names[k], 0.0) for k in points["source"]])
    face_weights[points["split"] != 0] = 0.0
    kept = np.flatnonzero(face_weights)
    return Sources(
        Encoded(scenes["jpeg"], scenes["off"], train),
        labels,
        np.array(weights, np.float32),
        Encoded(faces["jpeg"], faces["off"], kept),
        points["lm68"][kept].astype(np.float32),
        face_weights[kept].astype(np.float32),
        np.array([names[k] == "utkface" for k in points["source"][kept]]),
        Encoded(negatives["jpeg"], negatives["off"], blanks),
        hardness(blanks),
    )


def hardness(rows: NDArray[np.int64]) -> Floats:
    """Weights float32[rows] of the negatives pack's rows: up to 4 for those on which an earlier
    detector fired (`tools.train.detector.mine`), 1 for the others."""
    scores = mine.read()
    return np.array([1.0 + 3.0 * scores.get(int(row), 0.0) for row in rows], np.float32)
