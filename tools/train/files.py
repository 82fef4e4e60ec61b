"""Where models lie, and writing files whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parents[2] / "models"


def save_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def save_json(path: Path, content: Mapping[str, Any]) -> None:
    """Readable JSON, written atomically."""
    save_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
