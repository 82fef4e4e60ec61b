"""Exports open again with what was in them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from agent.desk.coding.files import read_events
from agent.desk.review import journal
from agent.desk.review.answers import Answer, AnswerFile
from agent.desk.review.errors import ReviewError
from agent.desk.review.export import KINDS, export
from agent.desk.review.study import Study
from agent.desk.review.tables import read
from tests.desk.review.made import Made


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "openface"])
def test_events_of_the_program_and_of_a_rater(
    tmp_path: Path, study: Path, made: Made, kind: str
) -> None:
    name = made.names[0]
    answer = Answer("1.1.1", "disagree", 1.0, 1.25, "4C", "no; <x>", program=(1.0, 1.2))
    AnswerFile(study, name, "anna").add(answer)
    written = export(Study(study, made.key), tmp_path / "out", kind, "anna")
    (path,) = [each for each in written if each.name.startswith(name)]
    found = read_events(path)
    assert len(found) == 4
    (own,) = [each for each in found if each.coder == "anna"]
    assert (own.verdict, own.code, own.comment) == ("disagree", "4C", "no; <x>")
    assert (own.onset, own.offset) == (1.0, 1.25)
    others = [each for each in found if each.coder != "anna"]
    assert {each.coder.split()[0] for each in others} == {"fleeting"}
    assert all(each.score == 0.8 for each in others)


def test_rows_have_openface_s_names_and_absent_units_are_absent(
    tmp_path: Path, study: Path, made: Made
) -> None:
    sessions = Study(study, made.key).open()
    written = export(Study(study, made.key), tmp_path / "out", "openface")
    with written[0].open() as file:
        rows = list(csv.DictReader(file))
    assert "AU12_r" in rows[0]
    assert "AU06_r" not in rows[0]
    assert float(rows[0]["AU01_r"]) == pytest.approx(0.5)
    again = read(written[0])
    (face,) = again.faces.values()
    (before,) = sessions[0].faces.values()
    assert face.times == before.times
    assert face.pose[0] == pytest.approx(before.pose[0], abs=0.01)
    assert face.unit_array() == pytest.approx(before.unit_array(), abs=1e-3)


def test_an_export_is_logged_and_an_unknown_one_is_not_begun(
    tmp_path: Path, study: Path, made: Made
) -> None:
    export(Study(study, made.key), tmp_path / "out", "bids", "anna")
    assert list(journal.lines(study))[-1].endswith("as bids")
    before = journal.verify(study).lines
    with pytest.raises(ReviewError, match="no format"):
        export(Study(study, made.key), tmp_path / "out", "pdf")
    assert journal.verify(study).lines == before
