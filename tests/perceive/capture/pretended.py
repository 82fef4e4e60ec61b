"""Runs cameras of `pretended_v4l2.c`: `python -m tests.perceive.capture.pretended FOLDER`, where
that library is preloaded, opens each scenario of FOLDER/scenarios in turn."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CAPTURE, MPLANE, STREAMING = 0x1, 0x1000, 0x0400_0000
SOURCE = Path(__file__).with_name("pretended_v4l2.c")


@dataclass
class Scenario:
    """What is there, what is asked for, and how many frames are read."""

    cameras: str
    """As `pretended_v4l2.c` describes."""
    source: dict[str, Any] = field(default_factory=dict)
    grabs: int = 2


@dataclass
class Found:
    """What came of it."""

    error: str = ""
    luma: list[np.ndarray] = field(default_factory=list)
    green: list[bool] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    name: str = ""
    mode: str = ""
    damaged: int = 0


Record = tuple[Sequence[bytes], int]
"""Memory planes of one frame, and the driver's flags."""


def recorded(path: Path, frames: Sequence[Record]) -> str:
    """Write what a camera gives; the line that names it."""
    with path.open("wb") as file:
        for planes, flags in frames:
            lengths = [len(each) for each in planes]
            file.write(struct.pack(f"<II{len(planes)}I", flags, len(planes), *lengths))
            file.writelines(planes)
    return f"frames {path}\n"


def built(folder: Path) -> Path | None:
    """The library; None: there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    made = folder / "pretended_v4l2.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(made), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return made


def run(scenarios: dict[str, Scenario], library: Path, folder: Path) -> dict[str, Found]:
    """All of them in one process."""
    (folder / "scenarios").write_bytes(pickle.dumps(scenarios))
    cameras = str(folder / "cameras")
    environment = {**os.environ, "LD_PRELOAD": str(library), "PRETENDED_CAMERAS": cameras}
    command = [sys.executable, "-m", "tests.perceive.capture.pretended", str(folder)]
    subprocess.run(command, cwd=SOURCE.parents[3], env=environment, check=True, timeout=120)
    found: dict[str, Found] = pickle.loads((folder / "found").read_bytes())
    return found


def _opened(scenario: Scenario) -> Found:
    from agent.base.config import SourceConfig
    from agent.base.errors import CaptureError
    from agent.perceive.capture.v4l2_camera import V4l2Camera

    found = Found()
    try:
        camera = V4l2Camera(SourceConfig(kind="v4l2", **{"stall": 0.5, **scenario.source}))
        found.name = camera.name
        try:
            for _ in range(scenario.grabs):
                frame = camera.grab()
                found.luma.append(frame.luma)
                found.green.append(camera.green)
                found.times.append(frame.time)
        finally:
            found.mode, found.damaged = camera.mode, camera.damaged
            camera.close()
            camera.close()
    except CaptureError as error:
        found.error = str(error)
    return found


def _main(folder: Path) -> None:
    from tests.perceive.capture import pretended

    results = {}
    for name, scenario in pickle.loads((folder / "scenarios").read_bytes()).items():
        (folder / "cameras").write_text(scenario.cameras)
        results[name] = pretended._opened(scenario)
    (folder / "found").write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
