"""Sentiment of one line of text: negative, neutral or positive, or unsure.

A vector per word (hashed, with its letters' n-grams where the word is unknown) is turned by what
it stands under (negation, "too", a wish, a "but"), pooled, and judged by one hidden layer: a
learnt form of VADER's rules (Hutto & Gilbert 2014) on fastText's units (Bojanowski et al. 2017).

Card: models/sentiment/CARD.md
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.base.errors import ModelError, reason
from agent.base.types import SENTIMENTS, UNSURE, Float
from agent.inference.manifest import Manifest
from agent.text.features import FLAGS, GRAMS, Parsed, grams, key, parse
from agent.text.language import LANGUAGES, ROWS, LanguageDetector, is_wordless
from agent.text.normalise import HAPPY, SAD, clean, tokens

WIDTH = 8
"""Numbers per word."""
HIDDEN = 32
FEATURES = 4 * WIDTH + FLAGS + len(LANGUAGES)
MAX_CHARACTERS = 1000
"""Of a line; the rest is not read."""
_UNKNOWN = np.array([0.3, 0.4, 0.3], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class SentimentReading:
    """What one line says; not the line."""

    probabilities: Float
    """float32[3], calibrated, in `SENTIMENTS` order; sums to 1. Says next to nothing where the
    language is not known."""
    label: str
    """One of `SENTIMENTS`, or `UNSURE`: no class is likely, or the language is not known."""
    language: str | None
    """One of `LANGUAGES`; None: another, or no words."""


class Sentiment:
    """Reads a line. Nothing of it is kept; Python frees the copies that reading makes, and cannot
    overwrite them."""

    def __init__(self, manifest: Manifest) -> None:
        """Raises `ModelError` where the weights are missing, altered or of another version."""
        entry = manifest.network("sentiment")
        try:
            with np.load(io.BytesIO(entry.read()), allow_pickle=False) as file:
                arrays = dict(file)
            self._network = Network(arrays)
            self._temperature = float(entry.parameters["temperature"])  # type: ignore[arg-type]
            self._unsure_below = float(entry.parameters["unsure_below"])  # type: ignore[arg-type]
            other_above = float(entry.parameters["other_above"])  # type: ignore[arg-type]
            self.detector = LanguageDetector(arrays, other_above)
        except (KeyError, ValueError, TypeError, OSError, EOFError) as error:
            raise ModelError(
                f"The sentiment weights cannot be read: {reason(error)}. Install the package again."
            ) from None

    def __call__(self, line: str) -> SentimentReading:
        text = clean(line[:MAX_CHARACTERS])
        language = self.detector(text)
        if language is None:
            return _wordless(text) if is_wordless(text) else _unknown()
        logits = self._network.logits(parse(line[:MAX_CHARACTERS], text, language), language)
        grown = np.exp((logits - logits.max()) / self._temperature)
        probabilities = (grown / grown.sum()).astype(np.float32)
        best = int(probabilities.argmax())
        label = SENTIMENTS[best] if probabilities[best] >= self._unsure_below else UNSURE
        return SentimentReading(probabilities, label, language)


def _unknown() -> SentimentReading:
    return SentimentReading(_UNKNOWN.copy(), UNSURE, None)


def _wordless(text: str) -> SentimentReading:
    """A line of pictograms alone is read by them."""
    found = tokens(text, "en")
    score = found.count(HAPPY) - found.count(SAD)
    if not score:
        return _unknown()
    likely = np.array([0.05, 0.1, 0.85], np.float32)
    if score > 0:
        return SentimentReading(likely, SENTIMENTS[2], None)
    return SentimentReading(likely[::-1].copy(), SENTIMENTS[0], None)


class Network:
    """The weights, int8 with a scale for each column."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._keys = np.asarray(arrays["word_keys"], np.uint32)
        self._rows = np.asarray(arrays["word_rows"], np.int8)
        self._row_scale = np.asarray(arrays["word_scale"], np.float32)
        self._grams = np.asarray(arrays["gram_rows"], np.int8)
        self._gram_scale = np.asarray(arrays["gram_scale"], np.float32)
        floats = (
            "negation",
            "too",
            "irrealis",
            "degree",
            "hidden",
            "hidden_bias",
            "out",
            "out_bias",
        )
        self._maps = {name: np.asarray(arrays[name], np.float32) for name in floats}
        fits = (
            self._rows.shape == (len(self._keys), WIDTH)
            and self._grams.shape == (GRAMS, WIDTH)
            and self._maps["negation"].shape == (4, WIDTH, WIDTH)
            and self._maps["hidden"].shape == (HIDDEN, FEATURES)
            and self._maps["out"].shape == (3, HIDDEN)
            and arrays["language_rows"].shape == (ROWS, len(LANGUAGES) + 1)
            and bool((np.diff(self._keys.astype(np.int64)) > 0).all())
            and all(np.isfinite(each).all() for each in self._maps.values())
        )
        if not fits:
            raise ValueError("the arrays do not belong to this version of the agent")

    def logits(self, parsed: Parsed, language: str) -> Float:
        """float32[3] of a parsed line."""
        vectors = self._vectors(parsed, language)
        maps = self._maps
        turned = np.einsum("ide,ie->id", maps["negation"][parsed.negated], vectors)
        turned += parsed.too[:, None] * (vectors @ maps["too"].T)
        turned += parsed.irrealis[:, None] * (vectors @ maps["irrealis"].T)
        turned *= maps["degree"][parsed.degree][:, None]
        aside = parsed.conceded[:, None] == 1
        main = np.where(aside, np.float32(0), turned)
        root = np.float32(np.sqrt(1 + len(vectors)))
        features = np.concatenate(
            [
                main.sum(0) / root,
                main.max(0, initial=0),
                main.min(0, initial=0),
                (turned - main).sum(0) / root,
                parsed.flags,
                np.array([each == language for each in LANGUAGES], np.float32),
            ]
        )
        hidden = np.maximum(maps["hidden"] @ features + maps["hidden_bias"], 0)
        return np.asarray(maps["out"] @ hidden + maps["out_bias"], np.float32)

    def _vectors(self, parsed: Parsed, language: str) -> Float:
        """float32[I, WIDTH]: of known words and pairs their own, of other words their letters'."""
        keys = np.array([key(item, language) for item in parsed.items], np.uint32)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known = self._keys[places] == keys
        vectors = np.where(known[:, None], self._rows[places] * self._row_scale, np.float32(0))
        for k in np.flatnonzero(~known[: parsed.words]):
            spelt = self._grams[grams(parsed.items[k])]
            if len(spelt):
                vectors[k] = spelt.mean(0, dtype=np.float32) * self._gram_scale
        return vectors.astype(np.float32)
