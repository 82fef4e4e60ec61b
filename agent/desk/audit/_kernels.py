"""A private cache of compiled kernels, filled by this program's own code before the run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from agent.host.supervise import child_environment

_WARM = (
    "from agent.base.config import AgentConfig; from agent.perceive.warm_up import warm; "
    "warm(AgentConfig(), hears=True)"
)
_SOURCE = Path(__file__).resolve().parents[2] / "kernels"


def fill(folder: Path, environment: Mapping[str, str]) -> str | None:
    """Compile every kernel into `folder`, the environment's NUMBA_CACHE_DIR; what this installation
    has compiled before is copied. Afterwards the run has nothing to write there.

    Returns why it failed, or None.
    """
    digest = hashlib.sha1(str(_SOURCE).encode(), usedforsecurity=False).hexdigest()
    below = folder / f"{_SOURCE.name}_{digest}"  # Numba's name; another would only cost time
    below.mkdir(parents=True, exist_ok=True)
    if not any(any(each.glob("*.nbc")) for each in _existing(below.name)):
        _warm(child_environment())  # a minute that the next audit saves
    for known in _existing(below.name):
        for path in (*known.glob("*.nbi"), *known.glob("*.nbc")):
            if path.is_file():
                shutil.copyfile(path, below / path.name)
    done = _warm(environment)
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return f"the kernels could not be compiled beforehand: {''.join(last)[:200]}"
    return None


def _warm(environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-P", "-c", _WARM],
        env={**environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )


def _existing(name: str) -> list[Path]:
    """Folders that may hold compiled kernels of this installation."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    folders = [_SOURCE / "__pycache__", user / name]
    return [*folders, *([Path(chosen) / name] if chosen else [])]
