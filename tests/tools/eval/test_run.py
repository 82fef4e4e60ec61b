"""The command from end to end: shipped models, packs of a few pictures made here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.base.config import AgentConfig
from agent.base.types import ACTION_UNITS, EXPRESSIONS, Detections, Frame, Grey
from agent.vision.pipeline import Models
from tests.tools.packs import BLENDSHAPES, blob
from tools.common.files import ROOT
from tools.eval import data, latency
from tools.eval.__main__ import main
from tools.eval.detector import measure, tilt, video

CLIP = ROOT / "agent" / "base" / "assets" / "clip.mp4"


def clip_frames(every: int) -> Iterator[np.ndarray]:
    clip = cv2.VideoCapture(str(CLIP))
    ok, picture = clip.read()
    while ok:
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        for _ in range(every):
            ok, picture = clip.read()


@pytest.fixture(scope="module")
def small_packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packs whose labels are what the shipped models themselves say of frames of the demo clip."""
    folder = tmp_path_factory.mktemp("packs")
    models = Models(AgentConfig(), 0.5)
    seen: list[Any] = []
    for frame in clip_frames(20):
        found = models.detector(Frame(0.0, frame))
        if len(found.boxes) == 1 and len(seen) < 5:
            placed = models.landmarks.refine(frame, found.keypoints[0])
            seen.append((frame, found.boxes[0], found.keypoints[0], placed.points))
    assert len(seen) >= 3
    pictures, count = [row[0] for row in seen], len(seen)
    jpeg, off = blob(pictures)
    common: dict[str, Any] = {"jpeg": jpeg, "off": off}
    np.savez(
        folder / "scenes.npz",
        **common,
        split=np.ones(count, np.uint8),
        source=np.array(["clip"] * count),
        box_img=np.arange(count),
        box=np.stack([row[1] for row in seen]),
        kps=np.stack([row[2] for row in seen]),
        ignore=np.zeros(count, np.uint8),
        cls=np.zeros(count, np.uint8),
    )
    blank, blank_off = blob([np.full((120, 160), level, np.uint8) for level in (30, 120, 220)])
    np.savez(folder / "negatives.npz", jpeg=blank, off=blank_off, split=np.ones(3, np.uint8))
    np.savez(folder / "faces.npz", **common)
    shapes = np.random.default_rng(1).integers(0, 256, (count, len(BLENDSHAPES))).astype(np.uint8)
    labels: dict[str, Any] = {
        "split": np.ones(count, np.uint8),
        "lm68": np.stack([row[3] for row in seen]).astype(np.float16),
        "vis68": np.ones((count, 68), np.uint8),
        "person": np.arange(count, dtype=np.uint32),
        "source": np.zeros(count, np.uint8),
        "source_names": np.array(["utkface"]),
        "age": np.arange(count, dtype=np.int16) * 15,
        "gender": np.arange(count, dtype=np.int8) % 2,
        "race": np.zeros(count, np.int8),
        "pose_yaw_pitch_roll": np.zeros((count, 3), np.float16),
        "blendshapes": shapes,
        "blendshape_names": BLENDSHAPES,
        "expr_prob": np.eye(7, dtype=np.uint8)[np.zeros(count, int)] * 255,
        "label8": np.zeros(count, np.int8),
        "ytf_index": np.zeros(0, np.int32),
        "ytf_lm68": np.zeros((0, 68, 2), np.float16),
    }
    np.savez(folder / "faces_labels.npz", **labels)
    webp, off = blob([cv2.resize(frame, (48, 48)) for frame in pictures])
    votes = np.zeros((count, 10), np.uint8)
    votes[np.arange(count), np.arange(count) % 2] = 9
    np.savez(
        folder / "ferplus.npz", webp=webp, off=off, votes=votes, usage=np.ones(count, np.uint8)
    )
    np.savez(
        folder / "ferplus_teacher.npz",
        blendshapes=shapes,
        blendshape_names=BLENDSHAPES,
        bs_ok=np.ones(count, np.uint8),
    )
    return folder


