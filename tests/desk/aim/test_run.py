"""The verb, on the bundled clip and on films without a face."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.cli import main


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli", "aim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def film(path: Path, picture: np.ndarray, frames: int = 200) -> Path:
    height, width = picture.shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (width, height))
    for _ in range(frames):
        writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def test_the_clip_is_a_good_place_said_for_programs_and_drawn_nowhere_else(tmp_path: Path) -> None:
    """In its own process, in the sandbox, in an empty folder."""
    done = run(CLIP, "--seconds", "8", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["fit"]
    assert [each["name"] for each in told["parts"]] == ["size", "light", "angle", "micro", "rate"]
    assert told["seconds"] == pytest.approx(8.0, abs=0.1)


def test_a_film_of_nobody_is_no_good_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = cv2.resize(np.random.default_rng(1).integers(25, 230, (12, 16), np.uint8), (320, 240))
    assert main(["aim", str(film(tmp_path / "empty.avi", picture, 60)), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["score"] is None
    assert any("Stand where" in each for each in told["advice"])


def test_a_camera_that_lies_on_its_side_is_told_how_it_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = cv2.VideoCapture(str(CLIP))
    capture.set(cv2.CAP_PROP_POS_MSEC, 14_000)
    _, picture = capture.read()
    capture.release()
    grey = cv2.rotate(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.ROTATE_180)
    assert main(["aim", str(film(tmp_path / "turned.avi", grey)), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert "source.rotate = 180" in told["advice"][0]


def test_a_missing_film_is_one_sentence() -> None:
    done = run("nowhere.mp4")
    assert done.returncode == 1
    assert "nowhere.mp4" in done.stderr
    assert "Traceback" not in done.stderr
