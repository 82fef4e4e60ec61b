"""The shipped sentiment model: sentences and negations that were never trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from agent.base.errors import ModelError
from agent.base.types import SENTIMENTS, UNSURE
from agent.inference.manifest import load_manifest, models_folder
from agent.text.language import LANGUAGES
from agent.text.sentiment import Sentiment
from tools.eval.text.sentences import others, sentences


@pytest.fixture(scope="module")
def sentiment() -> Sentiment:
    return Sentiment(load_manifest(models_folder(None)))


def named(sentiment: Sentiment, line: str) -> str:
    """The most likely class."""
    return SENTIMENTS[int(sentiment(line).probabilities.argmax())]


@pytest.mark.parametrize("language", LANGUAGES)
def test_unseen_sentences_are_read(sentiment: Sentiment, language: str) -> None:
    given = sentences(language)
    right = [named(sentiment, line) == name for name in SENTIMENTS for line in given[name]]
    assert np.mean(right) >= 0.85


@pytest.mark.parametrize("language", LANGUAGES)
def test_negations_turn_a_sentence_round(sentiment: Sentiment, language: str) -> None:
    pairs = sentences(language)["pairs"]
    right = 0
    for first, one, second, other in pairs:
        said = named(sentiment, second)
        turned = said != "negative" if other == "+" else said == other
        right += turned and named(sentiment, first) == one
    assert right >= len(pairs) - 2


@pytest.mark.parametrize(
    ("plain", "typed"),
    [
        ("Das Personal war sehr unfreundlich.", "DAS PERSONAL WAR SEHR UNFREUNDLICH"),
        ("Das Essen war schön.", "das essen war schoen"),
        ("Le repas était très mauvais.", "le repas etait tres mauvais"),
        ("La atención fue pésima.", "la atencion fue pesima"),
        ("The staff was not friendly.", "the staff wasnt friendly"),
        ("C'était génial !", "c’était génial!!!"),
    ],
)
def test_it_matters_little_how_it_is_typed(sentiment: Sentiment, plain: str, typed: str) -> None:
    assert named(sentiment, plain) == named(sentiment, typed) != "neutral"


def test_a_reading_is_a_distribution_and_a_label(sentiment: Sentiment) -> None:
    for language in LANGUAGES:
        for line in sentences(language)["negative"]:
            reading = sentiment(line)
            assert reading.probabilities.dtype == np.float32
            assert reading.probabilities.shape == (3,)
            assert reading.probabilities.sum() == pytest.approx(1.0, abs=1e-5)
            best = SENTIMENTS[int(reading.probabilities.argmax())]
            assert reading.label in (best, UNSURE)
            assert reading.language in LANGUAGES


def test_what_is_in_no_known_language_is_unsure(sentiment: Sentiment) -> None:
    for line in ("", " ", "12345", "?!", "工作人员非常友好。", *others()["ru"], *others()["pl"]):
        reading = sentiment(line)
        assert (reading.label, reading.language) == (UNSURE, None)
        assert reading.probabilities.max() < 0.5


def test_pictograms_alone_are_read(sentiment: Sentiment) -> None:
    assert sentiment("👍👍").label == "positive"
    assert sentiment("😡").label == "negative"
    assert sentiment("👍😡").label == sentiment("🚲").label == UNSURE


def test_no_line_is_too_strange(sentiment: Sentiment) -> None:
    rng = np.random.default_rng(3)
    strange = ["a" * 100_000, "not " * 5000, "\x00\x07", "e\u0301" * 900, "\ud800", "'" * 50]
    strange += ["".join(map(chr, rng.integers(1, 0x3000, 80))) for _ in range(200)]
    for line in strange:
        assert np.isfinite(sentiment(line).probabilities).all()


def test_altered_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(models_folder(None), tmp_path / "models")
    file = tmp_path / "models" / "sentiment" / "weights.npz"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError):
        Sentiment(load_manifest(tmp_path / "models"))
    file.unlink()
    with pytest.raises(ModelError):
        Sentiment(load_manifest(tmp_path / "models"))
