"""One stay is one visit, from a video file to what `fleeting replay` prints."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import pytest

from agent.base.types import Grey
from agent.cli import main
from tools.bench.visits import pictures
from tools.bench.visits.cases import cases


def film(frames: Iterable[Grey], fps: float, path: Path) -> Path:
    writer: cv2.VideoWriter | None = None
    for frame in frames:
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    assert writer is not None
    writer.release()
    return path


def counted(video: Path, capsys: pytest.CaptureFixture[str]) -> int:
    assert main(["replay", str(video), "--json"]) == 0
    return sum(json.loads(line)["visits"] or 0 for line in capsys.readouterr().out.splitlines())


@pytest.mark.slow
def test_two_minutes_before_the_camera_are_one_visit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = [cv2.resize(frame, (320, 240)) for frame in pictures.clip()[60:360:2]]
    video = film(itertools.islice(itertools.cycle(loop), 1800), 15.0, tmp_path / "stay.mp4")
    assert counted(video, capsys) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["8 glances of 3 s, 320 px, 25 fps", "two change places, 320 px"])
def test_glances_away_are_one_visit_and_two_who_change_places_are_two(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (case,) = (case for case in cases() if case.name == name)
    assert counted(film(case.frames(), case.fps, tmp_path / "story.mp4"), capsys) == case.stays
