"""The probability of a face, and which detections of a film count."""

from __future__ import annotations

import math

import pytest

from agent.base.errors import ModelError
from agent.vision.faces.probability import FaceProbability, FilmJudge, logit

PARAMETERS = {
    "track_weights": (2.0, 0.5, 0.0),
    "track_above": 0.4,
    "track_sure_above": 0.9,
    "film_weights": (1.0, 1.0, -2.0),
    "film_above": 0.5,
}


def test_it_is_a_logistic_function_of_its_evidence() -> None:
    one = FaceProbability((2.0, 1.0, 0.5, -1.0), 0.5)
    assert one(2.0, 0.5, -1.0) == pytest.approx(1 / (1 + 2.718281828 ** -(1.0 - 1.0 + 1.0 - 1.0)))
    assert one(2.0, 0.5, 0.0) > one(2.0, 0.5, -1.0)
    assert one(3.0, 0.5, -1.0) > one(2.0, 0.5, -1.0)
    assert 0.0 < one(-1e9, -1e9, -1e9) < one(1e9, 1e9, 1e9) <= 1.0


def test_certainty_is_bounded() -> None:
    assert logit(0.0) == pytest.approx(-6.0)
    assert logit(1.0) == pytest.approx(6.0)
    assert logit(0.5) == 0.0


def test_a_wrong_number_of_scores_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        FaceProbability((2.0, 0.5, 0.0), 0.5)(1.0, 1.0, 1.0)


@pytest.mark.parametrize("lacking", ["track_weights", "track_above", "film_above"])
def test_a_manifest_without_them_is_refused(lacking: str) -> None:
    some = {name: value for name, value in PARAMETERS.items() if name != lacking}
    with pytest.raises(ModelError, match=lacking):
        FilmJudge.of(some)


def test_a_weak_detection_needs_presence_to_begin_and_more_to_be_reported() -> None:
    judge = FilmJudge.of(PARAMETERS)
    assert judge.begins(0.99, 0.25)
    assert not judge.begins(0.3, 0.25)
    assert not judge.is_sure(0.99, 0.25)
    assert judge.is_sure(0.99, 0.7)
    assert judge.bears_out(3.0, -0.5)
    assert not judge.bears_out(1.0, -0.5)


def test_the_least_presence_is_where_a_detection_begins() -> None:
    judge = FilmJudge.of(PARAMETERS)
    for score in (0.15, 0.25, 0.6):
        least = judge.least_presence(score)
        for step, begins in ((-0.01, False), (0.01, True)):
            presence = 1 / (1 + math.exp(-least - step))
            assert judge.begins(presence, score) == begins or abs(least) > 6
    assert judge.least_presence(0.15) > judge.least_presence(0.25)
    anyhow = FaceProbability((2.0, 0.0, 0.0), 0.5)
    assert anyhow.least_presence(-3.0) == -math.inf
