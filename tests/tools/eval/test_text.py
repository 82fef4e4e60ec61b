"""Evaluation of the sentiment model: figures from readings, and the shipped model's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agent.inference.manifest import load_manifest, models_folder
from agent.text.language import LANGUAGES
from agent.text.sentiment import Sentiment
from tools.common.bootstrap import Resampler
from tools.eval.text import measure, tables
from tools.eval.text.sentences import others, sentences


@pytest.fixture(scope="module")
def sentiment() -> Sentiment:
    return Sentiment(load_manifest(models_folder(None)))


def test_macro_f1_and_confusion() -> None:
    truth, said = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 0])
    found = measure.macro_f1(Resampler(np.arange(6)), truth, said)
    assert found.value == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)
    assert measure.confusion(truth, said) == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]


def test_calibration_error() -> None:
    sure = np.tile(np.array([0.05, 0.05, 0.9], np.float32), (10, 1))
    assert measure.calibration_error(sure, np.full(10, 2)) == pytest.approx(0.1, abs=1e-4)
    assert measure.calibration_error(sure, np.full(10, 0)) == pytest.approx(0.9, abs=1e-4)


def test_own_sentences_are_balanced() -> None:
    for language in LANGUAGES:
        given = sentences(language)
        assert [len(given[name]) for name in ("negative", "neutral", "positive")] == [24, 24, 24]
        assert len(given["pairs"]) == 24
        assert all(len(pair) == 4 for pair in given["pairs"])
    assert "ja" in others()


@pytest.mark.slow
def test_the_report_becomes_a_section(sentiment: Sentiment) -> None:
    report: dict[str, Any] = {
        "own": measure.own(sentiment),
        "later": measure.own(sentiment, later=True),
        "detection": measure.detection(sentiment),
        "cost": measure.cost(sentiment),
        "english": None,
        "probe": None,
        "bytes": 400_000,
        "missing": {"English texts and VADER": "not fetched"},
    }
    text = tables.section(report)
    for language in LANGUAGES:
        assert report["own"][language]["macro_f1"]["value"] >= 0.85
        assert f"| {language} | " in text
    assert "not measured, not fetched." in text
