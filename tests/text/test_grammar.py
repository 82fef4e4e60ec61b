"""What negations reach, in each language; contrast, degree, wishes."""

from __future__ import annotations

import numpy as np
import pytest

from agent.text.grammar import LESS, MORE, PLAIN, TWICE, mark
from agent.text.normalise import clean, tokens


def negated(line: str, language: str) -> set[str]:
    """Words that stand under a negation."""
    words = tokens(clean(line), language)
    states = mark(words, language).negated
    return {word for word, state in zip(words, states, strict=True) if state not in (PLAIN, TWICE)}


@pytest.mark.parametrize(
    ("language", "line", "inside", "outside"),
    [
        ("en", "the staff was not friendly", "friendly", "staff"),
        ("en", "I don't like it. Good coffee", "like", "good coffee"),
        ("en", "nobody was friendly but the room was clean", "friendly", "clean room"),
        ("en", "hardly helpful and the food was good", "helpful", "good"),
        ("en", "far from clean", "clean", "far"),
        ("en", "anything but clean", "clean", ""),
        ("en", "not only good but excellent", "", "good excellent"),
        ("en", "nothing but praise", "", "praise"),
        ("en", "less helpful, more or less good", "helpful", "good"),
        ("de", "das Personal war nicht freundlich", "freundlich", "personal"),
        ("de", "das gefällt mir nicht", "gefaellt", ""),
        ("de", "ich mag den Laden überhaupt nicht mehr", "mag", ""),
        ("de", "weder sauber noch ruhig", "sauber ruhig", ""),
        ("de", "noch sauber", "", "sauber"),
        ("de", "alles andere als sauber", "sauber", ""),
        ("de", "nicht nur gut, sondern günstig", "", "gut guenstig"),
        ("de", "ein wenig laut, wenig hilfreich", "hilfreich", "laut"),
        ("fr", "je n'aime pas ce magasin", "aime", ""),
        ("fr", "j'aime pas ça", "aime", ""),
        ("fr", "il ne me plaît plus", "plait", ""),
        ("fr", "plus agréable", "", "agreable"),
        ("fr", "une personne agréable", "", "agreable"),
        ("fr", "personne n'était poli", "poli", ""),
        ("fr", "ni propre ni calme", "propre calme", ""),
        ("fr", "tout sauf propre", "propre", "tout"),
        ("fr", "non seulement bon", "", "bon"),
        ("fr", "un peu bruyant, peu agréable", "agreable", "bruyant"),
        ("es", "no me gusta nada", "gusta", ""),
        ("es", "a mí tampoco me gustó", "gusto", ""),
        ("es", "de todo menos limpio", "limpio", ""),
        ("es", "sin embargo bueno", "", "bueno"),
        ("es", "no solo bueno", "", "bueno"),
        ("es", "un poco ruidoso, poco amable", "amable", "ruidoso"),
    ],
)
def test_reach_of_negations(language: str, line: str, inside: str, outside: str) -> None:
    found = negated(line, language)
    assert set(inside.split()) <= found
    assert not set(outside.split()) & found


@pytest.mark.parametrize(
    ("language", "line"),
    [("en", "not without charm"), ("de", "nicht ohne Charme"), ("fr", "pas sans charme")],
)
def test_a_negation_turns_another_round(language: str, line: str) -> None:
    words = tokens(clean(line), language)
    assert mark(words, language).negated[-1] == TWICE


def test_spanish_negations_strengthen_one_another() -> None:
    words = tokens("no es nada amable", "es")
    assert mark(words, "es").negated[-1] not in (PLAIN, TWICE)


@pytest.mark.parametrize(
    ("language", "line", "aside"),
    [
        ("en", "good but expensive", "good"),
        ("en", "although it was cold , we liked it", "although it was cold"),
        ("en", "but good", ""),
        ("en", "bad . nice but cold", "nice"),
        ("de", "gut , aber teuer", "gut ,"),
        ("fr", "bon mais cher", "bon"),
        ("es", "bueno pero caro", "bueno"),
    ],
)
def test_what_is_conceded(language: str, line: str, aside: str) -> None:
    words = tokens(line, language)
    found = mark(words, language).conceded
    expected = aside.split()
    assert {word for word, one in zip(words, found, strict=True) if one} >= set(expected)
    assert found.sum() <= len(expected) + 1


def test_degree_too_and_wishes() -> None:
    words = tokens("very good , a bit cold , too loud , it could be better", "en")
    marks = mark(words, "en")
    of = {word: k for k, word in enumerate(words)}
    assert marks.degree[of["good"]] == MORE
    assert marks.degree[of["cold"]] == LESS
    assert np.flatnonzero(marks.too).tolist() == [of["loud"]]
    assert marks.irrealis[of["better"]]
    assert not marks.irrealis[of["good"]]


def test_german_zu_before_a_verb_is_no_degree() -> None:
    words = tokens("leicht zu bedienen , zu teuer , zu hause", "de")
    assert [words[k] for k in np.flatnonzero(mark(words, "de").too)] == ["teuer"]


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_no_line_is_too_strange(language: str) -> None:
    for line in (
        "",
        "...",
        "not",
        "nicht nicht nicht",
        "ne ne pas pas",
        "no no no",
        "but but",
        "?!",
    ):
        words = tokens(line, language)
        assert len(mark(words, language).negated) == len(words)
