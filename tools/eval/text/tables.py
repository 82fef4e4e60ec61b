"""The evaluation of the sentiment model as Markdown, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.text.language import LANGUAGES
from tools.common.tables import markdown
from tools.eval.card import join, missing, number, prose

Report = Mapping[str, Any]
_SOURCES = {
    "all": "all",
    "tweets": "tweets",
    "amazonReviewSnippets": "reviews of goods",
    "movieReviewSnippets": "reviews of films",
    "nytEditorialSnippets": "editorials",
}
ENGLISH = """
    **English, against VADER**: {texts:,} texts of hutto_ICWSM_2014 (vaderSentiment 3.3.2, MIT),
    one document in five, which no training saw; three classes by the mean rating of ten people
    (above .5, below -.5), VADER at its authors' thresholds. In brackets 95 % intervals over
    documents drawn again.
"""
OWN = """
    **Four languages**, sentences of our own as customers might write them, never trained on; by
    the hand that wrote the templates. A negated bad word may be positive or neutral. First
    those written before the templates, which were looked at while the lexica grew (24 a class,
    24 pairs that differ by a negation); then those written afterwards (16 a class, 10 pairs),
    of which no word was taken into the lexica, though they were measured on once before the
    last training: **the figure to expect**, but for the common hand.
"""
PROBE = """
    **Unseen words and templates**: macro-F1 of a network like the shipped one that was kept
    from one word in ten and one template in seven (`python -m tools.train text --probe`), on
    lines drawn from the rest, from those words, from those templates, from both.
"""
DETECTION = """
    **Languages**: sentences (rows) by the language that was found; the last column is none.
"""


def section(report: Report) -> str:
    """All tables."""
    english, probe, cost = report["english"], report["probe"], report["cost"]
    return join(
        [
            *([] if english is None else _english(english)),
            prose(OWN),
            _own(report["own"]),
            _own(report["later"]),
            *([] if probe is None else [prose(PROBE), _probe(probe)]),
            prose(DETECTION),
            _detection(report["detection"]),
            prose(
                f"{report['bytes']:,} bytes. Processor time of one line: {cost['sentence_us']} "
                f"microseconds for a sentence, {cost['longest_us']} for the longest line."
            ),
            missing(report["missing"]),
        ]
    )


def _english(report: Report) -> list[str]:
    rows = [
        (
            _SOURCES[source],
            f"{row['ours']['n']:,}",
            number(row["ours"], 3),
            number(row["vader"], 3),
            number(row["ours_minus_vader"], 3),
        )
        for source, row in report["accuracy"].items()
    ]
    told = (
        f"Macro-F1 {number(report['macro_f1'], 3)}, VADER's {number(report['vader_macro_f1'], 3)}; "
        f"unsure {number(report['unsure'], 3)}, accuracy of the others "
        f"{number(report['accuracy_when_sure'], 3)}; expected calibration error "
        f"{report['calibration_error']:.3f}; taken for English {number(report['detected'], 3)}."
    )
    head = ("source", "texts", "accuracy", "VADER", "difference")
    return [prose(ENGLISH.format(**report)), markdown(head, rows), prose(told)]


def _own(report: Report) -> str:
    rows = [
        (
            language,
            number(row["macro_f1"], 3),
            number(row["unsure"], 2),
            f"{round(row['pairs']['value'] * row['pairs']['n'])} of {row['pairs']['n']}",
            number(row["detected"], 2),
        )
        for language, row in report.items()
    ]
    head = ("language", "macro-F1", "unsure", "pairs right", "language found")
    wrong = [
        f"- {language}: {text}"
        for language, row in report.items()
        for text in (*row["wrong"], *row["wrong_pairs"])
    ]
    return join([markdown(head, rows), "Wrong:" if wrong else "", "\n".join(wrong)])


def _probe(report: Report) -> str:
    names = ("known", "unseen_words", "unseen_templates", "unseen_both")
    rows = [
        (language, *(number(report[language][name], 3) for name in names)) for language in report
    ]
    return markdown(
        ("language", "known", "unseen words", "unseen templates", "neither known"), rows
    )


def _detection(report: Report) -> str:
    columns = (*LANGUAGES, "-")
    rows = [(name, *(str(row[each]) for each in columns)) for name, row in report.items()]
    return markdown(("", *columns), rows)
