"""The evaluation writes its own part of a card and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.common.errors import ToolError
from tools.common.files import MODELS
from tools.common.tables import markdown
from tools.eval.card import (
    CHAIN,
    FIGURES,
    PUBLISHED,
    TILT,
    beside,
    join,
    missing,
    number,
    prose,
    update,
    update_published,
)

BEGIN, END, HEADING = FIGURES
TRAINED = "<!-- figures: written by tools/train -->\n| a |\n<!-- end of figures -->\n"
CARD = f"# Detector\n\n## Figures\n\n{TRAINED}\n## Limits\n\n- few pictures\n"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "CARD.md"
    path.write_text(CARD, encoding="utf-8")
    return path


def test_the_section_is_added_before_the_limits(card: Path) -> None:
    update(card, "| ours | 1 |")
    text = card.read_text(encoding="utf-8")
    assert text.index(TRAINED) < text.index(HEADING) < text.index(BEGIN) < text.index("## Limits")
    added = f"{HEADING}\n\n{BEGIN}\n| ours | 1 |\n{END}\n\n"
    assert text.replace(added, "") == CARD


def test_the_section_is_replaced_and_nothing_else(card: Path) -> None:
    update(card, "first")
    once = card.read_text(encoding="utf-8")
    update(card, "second\n\nline")
    assert card.read_text(encoding="utf-8") == once.replace("first", "second\n\nline")
    update(card, "first")
    assert card.read_text(encoding="utf-8") == once


def test_sections_keep_out_of_each_other(card: Path) -> None:
    update(card, "figures")
    alone = card.read_text(encoding="utf-8")
    update(card, "by tilt", TILT)
    text = card.read_text(encoding="utf-8")
    assert f"{TILT.heading}\n\n{TILT.begin}\nby tilt\n{TILT.end}\n" in text
    update(card, "other figures")
    update(card, "other tilts", TILT)
    again = card.read_text(encoding="utf-8")
    assert again == text.replace("by tilt", "other tilts").replace("\nfigures", "\nother figures")
    assert alone in again.replace(
        f"{TILT.heading}\n\n{TILT.begin}\nother tilts\n{TILT.end}\n\n", ""
    ).replace("\nother figures", "\nfigures")


def test_a_card_without_limits_gets_it_at_the_end(card: Path) -> None:
    card.write_text("# Detector\n", encoding="utf-8")
    update(card, "x")
    assert card.read_text(encoding="utf-8") == f"# Detector\n{HEADING}\n\n{BEGIN}\nx\n{END}\n"


@pytest.mark.parametrize("text", [BEGIN, END, f"{BEGIN}{END}{BEGIN}{END}"])
def test_broken_markers_are_refused(card: Path, text: str) -> None:
    card.write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match="once each, or neither"):
        update(card, "x")
    assert card.read_text(encoding="utf-8") == text


def test_no_card(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="train the model first"):
        update(tmp_path / "CARD.md", "x")


def test_numbers() -> None:
    figure = {"value": 0.7931, "low": 0.74, "high": 0.8449, "n": 3}
    assert number(figure) == "0.79 (0.74 to 0.84)"
    assert number(figure, 1, True) == "79.3 % (74.0 to 84.5)"
    assert number(None) == number({**figure, "value": None}) == "-"
    assert number({"value": 1.0, "low": None, "high": None, "n": 0}) == "1.00 (? to ?)"


def test_bold_where_the_difference_is_not_nought() -> None:
    figure = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 3}
    apart = {**figure, "ours_minus": {"value": 0.1, "low": 0.01, "high": 0.2, "n": 3}}
    alike = {**figure, "ours_minus": {"value": 0.1, "low": -0.01, "high": 0.2, "n": 3}}
    assert beside(apart) == "**0.50** (0.40 to 0.60)"
    assert beside(alike) == beside(figure) == "0.50 (0.40 to 0.60)"


def test_markdown() -> None:
    assert markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert join(["a", "", "b"]) == "a\n\nb"
    assert missing({"YuNet": "no file."}) == "- YuNet: not measured, no file."
    assert prose("  some\n   words ") == "some words"


def test_published_figures_and_origins_have_places_of_their_own(card: Path) -> None:
    begin, end = CHAIN
    card.write_text(f"{begin}\nold\n{end}\n{CARD}", encoding="utf-8")
    update_published(card, "| figures |")
    update_published(card, "| origins |", CHAIN)
    text = card.read_text(encoding="utf-8")
    assert text == f"{begin}\n| origins |\n{end}\n{CARD.replace('| a |', '| figures |')}"


def test_a_card_without_a_place_for_origins_is_refused(card: Path) -> None:
    with pytest.raises(ToolError, match="terms: written by tools/train"):
        update_published(card, "| origins |", CHAIN)


@pytest.mark.parametrize("name", ["detector", "landmarks", "expression", "activity"])
def test_every_clean_card_has_both_places(name: str) -> None:
    text = (MODELS / name / "clean" / "CARD.md").read_text(encoding="utf-8")
    assert all(text.count(marker) == 1 for marker in (*CHAIN, *PUBLISHED))
