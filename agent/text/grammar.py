"""Negation, contrast and degree in four languages: what a word's sentiment is read under.

After the scopes of Wiegand et al. 2010 (a survey of negation in sentiment analysis) and VADER's
rules (Hutto & Gilbert 2014), extended to words that negate what stands before them. All words
folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.text.closed_classes import GRAMMARS, Grammar
from agent.text.normalise import CLAUSE_MARKS

_SENTENCE_MARKS = frozenset(".!?;\n")
_AT_THE_END = ("nicht", "nie", "niemals", "kaum", "nix", "net")
"""German negators that negate the clause before them where it ends with them."""
REACH = 9
"""Tokens that a negation reaches forward."""
NEAR = 4
PLAIN, NEAR_NEGATED, FAR_NEGATED, TWICE = range(4)
"""Values of `Marks.negated`."""
NO_DEGREE, MORE, LESS = range(3)
"""Values of `Marks.degree`."""


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What each token is read under: arrays of T."""

    negated: NDArray[np.int8]
    """One of PLAIN, NEAR_NEGATED, FAR_NEGATED, TWICE."""
    too: NDArray[np.int8]
    irrealis: NDArray[np.int8]
    """In a clause that wishes or supposes."""
    conceded: NDArray[np.int8]
    """Before a "but", after an "although"."""
    degree: NDArray[np.int8]


def mark(words: Sequence[str], language: str) -> Marks:
    """Read the closed classes of a line's tokens."""
    grammar = GRAMMARS[language]
    count = len(words)
    clause = _clauses(words, grammar)
    negated = _negated(words, clause, grammar, language)
    too, irrealis, conceded, degree = (np.zeros(count, np.int8) for _ in range(4))
    for k, word in enumerate(words):
        if word in grammar.too and k + 1 < count and clause[k + 1] == clause[k]:
            after = words[k + 1]
            if language != "de" or not after.endswith(("en", "ern", "eln", "hause")):
                too[k + 1] = 1
        if word in grammar.irrealis:
            irrealis[clause == clause[k]] = 1
        if k and words[k - 1] in grammar.more:
            degree[k] = MORE
        elif k and words[k - 1] in grammar.less:
            degree[k] = LESS
        if word in grammar.contrast and not _void_contrast(words, k):
            start = k
            while start and words[start - 1] not in _SENTENCE_MARKS:
                start -= 1
            if k > start:
                conceded[start:k] = 1
        if word in grammar.concede:
            stop = k + 1
            while stop < count and words[stop] not in CLAUSE_MARKS and stop - k < 8:
                stop += 1
            conceded[k:stop] = 1
    return Marks(negated, too, irrealis, conceded, degree)


def _void_contrast(words: Sequence[str], k: int) -> bool:
    """Whether a "but" ends "nothing but", "anything but" or "not only ... but"."""
    before = words[max(0, k - 8) : k]
    return bool({"only", "just", "seulement", "solo", "nur"} & set(before)) or (
        bool(before) and before[-1] in ("anything", "nothing")
    )


def _clauses(words: Sequence[str], grammar: Grammar) -> NDArray[np.int64]:
    """Number of the clause that each token is in."""
    found = np.zeros(len(words), np.int64)
    number = 0
    for k, word in enumerate(words):
        ahead = words[k + 1] if k + 1 < len(words) else ""
        if (
            word in CLAUSE_MARKS
            or word in grammar.contrast
            or word in grammar.concede
            or word in grammar.breaks
            or (word in grammar.joins and ahead in grammar.starts)
        ):
            number += 1
        found[k] = number
    return found


def _negated(
    words: Sequence[str], clause: NDArray[np.int64], grammar: Grammar, language: str
) -> NDArray[np.int8]:
    """The state of negation of each token."""
    count = len(words)
    depth = np.zeros(count, np.int8)
    distance = np.full(count, REACH, np.int8)
    for k in range(count):
        kind = _negator(words, k, clause, grammar, language)
        if not kind:
            continue
        stop = k + 1
        while stop < count and clause[stop] == clause[k] and stop - k <= REACH:
            if stop > k + 1 and words[stop] in ("ni", "nor", "noch") and words[k] not in ("no",):
                break
            stop += 1
        start = _back(words, k, stop, clause, grammar, language)
        flips = words[k] in grammar.again
        for t in (*range(start, k), *range(k + 1, stop)):
            depth[t] = depth[t] + 1 if flips or depth[t] == 0 else depth[t]
            distance[t] = min(distance[t], abs(t - k))
    state = np.where(distance <= NEAR, NEAR_NEGATED, FAR_NEGATED)
    return np.where(depth == 0, PLAIN, np.where(depth >= 2, TWICE, state)).astype(np.int8)


def _negator(
    words: Sequence[str], k: int, clause: NDArray[np.int64], grammar: Grammar, language: str
) -> bool:
    word = words[k]
    if any(_at(words, k, phrase) for phrase in grammar.void):
        return False
    if any(_at(words, k - len(phrase) + 1, phrase) for phrase in grammar.phrases):
        return True
    if word in grammar.weak:
        return not (k and words[k - 1] in grammar.unweak)
    if word == grammar.pairs[1] and word:
        return grammar.pairs[0] in words[:k] or word == "nor"
    if word in grammar.only_with:
        if word == "plus" and k + 1 < len(words) and words[k + 1] in ("jamais", "rien"):
            return True
        if word in ("aucun", "aucune", "rien"):
            return True
        near = range(max(0, k - 5), min(len(words), k + 5))
        return any(words[t] in ("ne", "n'") and clause[t] == clause[k] for t in near)
    return word in grammar.negators or (language == "en" and word.endswith("n't"))


def _back(
    words: Sequence[str],
    k: int,
    stop: int,
    clause: NDArray[np.int64],
    grammar: Grammar,
    language: str,
) -> int:
    """First token before the negator that it negates too; `k` where it negates none."""
    if language == "fr" and words[k] not in ("sans", "ni", "non", "peu", "moins"):
        for t in range(k - 1, max(-1, k - 6), -1):
            if clause[t] != clause[k]:
                break
            if words[t] in ("ne", "n'"):
                return t + 1
        at_start = k == 0 or clause[k - 1] != clause[k] or words[k - 1] in CLAUSE_MARKS
        return k if at_start or words[k] != "pas" else k - 1
    ends = all(word in grammar.tails or word in CLAUSE_MARKS for word in words[k + 1 : stop])
    if language == "de" and ends and words[k] in _AT_THE_END:
        start = k
        while start and clause[start - 1] == clause[k] and k - start < REACH:
            start -= 1
        return start
    return k


def _at(words: Sequence[str], k: int, phrase: tuple[str, ...]) -> bool:
    return k >= 0 and tuple(words[k : k + len(phrase)]) == phrase
