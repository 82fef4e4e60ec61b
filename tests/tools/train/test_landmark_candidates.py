"""What a detector offers, on made-up packs and a made-up detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from agent.base.types import Detections, Float, Frame
from agent.vision.faces.align import MEAN_FIVE, apply
from tests.tools.packs import blob, noise_faces
from tools.eval.landmarks import offered
from tools.train.landmarks import candidates, crops
from tools.train.landmarks.candidates import Candidates
from tools.train.landmarks.data import SIZE

RNG = np.random.default_rng(7)


def _box(x: float, y: float, side: float) -> Float:
    return np.array([x, y, x + side, y + side], np.float32)


def _five(box: Float) -> Float:
    side = float(box[2] - box[0])
    matrix = np.array([[side / 1.6, 0, box[0] + side / 2], [0, side / 1.6, box[1] + side / 3]])
    return apply(matrix.astype(np.float32), MEAN_FIVE)


def _detector(answers: Mapping[int, Sequence[tuple[Float, float]]]) -> Any:
    """Boxes and scores by the width of the picture."""

    def detect(frame: Frame, tiles: int) -> Detections:
        assert tiles == (2 if max(frame.luma.shape) >= candidates.TILED_FROM else 0)
        found = answers[frame.luma.shape[1]]
        return Detections(
            np.stack([box for box, _ in found]),
            np.array([score for _, score in found], np.float32),
            np.stack([_five(box) for box, _ in found]),
        )

    return lambda *_: detect


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Candidates:
    """A scene with four marked faces (one to be ignored, one without keypoints), a blank."""
    scene = RNG.integers(0, 256, (200, 300), dtype=np.uint8)
    blank = RNG.integers(0, 256, (90, 100), dtype=np.uint8)
    other = RNG.integers(0, 256, (50, 60), dtype=np.uint8)
    boxes = np.stack([_box(20, 20, 40), _box(100, 20, 40), _box(200, 20, 40), _box(20, 120, 30)])
    keypoints = np.stack([_five(box) for box in boxes])
    keypoints[3] = np.nan
    jpeg, off = blob([scene, other])
    packs = {
        "negatives.npz": dict(zip(("jpeg", "off"), blob([blank, other]), strict=True))
        | {"split": np.array([0, 1])},
        "scenes.npz": {
            "jpeg": jpeg,
            "off": off,
            "split": np.array([0, 1]),
            "box_img": np.zeros(4, int),
            "box": boxes,
            "kps": keypoints,
            "ignore": np.array([0, 0, 1, 0]),
            "cls": np.array([0, 1, 0, 1]),
        },
    }
    offers = {
        300: [
            (_box(22, 21, 40), 0.9),  # the first face
            (_box(200, 22, 40), 0.8),  # to be ignored
            (_box(110, 40, 15), 0.4),  # a part of the second face
            (_box(240, 140, 40), 0.3),  # nothing that was marked
            (_box(150, 140, 40), 0.7),  # likewise, but sure: may be a face
        ],
        100: [(_box(30, 30, 20), 0.6)],
    }
    monkeypatch.setattr(candidates, "load", packs.__getitem__)
    monkeypatch.setattr(candidates, "load_manifest", lambda *_: None)
    monkeypatch.setattr(candidates, "open_model", lambda *_: None)
    monkeypatch.setattr(candidates, "FaceDetector", _detector(offers))
    return candidates.offered(0)


def test_faces_are_what_was_marked_and_alarms_what_lies_apart(found: Candidates) -> None:
    rows = sorted(zip(found.present, found.score, found.masked, found.side, strict=True))
    wanted = [
        (False, 0.3, False, 40.0),
        (False, 0.6, False, 20.0),
        (True, 0.9, False, 40.0),
        (True, np.nan, True, 30.0),
        (True, np.nan, True, 40.0),
    ]
    assert len(rows) == len(wanted)
    for row, want in zip(sorted(rows, key=str), sorted(wanted, key=str), strict=True):
        assert row[0] is want[0]
        np.testing.assert_allclose(row[1], want[1], rtol=1e-6)
        assert row[2] is want[2]
        assert row[3] == want[3]


def test_patches_hold_the_face_and_its_surroundings(found: Candidates) -> None:
    for picture, five, side in zip(found.pictures, found.keypoints, found.side, strict=True):
        assert max(picture.shape) <= candidates.PATCH
        assert max(picture.shape) >= 1.5 * side
        assert (five > 0).all()
        assert (five < picture.shape[::-1]).all()
    # the keypoints of the face without any are where they usually lie in a box
    unknown = [k for k in range(len(found)) if np.isnan(found.score[k]) and found.side[k] == 30]
    (k,) = unknown
    scale = float(np.ptp(found.keypoints[k][:, 0])) / float(np.ptp(MEAN_FIVE[:, 0]))
    assert scale == pytest.approx(30 / 1.6, rel=0.02)


def test_large_patches_shrink_with_their_keypoints() -> None:
    luma = np.zeros((900, 900), np.uint8)
    luma[400:500, 400:500] = 255
    box = _box(300, 300, 300)
    five = np.array([[400, 400], [499, 400], [450, 450], [400, 499], [499, 499]], np.float32)
    made = Candidates()
    made.add(luma, box, five, True, 0.5, False)
    patch, (left, right, *_), side = made.pictures[0], made.keypoints[0], made.side[0]
    assert max(patch.shape) == candidates.PATCH
    assert side == 300
    bright = np.flatnonzero(patch.max(0) > 128)
    assert left[0] == pytest.approx(bright[0], abs=0.8)
    assert right[0] == pytest.approx(bright[-1], abs=0.8)


def test_training_draws_faces_and_alarms_of_the_detector(found: Candidates) -> None:
    faces = noise_faces()
    drawer = crops.Crops(faces, faces.pictures, 1, found)
    rng = np.random.default_rng(1)
    drawn = [drawer.offered(rng) for _ in range(200)]
    assert all(crop.shape == (SIZE, SIZE) for crop, _ in drawn)
    share = np.mean([present for _, present in drawn])
    assert share == pytest.approx(crops.OFFERED_FACES, abs=0.1)
    # no points are known there
    mixed = [drawer.draw(rng) for _ in range(300)]
    faceless = [weight.any() for _, _, weight, present in mixed if present]
    assert 0.05 < 1 - np.mean(faceless) < 0.25


def test_presence_figures_compare_each_kind_of_face_with_all_alarms() -> None:
    made = Candidates()
    for k in range(300):
        made.add(
            np.zeros((60, 60), np.uint8), _box(10, 10, 30 if k % 2 else 20),
            _five(_box(10, 10, 30)), k < 100, np.nan if k < 10 else 0.5, k % 4 == 1,
        )  # fmt: skip
    value = np.linspace(0, 0.5, 300)
    value[:100] = 0.9
    value[:10] = 0.0
    report = offered.summary(value, made)
    assert (report["faces"], report["false"]) == (100, 200)
    assert report["auc"]["all faces"] == pytest.approx(0.9, abs=1e-4)
    assert report["auc"]["not found by the detector"] == 0
    assert report["kept"]["1.0%"]["all faces"] == pytest.approx(0.9)
    assert report["kept"]["1.0%"]["masked"] == pytest.approx(22 / 25)
    assert set(report["auc"]) == {
        "all faces", "bare", "masked", "below 24 px", "not found by the detector"
    }  # fmt: skip
    assert report["quantiles"]["all faces"][2] == pytest.approx(0.9)
