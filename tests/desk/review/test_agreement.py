"""How far raters agree."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from agent.desk.review.agreement import agree, compare, record, show
from agent.desk.review.answers import Answer, AnswerFile
from agent.desk.review.errors import ReviewError

S = "ab" * 16


def program(n: int, verdict: str, units: str = "", shift: float = 0.0, face: str = "1.1") -> Answer:
    """Of the n-th movement, at n to n + .3 s."""
    return Answer(
        f"{face}.{n}", verdict, n + shift, n + 0.3 + shift, units,  # type: ignore[arg-type]
        program=(float(n), n + 0.3),
    )  # fmt: skip


def said(*answers: Answer) -> dict[tuple[str, str], Answer]:
    return {(S, each.item): each for each in answers}


def test_two_of_one_mind() -> None:
    one = said(program(1, "agree", "1B+2A"), program(2, "disagree"), program(3, "agree", "12C"))
    found = compare(("a", "b"), one, one)
    assert found.verdicts.value == pytest.approx(1.0)
    assert found.verdicts.items == 3
    assert (found.units["1"].value, found.units["12"].value) == (1.0, 1.0)
    assert found.intensity.items == 3
    assert found.events.f1 == 1.0
    assert found.with_program[0].f1 == pytest.approx(2 * 2 / 5)


def test_figures_worked_out_by_hand() -> None:
    """Twenty movements: both agree to 8, both disagree with 6, 4 and 2 apart."""
    verdicts = [("agree", "agree")] * 8 + [("disagree", "disagree")] * 6
    verdicts += [("agree", "disagree")] * 4 + [("disagree", "agree")] * 2
    one = said(*(program(n, a) for n, (a, _) in enumerate(verdicts)))
    two = said(*(program(n, b) for n, (_, b) in enumerate(verdicts)))
    found = compare(("a", "b"), one, two)
    chance = (12 * 10 + 8 * 10) / 400
    assert found.verdicts.value == pytest.approx((14 / 20 - chance) / (1 - chance))
    assert found.verdicts.low < found.verdicts.value < found.verdicts.high
    assert (found.events.hits, found.events.first, found.events.second) == (8, 12, 10)
    assert found.events.f1 == pytest.approx(16 / 22)


def test_times_that_were_moved_and_own_movements_count() -> None:
    one = said(program(1, "agree"), program(2, "agree"), Answer("1.1.own-1", "agree", 8.0, 8.3))
    two = said(
        program(1, "agree", shift=0.05), program(2, "agree", shift=0.2),
        Answer("1.1.own-4", "agree", 8.05, 8.3), Answer("1.1.own-5", "disagree", 9.0, 9.3),
    )  # fmt: skip
    found = compare(("a", "b"), one, two)
    assert (found.events.hits, found.events.first, found.events.second) == (2, 3, 3)
    assert found.verdicts.items == 2


def test_faces_do_not_mix_and_only_what_both_judged_is_compared() -> None:
    one = said(
        program(1, "agree"), program(1, "agree", face="1.2"), program(5, "agree", face="9.9")
    )
    two = said(program(1, "disagree"), program(1, "agree", face="1.2"))
    found = compare(("a", "b"), one, two)
    assert found.faces == 2
    assert found.verdicts.items == 2
    assert (found.events.hits, found.events.first, found.events.second) == (1, 2, 1)


def test_nothing_in_common_is_no_agreement_and_no_crash() -> None:
    found = compare(("a", "b"), said(program(1, "agree")), said(program(1, "agree", face="1.2")))
    assert math.isnan(found.verdicts.value)
    assert record(found)["verdicts"]["kappa"] is None
    assert record(found)["events"]["f1"] is None


def test_from_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for rater in ("anna", "bert"):
        AnswerFile(tmp_path, S, rater).add(program(1, "agree", "1B"))
        AnswerFile(tmp_path, S, rater).add(program(2, "disagree"))
    show(agree(tmp_path), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["raters"], found["verdicts"]["kappa"]) == (["anna", "bert"], 1.0)
    show(agree(tmp_path, ["bert", "anna"]), as_json=False)
    out = capsys.readouterr().out
    assert "bert and anna" in out
    assert "program - anna" in out
    AnswerFile(tmp_path, S, "cleo").add(program(1, "agree"))
    with pytest.raises(ReviewError, match="anna, bert, cleo"):
        agree(tmp_path)
    with pytest.raises(ReviewError, match="Two raters"):
        agree(tmp_path, ["anna", "anna"])
    with pytest.raises(ReviewError, match="nobody"):
        agree(tmp_path / "none")
