"""Which faces of a still are listed: the threshold, its option, and small faces."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.types import Grey
from agent.cli import main
from agent.desk.inspect import Inspector
from agent.inference.manifest import load_manifest, models_folder
from agent.perceive.capture.video_file import VideoFile


@pytest.fixture(scope="module")
def portrait() -> Grey:
    """One frame of the bundled clip, one face in it."""
    frame = next(frame for frame in VideoFile(CLIP) if frame.time > 6.5)
    return np.asarray(frame.luma, np.uint8)


def _crowd(portrait: Grey, width: float) -> tuple[Grey, int]:
    """640x480: the portrait again and again, so small that a face is `width` px wide."""
    x1, _, x2, _ = Inspector(AgentConfig(), 0.1).picture(portrait)[0]["box"]
    scale = width / (x2 - x1)
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    across, down = 640 // small.shape[1], 480 // small.shape[0]
    canvas = np.full((480, 640), int(portrait.mean()), np.uint8)
    people = np.tile(small, (down, across))
    canvas[: people.shape[0], : people.shape[1]] = people
    return np.asarray(canvas, np.uint8), across * down


@pytest.mark.slow
def test_the_default_is_the_cards_threshold_and_weaker_faces_come_on_demand(portrait: Grey) -> None:
    crowd, _ = _crowd(portrait, 11.0)  # small enough for weak answers
    card = load_manifest(models_folder(AgentConfig().models)).parameters("detector")
    certain = Inspector(AgentConfig()).picture(crowd)
    every = Inspector(AgentConfig(), 0.05).picture(crowd)
    assert all(face["score"] >= float(card["still_above"]) for face in certain)
    assert len(every) > len(certain)
    assert all(face["score"] >= 0.05 for face in every)
    listed = [(tuple(face["box"]), face["score"]) for face in every]
    assert all((tuple(face["box"]), face["score"]) in listed for face in certain)


@pytest.mark.slow
def test_the_option_goes_before_the_configuration(portrait: Grey) -> None:
    config = AgentConfig.model_validate({"detection": {"score_above": 0.99}})
    crowd, _ = _crowd(portrait, 20.0)
    strict = Inspector(config).picture(crowd)
    assert all(face["score"] >= 0.99 for face in strict)
    assert len(Inspector(config, 0.3).picture(crowd)) > len(strict)


@pytest.mark.parametrize("score", [0.0, 1.0, -0.1, float("nan")])
def test_a_score_that_is_no_probability_is_refused(score: float) -> None:
    with pytest.raises(ConfigError, match="--min-score must lie between 0 and 1"):
        Inspector(AgentConfig(), score)


def test_the_command_line_takes_the_option(
    tmp_path: Path, portrait: Grey, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), portrait)
    found = []
    for score in ("0.35", "0.99999"):
        assert main(["inspect", str(tmp_path), "--json", "--min-score", score]) == 0
        found.append(len(json.loads(capsys.readouterr().out)["faces"]))
    assert found == [1, 0]
    assert main(["inspect", str(tmp_path), "--min-score", "7"]) == ConfigError.exit_code


@pytest.mark.parametrize(("width", "score"), [(20.0, 0.35), (30.0, None)])
def test_small_faces_are_found(portrait: Grey, width: float, score: float | None) -> None:
    """In a picture of 640x480, which is looked at in tiles too; the smaller ones on demand."""
    crowd, people = _crowd(portrait, width)
    faces = Inspector(AgentConfig(), score).picture(crowd)
    widths = [face["box"][2] - face["box"][0] for face in faces]
    assert people >= 12
    assert len(faces) == pytest.approx(people, rel=0.1)
    assert np.median(widths) == pytest.approx(width, abs=3)
