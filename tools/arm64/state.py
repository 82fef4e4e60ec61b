"""What the result of a step depends on: it is kept while none of that changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError
from tools.common.files import ROOT

PRODUCT = (
    "agent", "models", "systemd", "requirements.txt", "pyproject.toml", "tools/setup-venv",
    "tools/install.sh",
)  # fmt: skip
"""What a step depends on that is not named below."""
_LIBRARIES = ("requirements.txt", "pyproject.toml", "tools/setup-venv")
NARROWER: Mapping[str, tuple[str, ...]] = {
    "packages": (),
    "environment": _LIBRARIES,
    "microphone": _LIBRARIES,
    "imports": _LIBRARIES,
    "models": (
        "agent/base", "agent/inference", "agent/kernels", "agent/text", "agent/update",
        "agent/vision", "models", *_LIBRARIES,
    ),
    "sandbox": ("agent/base", "agent/host", *_LIBRARIES),
    "units": ("systemd", "tools/install.sh"),
    "image": (*PRODUCT, "tools/arm64/image"),
    "kernels": (*PRODUCT, "tests"),
}  # fmt: skip
"""Steps that depend on less than the product, or on more. All depend on the README's commands."""


@dataclass(frozen=True, slots=True)
class State:
    """Of a clone."""

    commit: str
    """The last one's number, shortened."""
    trees: Mapping[str, str]
    """What git calls the content of each file or folder that something depends on."""
    clean: bool
    """Whether all is committed."""

    def of(self, step: str, commands: object) -> str:
        """One word that changes whenever what a step depends on does; `commands`: the README's."""
        names = NARROWER.get(step, PRODUCT)
        text = json.dumps([repr(commands), *(self.trees[name] for name in names)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def state(here: Path = ROOT) -> State:
    """Of the clone in a folder. Raises `ToolError` where there is none."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    names = sorted({*PRODUCT, *(name for each in NARROWER.values() for name in each)})
    try:
        trees = git("rev-parse", *(f"HEAD:{name}" for name in names)).split()
        changed = git("status", "--porcelain", "-uno")
        commit = git("rev-parse", "--short=8", "HEAD")
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(f"What is tried is a clean clone, and {here} is none: {error}.") from None
    return State(commit, dict(zip(names, trees, strict=True)), not changed)
