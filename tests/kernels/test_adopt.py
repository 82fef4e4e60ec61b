"""Machine code of the same kernels is taken over from where they were before an update."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import agent.kernels as kernels

LOAD = """
import os, pathlib, sys
import agent.kernels as kernels
kernels.adopt(pathlib.Path(os.environ["NUMBA_CACHE_DIR"]))
from agent.kernels.geometry import extent as kernel
import numpy as np
kernel(np.zeros((2, 2), np.float32))
print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""


def own(cache: Path) -> Path:
    folder = os.path.dirname(os.path.abspath(kernels.__file__))
    return cache / f"kernels_{hashlib.sha1(folder.encode()).hexdigest()}"


def loaded(root: Path, cache: Path) -> tuple[int, int]:
    """How often the kernel came from the cache, and how often it was compiled."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOAD], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(cache)},
    )  # fmt: skip
    hits, misses = map(int, done.stdout.split())
    return hits, misses


@pytest.mark.slow
def test_another_place_needs_no_compiler_and_another_kernel_does(tmp_path: Path) -> None:
    source = Path(kernels.__file__).parent
    for slot in ("a", "b"):
        target = tmp_path / slot / "agent"
        shutil.copytree(source, target / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
        (target / "__init__.py").touch()
    cache = tmp_path / "cache"
    cache.mkdir()
    assert loaded(tmp_path / "a", cache) == (0, 1)
    assert loaded(tmp_path / "a", cache) == (1, 0)
    assert loaded(tmp_path / "b", cache) == (1, 0)
    changed = tmp_path / "b/agent/kernels/geometry.py"
    changed.write_text(changed.read_text() + "\n# another release\n")
    assert loaded(tmp_path / "b", cache) == (0, 1)


def test_the_newest_is_taken_and_the_oldest_are_removed(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "newer than old", "old", "older", "oldest")):
        folder = tmp_path / f"kernels_{name}"
        folder.mkdir()
        (folder / "one.nbi").write_text(name)
        (folder / "two.tmp").touch()
        os.utime(folder, (1e9 - age, 1e9 - age))
    kernels.adopt(tmp_path)
    assert [each.name for each in own(tmp_path).iterdir()] == ["one.nbi"]
    assert (own(tmp_path) / "one.nbi").read_text() == "new"
    assert not (tmp_path / "kernels_oldest").exists()
    assert (tmp_path / "kernels_old").exists()
    kernels.adopt(tmp_path)  # there already
    assert not list(tmp_path.glob(".adopted*"))


def test_nowhere_and_nothing_are_no_trouble(tmp_path: Path) -> None:
    kernels.adopt(tmp_path)
    kernels.adopt(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
