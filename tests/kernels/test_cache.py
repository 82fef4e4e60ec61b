"""Kernels work on a read-only installation, and are compiled only once."""

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

START = """
from pathlib import Path
import cv2
import numba
from numba.core.event import install_recorder
import agent
from agent.base.config import AgentConfig
with install_recorder("numba:compile") as compiled:
    from agent.vision.pipeline import Pipeline
    from agent.base.types import Frame
    pipeline = Pipeline(AgentConfig())
    capture = cv2.VideoCapture(str(Path(agent.__file__).parent / "base" / "assets" / "clip.mp4"))
    seen = 0
    for index in range(70):
        picture = capture.read()[1]
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        seen += len(pipeline(Frame(index / 25, grey)).faces)
    print("faces", seen)
    print("compiled", sorted({str(event.data["dispatcher"]) for _, event in compiled.buffer}))
    compiled.buffer.clear()
    numba.njit(lambda x: x + 1)(1)
    print("recorder works", len(compiled.buffer) > 0)
"""


def _run(program: str, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(kernels.__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_read_only_installation_without_a_home_still_runs() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    assert _run(PROGRAM, environment) == ["[0.0, 0.0, 0.0, 0.0]", "True"]


@pytest.mark.slow
def test_a_second_start_compiles_nothing() -> None:
    """The whole pipeline, after another process filled the cache, if it was not full already."""
    for _ in range(2):
        faces, compiled, recorder = _run(START, dict(os.environ))
        if compiled == "compiled []":
            break
    assert int(faces.removeprefix("faces ")) > 30
    assert compiled == "compiled []"
    assert recorder == "recorder works True"


def test_a_folder_that_can_be_made_counts_as_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernels._writable(tmp_path / "not" / "there")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not kernels._writable(tmp_path / "not" / "there")


def test_another_users_home_does_not_count_as_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under `setpriv --reuid`, which keeps HOME."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "stat", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not kernels._writable(tmp_path / ".cache" / "numba")
