"""Expression beside speech: steadied while it is heard, untouched otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from agent.base.types import EXPRESSIONS, Expression, Float
from agent.vision.expression.speaking import HOLD, NEUTRAL_ODDS, SPAN, SpeechFilter

NEUTRAL, HAPPINESS = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("happiness")
UNITS = np.linspace(0, 1, 12).astype(np.float32)
STEP = 0.15


def _judge(probabilities: Float, units: Float) -> Expression:
    best = float(probabilities.max())
    return Expression(probabilities, best < 0.6, float(probabilities[HAPPINESS]), 0.0, units)


def _read(happiness: float) -> Expression:
    probabilities = np.full(len(EXPRESSIONS), 0.0, np.float32)
    probabilities[HAPPINESS], probabilities[NEUTRAL] = happiness, 1.0 - happiness
    return _judge(probabilities, UNITS)


def _through(happiness: Sequence[float], speech: Sequence[float | None]) -> list[Expression]:
    steadied = SpeechFilter(_judge)
    frames = zip(happiness, speech, strict=True)
    return [steadied(_read(each), k * STEP, p) for k, (each, p) in enumerate(frames)]


@pytest.mark.parametrize("speech", [None, 0.0, 0.4, float("nan")])
def test_without_speech_a_reading_is_what_it_was(speech: float | None) -> None:
    steadied = SpeechFilter(_judge)
    for k, happiness in enumerate([0.1, 0.9, 0.2, 0.8]):
        read = _read(happiness)
        assert steadied(read, k * STEP, speech) is read


def test_a_mouth_that_looks_happy_now_and_then_is_not_believed() -> None:
    at_rest, talking = [0.05] * 10, [0.05, 0.95, 0.9, 0.1, 0.2] * 6
    shown = _through(at_rest + talking, [0.0] * 10 + [1.0] * 30)
    said = [int(each.probabilities.argmax()) for each in shown]
    assert said == [NEUTRAL] * 40
    assert said[10:] != [int(_read(each).probabilities.argmax()) for each in talking]
    for each in shown:
        assert each.probabilities.sum() == pytest.approx(1.0, abs=1e-5)
        np.testing.assert_array_equal(each.action_units, UNITS)


def test_an_expression_that_lasts_is_read_before_long() -> None:
    shown = _through([0.05] * 10 + [0.97] * 20, [0.0] * 10 + [1.0] * 20)
    said = np.array([each.probabilities.argmax() for each in shown[10:]])
    first = int(np.flatnonzero(said == HAPPINESS)[0])
    assert 2 <= first <= round(1.5 * SPAN / STEP)
    assert (said[first:] == HAPPINESS).all()
    assert shown[-1].valence == pytest.approx(shown[-1].probabilities[HAPPINESS])


def test_a_smile_before_the_first_word_stays_one() -> None:
    shown = _through([0.95] * 10 + [0.95, 0.3, 0.8, 0.9] * 5, [0.0] * 10 + [1.0] * 20)
    assert all(each.probabilities.argmax() == HAPPINESS for each in shown)


def test_odds_of_neutral_rise_and_doubt_is_judged_anew() -> None:
    (one,) = _through([0.55], [1.0])
    odds = one.probabilities[NEUTRAL] / one.probabilities[HAPPINESS]
    assert odds == pytest.approx(NEUTRAL_ODDS * 0.45 / 0.55, rel=1e-4)
    assert one.unsure


def test_pauses_between_words_are_bridged_and_the_end_of_speech_is_not() -> None:
    pause = int(HOLD / STEP)
    after = 12
    shown = _through([0.05] * 10 + [0.9] * (pause + after), [1.0] * 10 + [0.0] * (pause + after))
    assert all(each.probabilities[HAPPINESS] < 0.9 for each in shown[10 : 10 + pause])
    assert shown[-1].probabilities[HAPPINESS] == pytest.approx(0.9)


def test_a_microphone_that_goes_is_forgotten() -> None:
    shown = _through([0.05] * 10 + [0.9, 0.9], [1.0] * 10 + [None, 1.0])
    assert shown[10].probabilities[HAPPINESS] == pytest.approx(0.9)
    assert shown[11].probabilities.argmax() == HAPPINESS, "the average begins anew"
