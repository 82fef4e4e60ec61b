"""English, German, French, Spanish, or none of them: hashed letter n-grams and a linear layer.

As Cavnar & Trenkle 1994 counted them; hashed as in Lui & Baldwin 2012 (langid.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.text.normalise import tokens

LANGUAGES = ("en", "de", "fr", "es")
OTHER = len(LANGUAGES)
ROWS = 16384
LONGEST = 5
_PRIME = np.uint32(16777619)
_LATIN = 0x250
"""First code point past the Latin alphabets that the four languages are written in."""


def language_rows(text: str) -> NDArray[np.int64]:
    """Rows of a cleaned line's letter n-grams, n = 1 to 5, words with their edges."""
    letters = "".join(each if each.isalpha() or each == "'" else " " for each in text)
    padded = f" {' '.join(letters.split())} "
    if padded.isspace():
        return np.zeros(0, np.int64)
    codes = np.frombuffer(padded.encode("utf-32-le"), np.uint32)
    found = []
    mixed = np.zeros(len(codes), np.uint32)
    for n in range(1, LONGEST + 1):
        if len(codes) < n:
            break
        last = codes[n - 1 :]
        mixed = mixed[: len(last)] * _PRIME + last
        whole = mixed + np.uint32(n)
        whole ^= whole >> np.uint32(15)
        whole *= np.uint32(0x85EBCA6B)
        whole ^= whole >> np.uint32(13)
        found.append(whole % np.uint32(ROWS))
    return np.concatenate(found).astype(np.int64)


class LanguageDetector:
    """Constructed from the arrays of the weights file."""

    def __init__(self, arrays: Mapping[str, Any], other_above: float) -> None:
        self._table = np.asarray(arrays["language_rows"], np.int8)
        self._scale = np.asarray(arrays["language_scale"], np.float32)
        self._bias = np.asarray(arrays["language_bias"], np.float32)
        self._other_above = other_above

    def probabilities(self, text: str) -> Float:
        """float32[5] of a cleaned line: `LANGUAGES`, then any other."""
        rows = language_rows(text)
        if not len(rows):
            return np.array([0, 0, 0, 0, 1], np.float32)
        summed = self._table[rows].sum(0, dtype=np.int32) * self._scale
        logits = summed / np.float32(np.sqrt(len(rows))) + self._bias
        grown = np.exp(logits - logits.max())
        return np.asarray(grown / grown.sum(), np.float32)

    def __call__(self, text: str) -> str | None:
        """The language of a cleaned line; None for others, and where there are no words."""
        letters = [each for each in text if each.isalpha()]
        if not letters or sum(ord(each) >= _LATIN for each in letters) > 0.3 * len(letters):
            return None
        found = self.probabilities(text)
        if found[OTHER] > self._other_above:
            return None
        return LANGUAGES[int(found[:OTHER].argmax())]


def is_wordless(text: str) -> bool:
    """Whether a cleaned line has no letters at all."""
    return not any(token[0].isalpha() for token in tokens(text, "en"))
