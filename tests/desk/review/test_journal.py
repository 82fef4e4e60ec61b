"""The log of openings and exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.desk.review import journal
from agent.desk.review.errors import ReviewError

NAMES = ["ab" * 16, "cd" * 16]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    for n in range(4):
        journal.append(tmp_path, "exported", NAMES, form=f"f{n}", rater="anna")
    return tmp_path


def test_lines_follow_one_another(log: Path) -> None:
    found = journal.verify(log)
    assert (found.lines, found.problem) == (4, "")
    lines = list(journal.lines(log))
    assert "for anna exported" in lines[0]
    assert "as f3" in lines[3]
    assert journal.verify(log.parent / "none").lines == 0


def test_no_session_s_name_stands_in_it(log: Path) -> None:
    text = (log / journal.NAME).read_text()
    assert all(name not in text for name in NAMES)


@pytest.mark.parametrize("place", range(3))
def test_what_was_changed_left_out_or_swapped_is_found(log: Path, place: int) -> None:
    lines = (log / journal.NAME).read_text().splitlines(keepends=True)
    changed = [*lines]
    changed[place] = changed[place].replace('"rater":"anna"', '"rater":"bert"')
    without = lines[:place] + lines[place + 1 :]
    swapped = [*lines]
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    for tampered in (changed, without, swapped):
        (log / journal.NAME).write_text("".join(tampered))
        found = journal.verify(log)
        assert "is not the one" in found.problem
        with pytest.raises(ReviewError, match="Nothing is opened"):
            journal.append(log, "opened", NAMES)
        assert len(list(journal.lines(log))) == found.lines


def test_what_is_cut_off_shows_against_a_noted_hash(log: Path) -> None:
    head = journal.verify(log).head
    lines = (log / journal.NAME).read_text().splitlines(keepends=True)
    (log / journal.NAME).write_text("".join(lines[:-1]))
    found = journal.verify(log)
    assert found.problem == ""
    assert found.head != head


def test_a_torn_line_is_no_obstacle(log: Path) -> None:
    with (log / journal.NAME).open("a") as file:
        file.write('{"form":"x","num')
    journal.append(log, "opened", NAMES)
    assert journal.verify(log).lines == 5


def test_the_same_said_otherwise_is_another_line(log: Path) -> None:
    path = log / journal.NAME
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text(json.dumps(json.loads(first)) + "\n" + "".join(rest))
    assert journal.verify(log).problem


def test_what_cannot_be_logged_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / journal.NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReviewError, match="not logged is not opened"):
        journal.append(tmp_path, "opened", NAMES)
    assert not (tmp_path / "elsewhere").exists()
