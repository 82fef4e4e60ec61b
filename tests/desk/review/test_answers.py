"""Answers: bounded, added only, apart for each rater."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.desk.review.answers import (
    FOLDER,
    MOST_COMMENT,
    Answer,
    AnswerFile,
    check_rater,
    forget,
    raters_of,
)
from agent.desk.review.errors import ReviewError

SESSION = "ab" * 16
ONE = Answer("1.1.1", "agree", 1.0, 1.3, "1B+2A", "brow <b>", blind=True, program=(1.0, 1.3))
OWN = Answer("1.1.own-1", "agree", 5.0, 5.3)


def test_the_last_answer_holds_and_all_are_kept(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path, SESSION, "anna")
    assert file.read() == {}
    changed = replace(ONE, verdict="disagree")
    for each in (ONE, OWN, changed):
        file.add(each)
    assert file.read() == {"1.1.1": changed, "1.1.own-1": OWN}
    path = tmp_path / FOLDER / SESSION / "anna.jsonl"
    assert len(path.read_text().splitlines()) == 3
    assert path.stat().st_mode & 0o777 == 0o600


def test_raters_do_not_meet(tmp_path: Path) -> None:
    AnswerFile(tmp_path, SESSION, "anna").add(ONE)
    AnswerFile(tmp_path, SESSION, "bert").add(OWN)
    assert AnswerFile(tmp_path, SESSION, "bert").read() == {"1.1.own-1": OWN}
    assert raters_of(tmp_path) == {SESSION: ["anna", "bert"]}
    assert forget(tmp_path, SESSION) == 2
    assert raters_of(tmp_path) == {}
    assert forget(tmp_path, SESSION) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"item": "1"}, {"item": "../1.1.1"}, {"verdict": "yes"}, {"onset": 2.0}, {"onset": -1.0},
        {"offset": float("nan")}, {"units": "x"}, {"units": "+".join(["1"] * 13)},
        {"comment": "x" * (MOST_COMMENT + 1)}, {"comment": "\x00"}, {"program": None},
        {"item": "1.1.own-1"},
    ],
)  # fmt: skip
def test_what_cannot_be_an_answer_is_none(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(ONE, **wrong)  # type: ignore[arg-type]


def test_a_torn_line_loses_itself_only(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path, SESSION, "anna")
    file.add(ONE)
    path = tmp_path / FOLDER / SESSION / "anna.jsonl"
    with path.open("ab") as torn:
        torn.write(b'{"item":"1.1.2","verd')
    assert file.read() == {"1.1.1": ONE}
    file.add(OWN)
    assert file.read() == {"1.1.1": ONE, "1.1.own-1": OWN}
    assert len(path.read_bytes().splitlines()) == 2


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path, SESSION, "anna")
    file.add(ONE)
    path = tmp_path / FOLDER / SESSION / "anna.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(ReviewError, match="line 1 is no answer"):
        file.read()


@pytest.mark.parametrize("name", ["", "Anna", "a/b", "..", "a" * 33, "-a", "ä"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ReviewError, match="names no rater"):
        check_rater(name)
