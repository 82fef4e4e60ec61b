"""Starting this package's own processes from wherever somebody happens to be."""

from __future__ import annotations

import os
from pathlib import Path


def environment() -> dict[str, str]:
    """In which `python -P -m agent.…` finds this package. With -P a folder called `agent` where the
    user happens to be is not taken for ours."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
