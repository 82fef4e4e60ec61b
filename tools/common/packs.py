"""Reading the training packs: grey pictures in `.npz` files with their labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.common.files import ROOT


def packs_folder() -> Path:
    """Where the packs are: $FLEETING_PACKS, else `../shared/data` beside the clone."""
    folder = Path(os.environ.get("FLEETING_PACKS", ROOT.parent / "shared" / "data"))
    if not (folder / "faces.npz").is_file():
        raise SystemExit(f"No training packs in {folder}. Set FLEETING_PACKS to their folder.")
    return folder


def load(name: str) -> dict[str, NDArray[Any]]:
    """All arrays of one pack, each read once."""
    with np.load(packs_folder() / name) as pack:
        return {key: pack[key] for key in pack.files}


def decode(blob: NDArray[np.uint8], offsets: NDArray[Any], index: int) -> NDArray[np.uint8]:
    """Picture `index` of a pack, grey uint8[H, W]."""
    data = blob[offsets[index] : offsets[index + 1]]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
