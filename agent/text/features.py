"""From a line to what the network reads: hashes of words, pairs of words and letters."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.text.grammar import PLAIN, Marks, mark
from agent.text.normalise import CLAUSE_MARKS, tokens

GRAMS = 8192
"""Rows of the table of letter n-grams."""
SHORTEST, LONGEST = 3, 5
MAX_GRAMS = 32
"""Per word."""
FLAGS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A line's items: its words, then its pairs of neighbours."""

    items: list[str]
    """I texts; they live as long as the reading of one line."""
    words: int
    """How many of them are words."""
    negated: NDArray[np.int8]
    """int8[I], as in `grammar.Marks`; so are the next four."""
    too: NDArray[np.int8]
    irrealis: NDArray[np.int8]
    conceded: NDArray[np.int8]
    degree: NDArray[np.int8]
    flags: Float
    """float32[FLAGS]: question, exclamation, capitals, negation, two contrasts, length."""


def parse(line: str, cleaned: str, language: str) -> Parsed:
    """`line` as it came, `cleaned` by `normalise.clean`."""
    found = tokens(cleaned, language)
    marks = mark(found, language)
    kept = [k for k, word in enumerate(found) if word not in CLAUSE_MARKS]
    pairs = [(a, b) for a, b in pairwise(kept) if b == a + 1]
    items = [found[k] for k in kept] + [f"{found[a]} {found[b]}" for a, b in pairs]
    order = np.array(kept + [b for _, b in pairs], np.int64)
    plain = np.arange(len(order)) >= len(kept)

    def of(values: NDArray[np.int8]) -> NDArray[np.int8]:
        taken = values[order]
        taken[plain] = PLAIN
        return taken

    return Parsed(
        items,
        len(kept),
        of(marks.negated),
        of(marks.too),
        of(marks.irrealis),
        marks.conceded[order],
        of(marks.degree),
        _flags(line, found, marks, len(kept)),
    )


def _flags(line: str, words: list[str], marks: Marks, count: int) -> Float:
    letters = [letter for letter in line if letter.isalpha()]
    capitals = sum(map(str.isupper, letters))
    return np.array(
        [
            "?" in words,
            "!" in words,
            len(letters) > 5 and capitals > 0.7 * len(letters),
            bool(marks.negated.any()),
            bool(marks.conceded.any()),
            np.log1p(count) / 3.0,
        ],
        np.float32,
    )


def key(item: str, language: str) -> int:
    """32 bits of a word or pair of one language."""
    return zlib.crc32(f"{language}:{item}".encode())


def grams(word: str) -> list[int]:
    """Rows of a word's letter n-grams, which all languages share."""
    whole = f"<{word}>".encode()
    found = [
        zlib.crc32(whole[k : k + n]) % GRAMS
        for n in range(SHORTEST, LONGEST + 1)
        for k in range(len(whole) - n + 1)
    ]
    return found[:MAX_GRAMS]
