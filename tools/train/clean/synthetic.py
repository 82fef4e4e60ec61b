"""SFHQ's synthetic faces (MIT) in the faces pack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.common.packs import load

HELD_OUT = 40
"""SFHQ's last training faces, kept for what is chosen."""


def synthetic_rows(part: str) -> NDArray[np.int64]:
    """Rows of SFHQ's faces in the faces pack: part `train`, `held_out` or `valid`."""
    labels = load("faces_labels.npz")
    source = list(labels["source_names"]).index("sfhq_synthetic")
    rows = np.flatnonzero((labels["source"] == source) & (labels["split"] == (part == "valid")))
    if part == "valid":
        return rows
    return rows[:-HELD_OUT] if part == "train" else rows[-HELD_OUT:]
