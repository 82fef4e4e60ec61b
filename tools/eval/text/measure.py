"""Figures of a sentiment model: against VADER, on our own sentences, on what a probe never saw."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import SENTIMENTS, UNSURE
from agent.text.features import parse
from agent.text.language import LANGUAGES
from agent.text.normalise import clean
from agent.text.sentiment import Network, Sentiment
from tools.common.bootstrap import Draws, Resampler
from tools.eval.text.sentences import others, sentences
from tools.train.text import material
from tools.train.text.generate import Grammar, kept_template, kept_word

VADER_EDGE = 0.05
"""From which its compound score is positive, as its authors say."""
PROBE_LINES = 2000
BINS = 10
Ints = NDArray[np.int64]


def english(sentiment: Sentiment, folder: Path, limit: int | None) -> dict[str, Any]:
    """Three-class accuracy on the fifth of the rated texts that no training saw, beside VADER's on
    the same texts; documents are drawn again."""
    texts = [each for each in material.rated(folder) if each.fold == material.TEST_FOLD][:limit]
    truth = np.array([each.klass for each in texts])
    readings = [sentiment(each.text) for each in texts]
    probabilities = np.stack([each.probabilities for each in readings])
    ours = probabilities.argmax(1)
    sure = np.array([each.label != UNSURE for each in readings])
    score = material.vader(folder)
    compound = np.array([score(each.text) for each in texts])
    vader = np.where(compound >= VADER_EDGE, 2, np.where(compound <= -VADER_EDGE, 0, 1))
    names = [f"{each.source} {each.document}" for each in texts]
    resampler = Resampler(np.unique(names, return_inverse=True)[1])
    rows = {}
    for source in ("all", *dict.fromkeys(each.source for each in texts)):
        chosen = np.array([source in ("all", each.source) for each in texts])
        mine = resampler.share(ours == truth, chosen)
        theirs = resampler.share(vader == truth, chosen)
        rows[source] = {
            "ours": mine.figure(),
            "vader": theirs.figure(),
            "ours_minus_vader": (mine - theirs).figure(),
        }
    return {
        "texts": len(texts),
        "accuracy": rows,
        "macro_f1": macro_f1(resampler, truth, ours).figure(),
        "vader_macro_f1": macro_f1(resampler, truth, vader).figure(),
        "unsure": resampler.share(~sure).figure(),
        "accuracy_when_sure": resampler.share(ours == truth, sure).figure(),
        "calibration_error": calibration_error(probabilities, truth),
        "detected": resampler.share(np.array([r.language == "en" for r in readings])).figure(),
    }


def own(sentiment: Sentiment, later: bool = False) -> dict[str, Any]:
    """By language: our sentences, the pairs, and whether the language was found."""
    found = {}
    for language in LANGUAGES:
        given = sentences(language, later)
        truth, said, known, sure = [], [], [], []
        wrong = []
        for k, name in enumerate(SENTIMENTS):
            for text in given[name]:
                reading = sentiment(text)
                truth.append(k)
                said.append(int(reading.probabilities.argmax()))
                known.append(reading.language == language)
                sure.append(reading.label != UNSURE)
                if said[-1] != k:
                    wrong.append(f"{text} ({name}: {SENTIMENTS[said[-1]]})")
        right = np.array(
            [
                _is(sentiment, first, one) and _is(sentiment, second, other)
                for first, one, second, other in given["pairs"]
            ]
        )
        resampler = Resampler(np.arange(len(truth)))
        pairs = Resampler(np.arange(len(right)))
        found[language] = {
            "macro_f1": macro_f1(resampler, np.array(truth), np.array(said)).figure(),
            "confusion": confusion(np.array(truth), np.array(said)),
            "unsure": resampler.share(~np.array(sure)).figure(),
            "pairs": pairs.share(right).figure(),
            "detected": resampler.share(np.array(known)).figure(),
            "wrong": wrong,
            "wrong_pairs": [
                f"{pair[0]} / {pair[2]}"
                for pair, good in zip(given["pairs"], right, strict=True)
                if not good
            ],
        }
    return found


def _is(sentiment: Sentiment, text: str, expected: str) -> bool:
    said = SENTIMENTS[int(sentiment(text).probabilities.argmax())]
    return said != "negative" if expected == "+" else said == expected


def detection(sentiment: Sentiment) -> dict[str, dict[str, int]]:
    """Confusion of languages: true language to what was found, "-" for none."""
    table: dict[str, dict[str, int]] = {}
    given = {name: [*texts] for name, texts in others().items()}
    for language in LANGUAGES:
        one = sentences(language)
        given[language] = [text for name in SENTIMENTS for text in one[name]]
        given[language] += [text for pair in one["pairs"] for text in (pair[0], pair[2])]
    for name in (*LANGUAGES, *others()):
        row = dict.fromkeys((*LANGUAGES, "-"), 0)
        for text in given[name]:
            row[sentiment.detector(clean(text)) or "-"] += 1
        table[name] = row
    return table


def probe(weights: Path, count: int = PROBE_LINES) -> dict[str, dict[str, Any]]:
    """Macro-F1 by language of a network that was kept from some words and templates: on lines of
    templates it knows and words it does not, the other way round, and of neither."""
    with np.load(weights) as file:
        network = Network(dict(file))
    kinds: dict[str, tuple[Callable[[str], bool], Callable[[str], bool]]] = {
        "known": (kept_word, kept_template),
        "unseen_words": (lambda text: not kept_word(text), kept_template),
        "unseen_templates": (kept_word, lambda text: not kept_template(text)),
        "unseen_both": (lambda text: not kept_word(text), lambda text: not kept_template(text)),
    }
    found: dict[str, dict[str, Any]] = {}
    for language in LANGUAGES:
        found[language] = {}
        for name, (words, templates) in kinds.items():
            grammar = Grammar(language, Random(f"probe {name} {language}"), words, templates)
            lines = [grammar.draw() for _ in range(count)]
            truth = np.array([int(np.argmax(line.label)) for line in lines])
            said = np.array([_said(network, line.text, language) for line in lines])
            resampler = Resampler(np.arange(len(lines)))
            found[language][name] = macro_f1(resampler, truth, said).figure()
    return found


def _said(network: Network, text: str, language: str) -> int:
    return int(network.logits(parse(text, clean(text), language), language).argmax())


def cost(sentiment: Sentiment) -> dict[str, int]:
    """Processor time of one line, microseconds: the least of several rounds."""
    lines = [text for language in LANGUAGES for text in sentences(language)["positive"]]
    longest = " ".join(lines)[:1000]
    found = {}
    for name, texts in (("sentence_us", lines), ("longest_us", [longest] * 20)):
        least = float("inf")
        for _ in range(5):
            before = time.process_time()
            for text in texts:
                sentiment(text)
            least = min(least, (time.process_time() - before) / len(texts))
        found[name] = round(1e6 * least)
    return found


def confusion(truth: Ints, said: Ints) -> list[list[int]]:
    """Rows: true class; columns: what was said."""
    table = np.zeros((3, 3), np.int64)
    np.add.at(table, (truth, said), 1)
    return table.tolist()


def macro_f1(resampler: Resampler, truth: Ints, said: Ints) -> Draws:
    """Mean of the three classes' F1."""
    hit = [(truth == k) & (said == k) for k in range(3)]
    sums = np.stack([*hit, *(truth == k for k in range(3)), *(said == k for k in range(3))], 1)

    def function(total: NDArray[np.float64]) -> NDArray[np.float64]:
        both = total[:, 3:6] + total[:, 6:9]
        return np.asarray(np.where(both > 0, 2 * total[:, :3] / both, 0.0).mean(1))

    return resampler.statistic(sums, function)


def calibration_error(probabilities: NDArray[np.float32], truth: Ints) -> float:
    """Expected calibration error of the most likely class (Guo et al. 2017), ten even bins."""
    best = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    bins = np.minimum((best * BINS).astype(int), BINS - 1)
    gaps = [
        abs(right[bins == k].mean() - best[bins == k].mean()) * (bins == k).mean()
        for k in range(BINS)
        if (bins == k).any()
    ]
    return round(float(sum(gaps)), 4)


def choice_logits(network: Network, folder: Path) -> tuple[NDArray[np.float32], Ints]:
    """Of the fifth of the rated texts that is for choosing."""
    texts = [each for each in material.rated(folder) if each.fold == material.CHOICE_FOLD]
    logits = [network.logits(parse(t.text, clean(t.text), "en"), "en") for t in texts]
    return np.stack(logits), np.array([each.klass for each in texts])
