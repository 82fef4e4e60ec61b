"""What teachers answer to the numbered views of training pictures, and its weight beside labels.

Every teacher answers to the very view that the student is shown, cut, moved and relit alike (Beyer
et al. 2022, arXiv:2106.05237): answers to the plain training pictures would be surer than the
teachers are of unseen ones. They are kept beside each teacher's checkpoint, so that training costs
no more than without.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.common.files import npz, save_atomically
from tools.common.progress import along
from tools.train.expression.data import Faces, numbered

Ask = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Logits float32[N, 8] of pictures uint8[N, 48, 48]."""
VIEWS = 6
"""Numbered views of each picture that teachers answer to."""
SHARE = 0.6
"""Weight of the teachers beside human labels."""
UNLABELLED = 0.5
"""Weight of a picture that only the teachers have named."""
TEMPERATURE = 2.0
"""Of answers and student alike, where they are compared."""
_AT_ONCE = 256


def kept(folder: Path, part: int, faces: Faces, views: int, ask: Ask) -> NDArray[np.float16]:
    """Logits float16[N, views, 8] of one teacher to the numbered views of a part's faces.

    Those that are not yet in `folder` are asked for first, one file for each number of a view:
    whoever stops this loses one view, and more views may be wanted later.
    """
    out = np.empty((len(faces), views, 8), np.float16)
    for k in along(range(views), f"{folder.parent.name}, part {part}"):
        file = folder / f"{part}-{len(faces)}-{k:02d}.npz"
        if file.is_file():
            with np.load(file) as content:
                out[:, k] = content["logits"]
            continue
        for first in range(0, len(faces), _AT_ONCE):
            rows = range(first, min(first + _AT_ONCE, len(faces)))
            out[first : rows.stop, k] = ask(
                np.stack([numbered(faces.pictures[i], i, k) for i in rows])
            )
        save_atomically(file, npz({"logits": out[:, k]}))
    return out


def soften(logits: NDArray[np.float16]) -> NDArray[np.float32]:
    """Probabilities at `TEMPERATURE`, along the last axis."""
    scaled = logits.astype(np.float32) / np.float32(TEMPERATURE)
    odds = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(odds / odds.sum(-1, keepdims=True), np.float32)


def weighed(faces: Faces, answers: NDArray[np.float32]) -> Faces:
    """Faces with answers float32[N, V, 8], their weight shared out between these and labels."""
    labelled = faces.class_weight > 0
    return dataclasses.replace(
        faces,
        class_weight=np.float32(1.0 - SHARE) * faces.class_weight,
        answers=answers,
        answer_weight=np.where(labelled, SHARE * faces.class_weight, UNLABELLED).astype(np.float32),
    )
