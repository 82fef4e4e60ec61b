from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import Expression, Float, Grey
from agent.vision.expression.classifier import ExpressionClassifier, NeutralBaseline
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE

PARAMETERS = {
    "temperature": 2.0,
    "unsure_below": 0.6,
    "crop_iod": EXPRESSION_CROP.iod,
    "crop_centre_y": EXPRESSION_CROP.centre_y,
    "valence": [0.0, 0.8, 0.2, -0.8, -0.5, -0.6, -0.6, -0.4],
    "arousal": [0.0, 0.4, 0.8, -0.4, 0.7, 0.3, 0.7, 0.2],
}


def _classifier(logits: list[float], crops: list[Grey] | None = None) -> ExpressionClassifier:
    def infer(crop: Grey) -> dict[str, Float]:
        if crops is not None:
            crops.append(crop)
        return {
            "logits": np.array([logits], np.float32),
            "action_units": np.array([[-0.2, 0.5, 1.3] + [0.0] * 9], np.float32),
        }

    return ExpressionClassifier(infer, PARAMETERS)


def test_probabilities_are_the_tempered_softmax() -> None:
    expression = _classifier([0, 4, 0, 0, 0, 0, 0, 0]).classify_crop(np.zeros((48, 48), np.uint8))
    assert expression.probabilities.sum() == pytest.approx(1)
    assert expression.probabilities[1] == pytest.approx(np.exp(2) / (np.exp(2) + 7))
    assert expression.unsure, "below the threshold"
    assert 0 < expression.valence < 0.8


def test_a_clear_expression_is_sure_and_units_are_clipped() -> None:
    expression = _classifier([0, 12, 0, 0, 0, 0, 0, 0]).classify_crop(np.zeros((48, 48), np.uint8))
    assert not expression.unsure
    assert expression.valence == pytest.approx(0.8, abs=0.03)
    np.testing.assert_allclose(expression.action_units[:3], [0.0, 0.5, 1.0])


def test_the_crop_follows_the_face() -> None:
    """A face drawn anywhere, at any size and tilt, comes out at the same place in the crop."""
    crops: list[Grey] = []
    classifier = _classifier([0.0] * 8, crops)
    for angle, scale, shift in ((0, 60, (200, 150)), (20, 90, (300, 250)), (-15, 40, (120, 300))):
        c, s = np.cos(np.radians(angle)) * scale, np.sin(np.radians(angle)) * scale
        points = (MEAN_SHAPE @ np.array([[c, s], [-s, c]]) + shift).astype(np.float32)
        y, x = np.mgrid[:480, :640]
        picture = np.zeros((480, 640))
        for i in (36, 45, 57):
            far = (x - points[i, 0]) ** 2 + (y - points[i, 1]) ** 2
            picture += 255 * np.exp(-far / (2 * (0.08 * scale) ** 2))
        classifier(picture.clip(0, 255).astype(np.uint8), points)
    for crop in crops[1:]:
        difference = np.abs(crop.astype(int) - crops[0])
        assert difference.mean() < 2


def _reader(crops: list[Grey]) -> ExpressionClassifier:
    """A network that reads the crop's left half as happiness and AU01."""

    def infer(crop: Grey) -> dict[str, Float]:
        crops.append(crop.copy())
        level = float(crop[:, :24].mean()) / 255
        units = np.zeros((1, 12), np.float32)
        units[0, 0] = level
        return {"logits": np.eye(8, dtype=np.float32)[None, 1] * 8 * level, "action_units": units}

    return ExpressionClassifier(infer, PARAMETERS)


def test_a_still_gets_the_mean_answer_of_four_views() -> None:
    crops: list[Grey] = []
    reader = _reader(crops)
    crop = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (48, 1))
    alone = [reader.classify_crop(view) for view in (crop, np.ascontiguousarray(crop[:, ::-1]))]
    crops.clear()
    still = reader.still_crop(crop)
    assert np.array_equal(crops[0], crop)
    assert np.array_equal(crops[1], crop[:, ::-1])
    wide, close = (np.diff(view[24, 12:36].astype(int)).mean() for view in crops[2:])
    assert wide > np.diff(crop[24, 12:36].astype(int)).mean() > close, "about the crop's centre"
    assert all(abs(float(view[:, 23:25].mean()) - 127.5) < 2 for view in crops)
    assert still.probabilities.sum() == pytest.approx(1)
    low, high = sorted(each.action_units[0] for each in alone)
    assert low < still.action_units[0] < high
    assert alone[0].probabilities[1] < still.probabilities[1] < alone[1].probabilities[1]
    assert alone[0].valence < still.valence < alone[1].valence
    assert still.unsure == (still.probabilities.max() < PARAMETERS["unsure_below"])


def test_a_still_s_views_keep_the_face_in_the_middle() -> None:
    crops: list[Grey] = []
    points = (MEAN_SHAPE * 60 + (200, 150)).astype(np.float32)
    y, x = np.mgrid[:400, :400]
    centre = np.array([200, 150 + 60 * EXPRESSION_CROP.centre_y])
    far = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    picture = (255 * np.exp(-far / (2 * 12.0**2))).astype(np.uint8)
    _reader(crops).still(picture, points)
    assert len(crops) == 4
    widths = []
    for crop in crops:
        weight = crop.astype(float) / crop.sum()
        rows, columns = np.mgrid[:48, :48]
        assert (weight * columns).sum() == pytest.approx(23.5, abs=0.15)
        assert (weight * rows).sum() == pytest.approx(23.5, abs=0.15)
        widths.append(float(np.sqrt((weight * (columns - 23.5) ** 2).sum())))
    assert widths[2] / widths[0] == pytest.approx(0.94, abs=0.01)
    assert widths[3] / widths[0] == pytest.approx(1.06, abs=0.01)


def _expression(neutral: float, units: float) -> Expression:
    probabilities = np.full(8, (1 - neutral) / 7, np.float32)
    probabilities[0] = neutral
    return Expression(probabilities, False, 0.0, 0.0, np.full(12, units, np.float32))


def test_a_face_s_own_rest_is_learnt_and_subtracted() -> None:
    baseline = NeutralBaseline()
    first = baseline.subtract(_expression(0.95, 0.4)).action_units[0]
    for _ in range(60):
        rested = baseline.subtract(_expression(0.95, 0.4)).action_units[0]
    assert first > 0.3
    assert rested < 0.08
    shown = baseline.subtract(_expression(0.02, 1.0)).action_units[0]
    assert shown == pytest.approx(1.0, abs=0.01), "full intensity stays full"


def test_expressive_faces_do_not_become_the_baseline() -> None:
    baseline = NeutralBaseline()
    for _ in range(60):
        shown = baseline.subtract(_expression(0.05, 0.8)).action_units[0]
    assert shown > 0.7
