"""Whole photographs beside crops, and affect beside movements, on faces made up for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Float, Grey
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, apply
from tools.eval.expression import outside, photographs
from tools.train.expression.data import OTHER_UNITS

SETTINGS = {"valence": [0, 0.8, 0.4, -0.6, -0.5, -0.6, -0.6, -0.5],
            "arousal": [0, 0.5, 0.7, -0.3, 0.6, 0.3, 0.6, 0.6]}  # fmt: skip


@pytest.mark.parametrize("size", [(60, 50), (200, 30)])
def test_a_face_is_pasted_whole_where_it_is_said_to_be(size: tuple[int, int]) -> None:
    face = np.full((120, 100), 250, np.uint8)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scene, at = photographs.place(face, np.zeros(size, np.uint8), rng)
        assert scene.shape[0] == scene.shape[1]
        assert 1.5 * 120 - 1 <= scene.shape[0] <= 3.0 * 120 + 1
        x, y = at.astype(int)
        edge = photographs.SOFT_EDGE
        assert (scene[y + edge : y + 120 - edge, x + edge : x + 100 - edge] == 250).all()
        outside_it = np.ones(scene.shape, bool)
        outside_it[y : y + 120, x : x + 100] = False
        assert not scene[outside_it].any()


def test_framing_is_measured_in_pixels_of_the_crop() -> None:
    labels = np.tile(MEAN_SHAPE * 70 + 90, (3, 1, 1)).astype(np.float32)
    turn, scale = np.radians(5.0), 1.1
    # points turned and enlarged about where the crop's centre looks: the crop does the opposite
    middle = np.array([90, 90 + 70 * EXPRESSION_CROP.centre_y])
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    around = np.array([[c, -s], [s, c]])
    matrix = np.concatenate([around, (middle - around @ middle)[:, None]], 1)
    points = labels.copy()
    points[1] = apply(matrix.astype(np.float32), labels[1])
    points[2] += (70 / 26 * 2, 0)  # two pixels of the crop to the right: its content moves left
    found = photographs.framing(points, labels)
    assert found[0] == pytest.approx([0, 0, 0, 0], abs=1e-3)
    assert found[1] == pytest.approx([0, 0, -5.0, -np.log(1.1)], abs=2e-3)
    assert found[2] == pytest.approx([-2.0, 0, 0, 0], abs=1e-3)


class _Inspector:
    """Finds two faces in every picture: one far off, and the one whose points it was told."""

    def __init__(self, points: Float, blind: bool) -> None:
        self._points, self._blind = points, blind
        self.seen: list[Grey] = []

    def picture(self, luma: Grey) -> list[dict[str, Any]]:
        self.seen.append(luma)
        if self._blind:
            return []
        named = dict.fromkeys(EXPRESSIONS, 0.0)
        far = {"landmarks": self._points + 500, "expression": named | {"fear": 1.0}}
        return [far, {"landmarks": self._points, "expression": named | {"happiness": 1.0}}]


def _faces(points: Float) -> Any:
    return SimpleNamespace(
        pictures=[np.full((90, 90), 128, np.uint8)] * 2,
        source=["ytf", "ytf"],
        first=np.stack([points, points]),
        person=np.arange(2),
        named=np.array([1, -1]),
    )


def test_the_face_at_the_labels_counts_and_a_missed_one_is_missed() -> None:
    points = (MEAN_SHAPE * 30 + 45).astype(np.float32)
    faces = _faces(points)
    seeing: Any = _Inspector(points, blind=False)
    found = photographs.inspect(faces, [], seeing)
    assert found.found.all()
    assert found.probabilities.argmax(1).tolist() == [1, 1]
    crops = np.eye(8, dtype=np.float32)[[1, 0]]
    report = photographs.beside_crops(found, crops, faces)
    assert report["same_answer"]["value"] == 0.5
    assert report["change"]["value"] == 0.5
    assert report["lfw"]["whole"]["value"] == report["lfw"]["crop"]["value"] == 1.0
    assert report["framing"]["x_px"] == pytest.approx({"median": 0.0, "spread": 0.0}, abs=1e-3)
    assert np.array_equal(seeing.seen[0], faces.pictures[0]), "it has surroundings of its own"
    missed: Any = _Inspector(points, blind=True)
    assert not photographs.inspect(faces, [], missed).found.any()


def test_tight_faces_are_shown_with_surroundings() -> None:
    points = (MEAN_SHAPE * 30 + 45).astype(np.float32)
    faces = _faces(points)
    faces.source = ["lfw_muxspace", "ytf"]
    inspector: Any = _Inspector(points, blind=True)
    photographs.inspect(faces, [np.zeros((300, 300), np.uint8)], inspector)
    assert min(inspector.seen[0].shape) >= 135
    assert inspector.seen[1].shape == (90, 90)


def test_smiles_and_frowns_move_valence_wide_eyes_and_mouths_arousal() -> None:
    rng = np.random.default_rng(3)
    units = rng.random((400, len(OTHER_UNITS))).astype(np.float32)
    place = OTHER_UNITS.index
    pleasant = units[:, place("AU12")] - units[:, place("AU04")]
    probabilities = np.zeros((400, 8), np.float32)
    probabilities[:, 1] = np.clip(0.5 + 0.5 * pleasant, 0, 1)
    probabilities[:, 3] = 1 - probabilities[:, 1]
    units[:40] = np.nan
    teachers: dict[str, outside.Teacher] = {"one": (units, OTHER_UNITS)}
    report = outside.against_movements(probabilities, SETTINGS, teachers, np.arange(400))
    assert report["one"]["valence"]["value"] > 0.98
    assert report["one"]["valence"]["n"] == 360
    assert abs(report["one"]["arousal"]["value"]) < 0.2


def test_voters_own_affect_and_their_disagreement() -> None:
    votes = np.zeros((4, 10), np.uint8)
    votes[[0, 1, 2, 3], [1, 3, 4, 0]] = 10
    votes[3, :4] = [3, 3, 2, 2]
    shares = votes[:, :8] / 10
    report = outside.against_votes(shares.astype(np.float32), votes, SETTINGS)
    assert [report[key]["value"] for key in ("valence", "arousal", "entropy")] == [1.0, 1.0, 1.0]
    assert outside.entropy(np.full((1, 8), 1 / 8, np.float32)) == pytest.approx(3.0)


def test_a_second_opinion_compares_units_of_one_name() -> None:
    rng = np.random.default_rng(9)
    second = rng.random((200, len(OTHER_UNITS))).astype(np.float32)
    ours = rng.random((200, len(ACTION_UNITS))).astype(np.float32)
    ours[:, ACTION_UNITS.index("AU12")] = second[:, OTHER_UNITS.index("AU12")] / 2
    report = outside.second_opinion(ours, rng.random(ours.shape).astype(np.float32), second,
                                    np.arange(200))  # fmt: skip
    assert set(report) == set(ACTION_UNITS) - {"AU18", "AU24"}
    assert report["AU12"]["ours"]["value"] == pytest.approx(1.0, abs=1e-3)
    assert abs(report["AU12"]["first_teacher"]["value"]) < 0.2
    assert abs(report["AU01"]["ours"]["value"]) < 0.2
