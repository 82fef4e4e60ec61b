"""When what is published ends, read without the update framework's libraries: for a monitor."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

_NAME = re.compile(r"(?:([0-9]{1,9})\.)?([a-z]+)\.json")
_MAX_BYTES = 2**20


def ends(metadata: Path) -> dict[str, float]:
    """Unix seconds by role, of the newest version of each in a repository's folder `metadata`; what
    is not there or cannot be read is left out: devices judge it, not this."""
    newest: dict[str, tuple[int, Path]] = {}
    try:
        files = sorted(metadata.iterdir())
    except OSError:
        return {}
    for path in files:
        match = _NAME.fullmatch(path.name)
        if match is not None:
            version = int(match[1] or 0)
            newest[match[2]] = max(newest.get(match[2], (version, path)), (version, path))
    found = {role: _end(path) for role, (_, path) in newest.items()}
    return {role: end for role, end in found.items() if end is not None}


def _end(path: Path) -> float | None:
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_MAX_BYTES))["signed"]["expires"]
        return dt.datetime.fromisoformat(said).timestamp()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
