"""Which faces of a still are listed: the threshold, its option, and small faces."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

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


PICTURES = {"a.JPG": "JPEG", "b.jfif": "JPEG", "c.avif": "AVIF", "d.gif": "GIF", "e": "PNG"}


def test_a_folder_gives_one_line_for_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = Image.fromarray(np.full((64, 64), 90, np.uint8))
    for name, form in PICTURES.items():
        grey.save(tmp_path / name, form)
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "notes.txt").write_text("none")
    (tmp_path / "sub" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [Path(line["image"]).name for line in lines]
    assert names == [*PICTURES, "cut.png", "notes.txt"]
    assert [line["size"] for line in lines[:5]] == [[64, 64]] * 5
    assert ["error" in line for line in lines[5:]] == [True, True]
    assert main(["inspect", str(tmp_path)]) == 0
    text = capsys.readouterr().out.splitlines()
    assert len(text) == 7
    assert "notes.txt is text, not a picture. Name a picture." in text[6]


def test_what_is_named_has_to_be_read_and_an_empty_folder_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64), 90, np.uint8))
    (tmp_path / "empty").mkdir()
    assert main(["inspect", str(tmp_path / "a.png"), str(tmp_path / "none.png")]) == 1
    assert main(["inspect", str(tmp_path / "empty"), "--json"]) == 1
    assert "holds no file" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    (tmp_path / "empty" / "x.pdf").write_bytes(b"%PDF-1.4")
    assert main(["inspect", str(tmp_path / "empty")]) == 1
    assert "x.pdf is a document, not a picture" in capsys.readouterr().out


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 2)])
def test_the_smallest_pictures_have_no_face(
    tmp_path: Path, size: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full(size, 90, np.uint8))
    assert main(["inspect", str(tmp_path / "a.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faces"] == []


def test_names_that_are_no_text_are_printed_as_one_line_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (b"caf\xe9\n.png", b"\x1b[31mred.png"):
        Image.new("L", (64, 64)).save(os.path.join(os.fsencode(tmp_path), name))
    assert main(["inspect", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "caf\\xe9\\n.png: 0 face(s)" in text
    assert "\\x1b[31mred.png: 0 face(s)" in text
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    names = [json.loads(line)["image"] for line in capsys.readouterr().out.splitlines()]
    assert [Path(name).name for name in names] == ["\x1b[31mred.png", "caf\\xe9\n.png"]
    "".join(names).encode()
