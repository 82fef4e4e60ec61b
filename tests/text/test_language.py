"""The language of a line, with the shipped weights; none of the sentences was trained on."""

from __future__ import annotations

import io

import numpy as np
import pytest

from agent.inference.manifest import load_manifest, models_folder
from agent.text.language import LANGUAGES, LanguageDetector, language_rows
from agent.text.normalise import clean
from tools.eval.text.sentences import others, sentences


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    entry = load_manifest(models_folder(None)).network("sentiment")
    with np.load(io.BytesIO(entry.read())) as arrays:
        return LanguageDetector(dict(arrays), float(str(entry.parameters["other_above"])))


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_of_the_four_are_told_apart(detector: LanguageDetector, language: str) -> None:
    given = sentences(language)
    lines = [*given["positive"], *given["negative"], *given["neutral"]]
    found = [detector(clean(line)) for line in lines]
    assert found.count(language) >= 0.97 * len(lines)


def test_other_languages_and_gibberish_are_none(detector: LanguageDetector) -> None:
    lines = [line for texts in others().values() for line in texts]
    assert sum(detector(clean(line)) is None for line in lines) >= 0.9 * len(lines)


@pytest.mark.parametrize("line", ["", "   ", "12:30", "?!", "👍", "Привет", "こんにちは", "\u200b"])
def test_lines_without_latin_words_are_none(detector: LanguageDetector, line: str) -> None:
    assert detector(clean(line)) is None


def test_n_grams_know_the_edges_of_words() -> None:
    rows = language_rows("ab")
    assert len(rows) == 4 + 3 + 2 + 1  # of " ab ", n = 1 to 4
    assert len(set(language_rows("the")) & set(language_rows("then"))) < len(language_rows("the"))
    assert language_rows("ab  ab").tolist() == language_rows("ab, ab!").tolist()
    assert len(language_rows("...")) == 0
