"""Paths of the repository, and files written atomically."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
"""The clone."""
MODELS = ROOT / "models"


def run_folder(model: str) -> Path:
    """`runs/<model>`, made if absent: checkpoints and caches, never committed."""
    folder = ROOT / "runs" / model
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_atomically(path: Path, data: bytes) -> None:
    """As `agent.base.files.write_atomically`, in a folder that is made if it is absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)


def save_json(path: Path, content: Mapping[str, Any]) -> None:
    """Readable JSON, written atomically."""
    save_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def save_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """uint8[H, W] or uint8[H, W, 3], BGR, as PNG, written atomically."""
    save_atomically(path, cv2.imencode(".png", picture)[1].tobytes())


def npz(arrays: Mapping[str, NDArray[Any]], compressed: bool = True) -> bytes:
    """The content of an `.npz` file."""
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)  # type: ignore[arg-type,unused-ignore]
    return file.getvalue()


def in_memory() -> str | None:
    """A folder that no disk slows down, for `tempfile`; None where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
