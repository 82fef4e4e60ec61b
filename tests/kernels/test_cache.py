"""Kernels load where nothing beside them can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent import kernels

PROGRAM = """
import os
import numpy as np
os.access = lambda *_, **__: False  # as on a read-only installation without a home
from agent.kernels.geometry import extent
print(extent(np.zeros((2, 2), np.float32)).tolist())
print(os.listdir(os.environ["NUMBA_CACHE_DIR"]) != [])
"""


def test_a_read_only_installation_without_a_home_still_runs() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(kernels.__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.split("\n")[:2] == ["[0.0, 0.0, 0.0, 0.0]", "True"], done.stderr


def test_a_folder_that_can_be_made_counts_as_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernels._writable(tmp_path / "not" / "there")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not kernels._writable(tmp_path / "not" / "there")
