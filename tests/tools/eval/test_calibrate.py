"""Calibrated probabilities, the tail of false alarms, and the pictures they are fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from tools.eval.data import Scenes
from tools.eval.detector import calibrate
from tools.eval.detector.calibrate import Sample, fit, logistic, tail_threshold
from tools.eval.detector.evidence import Evidence, answers_of, face_free, window


def _evidence(values: object) -> Evidence:
    table = np.asarray(values, np.float64).reshape(-1, 2)
    return Evidence(np.zeros((len(table), 4), np.float32), table)


def test_logistic_regression_finds_the_weights_that_made_the_answers() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 2, (20_000, 2))
    share = 1 / (1 + np.exp(-(1.5 * values[:, 0] - 0.5 * values[:, 1] + 0.7)))
    answers = (rng.random(len(values)) < share).astype(np.int64)
    np.testing.assert_allclose(logistic(values, answers), [1.5, -0.5, 0.7], atol=0.1)


def _sample(count: int = 100) -> Sample:
    rng = np.random.default_rng(2)
    answers = [rng.integers(-1, 2, 6) for _ in range(count)]
    scenes = [_evidence(rng.normal(0, 1, (6, 2)) + 3 * known[:, None]) for known in answers]
    blanks = [_evidence(rng.normal(0, 1, (3, 2))) for _ in range(count)]
    return Sample(scenes, answers, blanks, [count + i for i in range(count)])


def test_the_fit_is_calibrated_on_pictures_it_did_not_see() -> None:
    sample = _sample()
    fitted = fit(sample)
    assert min(fitted.weights[:2]) > 0
    assert calibrate.calibration_error(fitted.scenes, sample.answers) < 0.05
    value = sample.scenes[7].values @ np.array(fitted.weights[:2]) + fitted.weights[2]
    assert not np.allclose(fitted.scenes[7], value), "its own picture took no part"
    np.testing.assert_allclose(fitted.scenes[7], value, atol=1.5)


def test_places_that_are_not_judged_move_nothing() -> None:
    sample = _sample()
    for evidence, known in zip(sample.scenes, sample.answers, strict=True):
        evidence.values[known < 0] = 50.0
    np.testing.assert_allclose(fit(sample).weights, fit(_sample()).weights, atol=1e-3)


@pytest.mark.parametrize("per_100", [0.5, 1.0, 4.0])
def test_the_tail_gives_the_rate_on_fresh_pictures(per_100: float) -> None:
    """Exponential tails: thresholds from 400 pictures against the rate in 200,000 others."""
    rng = np.random.default_rng(4)
    rates = []
    for _ in range(20):
        blanks = [rng.exponential(0.8, 1) - 2 for _ in range(400)]
        value, decay = tail_threshold(blanks, per_100)
        assert decay == pytest.approx(0.8, rel=0.5)
        rates.append(100 * float((rng.exponential(0.8, 200_000) - 2 >= value).mean()))
    assert float(np.mean(rates)) == pytest.approx(per_100, rel=0.35)


def test_the_report_counts_what_passes() -> None:
    sample = _sample()
    fitted = fit(sample)
    figures = calibrate.report(sample, fitted, 2.0)
    limit = np.log(figures["above"] / (1 - figures["above"]))
    passed = sum(int((each >= limit).sum()) for each in fitted.blanks)
    assert figures["false_faces"] == passed
    assert 0 < figures["above"] < 1


def test_pictures_without_anything_found_have_no_tail() -> None:
    assert tail_threshold([np.zeros(0), np.zeros(0)], 1.0) == (0.0, 0.0)


def test_answers_tell_faces_from_none_and_leave_out_the_doubtful() -> None:
    labels = np.array([[0, 0, 40, 40], [100, 0, 140, 40]], np.float32)
    places = np.array(
        [[1, 1, 41, 41], [100, 0, 140, 40], [20, 0, 60, 40], [200, 0, 240, 40]], np.float32
    )
    found = Evidence(places, np.zeros((4, 2)))
    assert answers_of(found, labels, np.array([False, True])).tolist() == [1, -1, -1, 0]
    assert answers_of(found, labels[:0], np.zeros(0, bool)).tolist() == [0, 0, 0, 0]


def test_windows_lie_beside_all_faces() -> None:
    picture = np.zeros((200, 300), np.uint8)
    picture[50:90, 20:60] = 255
    (part,) = window(picture, np.array([[20, 50, 60, 90]], np.float32))
    assert part.shape == (200, 300 - 72)
    assert not part.any()
    assert window(picture, np.array([[20, 20, 280, 190]], np.float32)) == []


def test_turned_copies_and_windows_belong_to_their_picture() -> None:
    picture = np.zeros((200, 300), np.uint8)
    box = [np.array([[20, 50, 60, 90]], np.float32)]
    scenes = Scenes([picture], ["x"], box, [np.zeros(1, bool)], [np.zeros(1, np.uint8)], [])
    blanks = [np.zeros((90, 100), np.uint8), np.zeros((90, 100), np.uint8)]
    pictures, units = face_free(blanks, scenes, True)
    assert units == [1, 2, 1, 2, 1, 2, 0]
    assert [p.shape for p in pictures[:3:2]] == [(90, 100), (100, 90)]
    assert len(face_free(blanks, scenes, False)[0]) == 6
