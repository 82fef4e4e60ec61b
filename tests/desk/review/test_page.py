"""What the page is given, and what it may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.desk.review.answers import Answer, AnswerFile
from agent.desk.review.errors import ReviewError
from agent.desk.review.page import Page, RefusedError
from agent.desk.review.study import Study, withdraw_code
from tests.desk.review.made import Made

SAID = {"item": "1.1.1", "verdict": "agree", "onset": 1.5, "offset": 1.8, "units": "1B",
        "comment": ""}  # fmt: skip


def page(study: Path, made: Made, *, blind: bool = False, rater: str = "anna") -> Page:
    return Page(study, Study(study, made.key).open(), rater, blind=blind)


def body(**more: Any) -> bytes:
    return json.dumps({**SAID, **more}).encode()


def test_a_session_with_its_faces_and_movements(study: Path, made: Made) -> None:
    of = page(study, made)
    listed = of.study()
    assert [each["answered"] for each in listed["sessions"]] == [0, 0]
    shown = json.loads(json.dumps(of.session(made.names[0]), allow_nan=False))
    (face,) = shown["faces"].values()
    assert len(face["t"]) == len(face["units"]) == len(face["pose"]) == 36
    assert len(shown["items"]) == 3
    assert shown["items"][0]["program"]["score"] == 0.8
    assert len(shown["items"][0]["strip"]["values"]) == len(shown["channels"])
    assert "points" in of.face()


def test_a_blind_rater_sees_no_score_before_the_answer(study: Path, made: Made) -> None:
    of = page(study, made, blind=True)
    name = made.names[0]
    for item in of.session(name)["items"]:
        assert not {"program", "score", "polarity", "units"} & item.keys()
    told = of.answer(name, body())
    assert told["item"]["program"]["polarity"] == "surprise"
    assert told["session"]["answered"] == 1
    shown = of.session(name)["items"]
    assert ["program" in item for item in shown] == [True, False, False]
    assert AnswerFile(study, name, "anna").read()["1.1.1"].blind


def test_who_has_seen_the_score_is_blind_no_more(study: Path, made: Made) -> None:
    name = made.names[0]
    page(study, made).answer(name, body())
    page(study, made, blind=True).answer(name, body(verdict="disagree"))
    assert not AnswerFile(study, name, "anna").read()["1.1.1"].blind


def test_no_other_rater_s_answers_are_shown(study: Path, made: Made) -> None:
    name = made.names[0]
    page(study, made, rater="bert").answer(name, body(comment="from bert"))
    of = page(study, made)
    told = json.dumps([of.study(), of.session(name)])
    assert "bert" not in told
    assert of.study()["sessions"][0]["answered"] == 0


def test_answers_are_there_again_after_a_restart(study: Path, made: Made) -> None:
    name = made.names[0]
    of = page(study, made)
    of.answer(name, body())
    of.answer(name, body(item="1.1.own-1", onset=4.0, offset=4.2))
    of.answer(name, body(item="1.1.own-2", onset=4.0, offset=4.2))
    of.answer(name, body(item="1.1.own-2", onset=4.0, offset=4.2, verdict="disagree"))
    again = page(study, made).session(name)
    assert again["items"][0]["answer"]["units"] == "1B"
    assert [each["item"] for each in again["own"]] == ["1.1.own-1"]
    assert again["answered"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"item": "1.1.9"}, {"item": "7.7.1"}, {"item": "7.7.own-1"}, {"item": "1.1.own-1001"},
        {"item": ["1.1.1"]}, {"item": 5}, {"verdict": "maybe"}, {"onset": "1"}, {"onset": 9.0},
        {"onset": 10**400},
        {"units": "<b>"}, {"comment": "x" * 501}, {"comment": 5}, {"comment": "\x07"},
    ],
)  # fmt: skip
def test_what_cannot_be_an_answer_is_refused_and_not_stored(
    study: Path, made: Made, wrong: dict[str, Any]
) -> None:
    of = page(study, made)
    with pytest.raises(RefusedError, match="cannot be an answer"):
        of.answer(made.names[0], body(**wrong))
    assert AnswerFile(study, made.names[0], "anna").read() == {}


@pytest.mark.parametrize("data", [b"", b"[]", b"5", b"{}", b"\xff", b"[" * 9000])
def test_nor_is_what_is_no_object(study: Path, made: Made, data: bytes) -> None:
    with pytest.raises(RefusedError):
        page(study, made).answer(made.names[0], data)


def test_a_rater_cannot_say_what_the_program_said_or_that_they_were_blind(
    study: Path, made: Made
) -> None:
    page(study, made).answer(made.names[0], body(program=[0, 9], blind=True))
    stored = AnswerFile(study, made.names[0], "anna").read()["1.1.1"]
    assert stored.program != (0, 9)
    assert not stored.blind


def test_a_session_that_is_withdrawn_meanwhile_is_shown_no_more(study: Path, made: Made) -> None:
    of = page(study, made)
    withdraw_code(made.codes[0], [study])
    with pytest.raises(RefusedError, match="withdrawn"):
        of.session(made.names[0])
    with pytest.raises(RefusedError, match="no such"):
        of.answer(made.names[0], body())
    assert len(of.study()["sessions"]) == 1
    with pytest.raises(RefusedError, match="no such"):
        of.session("x")


def test_damaged_answers_are_said_before_the_page_opens(study: Path, made: Made) -> None:
    AnswerFile(study, made.names[0], "anna").add(
        Answer("1.1.1", "agree", 1.0, 1.2, program=(1.0, 1.2))
    )
    (path,) = study.rglob("anna.jsonl")
    path.write_bytes(b"x\n" + path.read_bytes())
    with pytest.raises(ReviewError, match="is no answer"):
        page(study, made)
