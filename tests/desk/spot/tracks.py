"""Landmark tracks of a face that keeps still, for tests to spoil."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.align import MEAN_SHAPE

IOD = 100.0
Arrays = dict[str, NDArray[Any]]


def still(
    frames: int = 300, fps: float = 30.0, iod: float = IOD, noise: float = 0.001, seed: int = 0
) -> Arrays:
    """`noise`: standard deviation in inter-ocular distances."""
    rng = np.random.default_rng(seed)
    points = MEAN_SHAPE + rng.normal(scale=noise, size=(frames, 68, 2))
    return {
        "timestamps": np.arange(frames) / fps,
        "landmarks": (points * iod + [320, 240]).astype(np.float32),
        "confidence": np.full(frames, 0.95, np.float32),
    }


def save(path: Path, arrays: Arrays, compressed: bool = False) -> Path:
    named: dict[str, Any] = arrays
    (np.savez_compressed if compressed else np.savez)(path, **named)
    return path
