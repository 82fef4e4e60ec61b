"""The private cache of compiled kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.desk.audit import _kernels
from agent.host.supervise import child_environment


@pytest.mark.slow
def test_after_filling_the_cache_nothing_is_compiled(tmp_path: Path) -> None:
    environment = child_environment() | {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert _kernels.fill(tmp_path, environment) is None
    before = files(tmp_path)
    assert any(path.suffix == ".nbc" for path in before)
    assert len({path.parent for path in before}) == 1, "Numba chose another folder"
    subprocess.run([sys.executable, "-P", "-c", _kernels._WARM], env=environment, check=True)
    assert files(tmp_path) == before


def files(folder: Path) -> dict[Path, int]:
    """Time of modification of every file."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kernels, "_WARM", "raise SystemExit('no such model')")
    monkeypatch.setattr(_kernels, "_existing", lambda name: [])
    problem = _kernels.fill(tmp_path, dict(os.environ))
    assert problem is not None
    assert "no such model" in problem
