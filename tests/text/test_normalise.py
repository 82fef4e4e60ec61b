"""Tokens of a line: folded words, marks, pictograms."""

from __future__ import annotations

import pytest

from agent.text.normalise import HAPPY, MAX_TOKENS, SAD, clean, tokens


@pytest.mark.parametrize(
    ("line", "language", "expected"),
    [
        ("The staff WASN’T friendly!", "en", ["the", "staff", "wasn't", "friendly", "!"]),
        ("The café's coffee", "en", ["the", "cafe", "coffee"]),
        ("Schön, schon 3,50 € für Füße", "de", ["schoen", ",", "schon", "0", "fuer", "fuesse"]),
        (
            "Je n'ai pas aimé, c’était l'été",
            "fr",
            ["je", "n'", "ai", "pas", "aime", ",", "c'", "etait", "l'", "ete"],
        ),
        ("¿Dónde está el baño?", "es", ["¿", "donde", "esta", "el", "bano", "?"]),
        ("sooooo goooood", "en", ["soo", "good"]),
        ("great :) not :-( ❤️", "en", ["great", HAPPY, "not", SAD, HAPPY]),
        ("ﬁne​ly\tﬁled", "en", ["finely", "filed"]),
        ("x.de:80", "en", ["x", ".", "de", ":", "0"]),
    ],
)
def test_tokens(line: str, language: str, expected: list[str]) -> None:
    assert tokens(clean(line), language) == expected


def test_a_long_line_is_read_in_part() -> None:
    assert len(tokens(clean("word " * 500), "en")) == MAX_TOKENS