@pytest.fixture
def packs(small_packs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those, where the tools look for them; times are not measured for long."""
    monkeypatch.setenv("FLEETING_PACKS", str(small_packs))
    monkeypatch.setattr(latency, "SECONDS", 0.01)
    monkeypatch.setattr(video, "SECONDS", 0.3)
    monkeypatch.setattr(video, "BLANK_SECONDS", 0.1)
    return small_packs


@pytest.mark.slow
@pytest.mark.usefixtures("packs")
def test_everything_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, chart = tmp_path / "figures.json", tmp_path / "chart.png"
    words = ["all", "--no-card", "--json", str(figures), "--picture", str(chart)]
    assert main(words) == 0
    shown = capsys.readouterr()
    report = json.loads(figures.read_text(encoding="utf-8"))

    detector = report["detector"]
    every = detector["ap50"]["all"]["ours, int8"]
    assert every["value"] == 1.0  # its own boxes
    assert every["n"] == detector["pictures"] >= 3
    assert detector["with_presence"]["recall"]["value"] == 1.0
    alarms = detector["operating"][0]["false_alarms_per_100"]
    assert (alarms["value"], alarms["n"]) == (0.0, 3)
    assert alarms["high"] == pytest.approx(100 * (1 - 0.025 ** (1 / 3)), abs=0.01)
    inspect = detector["inspect"]
    assert inspect["false_faces"] == 0
    assert inspect["shipped"]["from 24 px"]["value"] == 1.0
    assert set(detector["one_false_face"]) == {"ours, int8"}
    assert len(detector["video"]["faces"]) == 6
    assert detector["video"]["blank"][0]["false_tracks_per_minute"] == 0.0
    assert set(detector["missing"]) >= {"YuNet-n 320", "RetinaFace 640", "BlazeFace full"}

    landmarks = report["landmarks"]
    inner = landmarks["first_teachers"]["inner 51"]
    assert inner["value"] < 2.0  # its own points, from other crops
    assert landmarks["still"]["sigma 4"]["ours, int8"]["raw"]["value"] > 0
    assert "rendered" not in landmarks
    assert "rendered faces" in landmarks["missing"]
    assert set(landmarks["teacher"]["ours, int8"]["slices"]) >= {"age", "gender", "race", "source"}

    expression = report["expression"]
    assert np.array(expression["ferplus"]["confusion"]).sum() == detector["pictures"]
    assert set(expression["ferplus"]["per_class"]) == {*EXPRESSIONS}
    assert set(expression["action_units_photographs"]) == {*ACTION_UNITS}
    assert expression["still"]["top1"]["n"] == detector["pictures"]
    whole = expression["whole_photographs"]
    assert whole["faces"] == detector["pictures"]
    assert whole["found"]["value"] == 1.0
    assert abs(whole["framing"]["x_px"]["median"]) < 2.0
    assert expression["movements"]["blendshapes"]["valence"]["n"] == detector["pictures"]
    assert "a second teacher of action units" in expression["missing"]

    assert shown.out.count("\n## ") == 2
    assert "not measured" in shown.err
    assert cv2.imread(str(chart)) is not None
    assert not list(tmp_path.glob("*.tmp"))


def test_missing_packs_are_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETING_PACKS", str(tmp_path))
    with pytest.raises(SystemExit, match="Set FLEETING_PACKS"):
        main(["detector"])


def test_a_wrong_peers_folder_is_named(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detector", "--peer-networks", str(packs / "nowhere")]) == 1
    assert "--peer-networks" in capsys.readouterr().err


@pytest.mark.usefixtures("packs")
def test_part_of_the_data_leaves_the_card_alone(capsys: pytest.CaptureFixture[str]) -> None:
    card = ROOT / "models" / "expression" / "CARD.md"
    before = card.read_bytes()
    assert main(["expression", "--limit", "2"]) == 0
    assert card.read_bytes() == before
    assert "only a part" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["eyes"], ["all", "--limit", "0"], ["all", "--set", "x"]])
def test_wrong_words(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2


@pytest.mark.usefixtures("packs")
def test_a_detector_that_says_the_labels_is_perfect() -> None:
    scenes = data.scenes()
    labels = {p.tobytes(): k for k, p in enumerate(scenes.pictures)}

    def find(luma: Grey) -> Detections:
        k = labels[luma.tobytes()]
        return Detections(scenes.boxes[k], np.array([0.8], np.float32), scenes.keypoints[k] + 1)

    figures = measure.scene_figures(find, 0.5)
    count = len(scenes.pictures)
    perfect = {"faces": count, "ap50": 1.0, "recall": 1.0, "precision": 1.0}
    assert figures["clip"] == figures["all"]
    assert figures["all"] == {
        "pictures": count, **{f"from_{size}_px": perfect for size in measure.SMALL},
    }  # fmt: skip
    sides = [np.sqrt((b[0, 2:] - b[0, :2]).prod()) for b in scenes.boxes]
    wanted = np.mean([np.sqrt(2) / side for side in sides])
    assert figures["keypoint_error"] == pytest.approx(wanted, rel=0.01)
    assert measure.scene_figures(find, 0.9)["all"]["from_0_px"]["recall"] == 0.0


@pytest.mark.slow
@pytest.mark.usefixtures("packs")
def test_tilted_portraits_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tilt, "DEGREES", (0, 180))
    figures = tmp_path / "figures.json"
    assert main(["tilt", "--no-card", "--limit", "2", "--json", str(figures)]) == 0
    upright, on_head = json.loads(figures.read_text(encoding="utf-8"))["tilt"]["tilts"]
    assert upright["still found"]["value"] == upright["film found"]["value"] == 1.0
    assert on_head["still read"]["value"] == on_head["film read"]["value"] == 0.0
    assert "| 180 |" in capsys.readouterr().out
