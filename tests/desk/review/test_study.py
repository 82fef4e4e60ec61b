"""A study's folder: copies, withdrawal, and what opens."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.desk.review import journal
from agent.desk.review.answers import Answer, AnswerFile, raters_of
from agent.desk.review.errors import ReviewError
from agent.desk.review.study import Study, fetch, withdraw_code
from agent.desk.review.unseal import WrongKeyError
from agent.perceive.traces.session import parts_of
from tests.desk.review.made import Made

ANSWER = Answer("1.1.1", "agree", 1.0, 1.3, program=(1.0, 1.3))


def test_copies_bear_no_time_of_day_and_are_made_once(study: Path, made: Made) -> None:
    assert set(parts_of(study)) == set(made.names)
    for path in study.glob("*.trace"):
        assert path.stat().st_mtime % 86_400 == 0
        assert path.stat().st_mode & 0o777 == 0o600
    again = fetch(made.folder, study)
    assert (again.copied, again.known, again.refused) == (0, 2, 0)


def test_a_part_that_grew_is_fetched_again(study: Path, made: Made) -> None:
    (path, *_) = study.glob("*.trace")
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert fetch(made.folder, study).copied == 1
    assert path.read_bytes() == whole


def test_a_link_on_a_stick_is_not_followed(study: Path, made: Made, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"x")
    mine.chmod(0o644)
    (made.folder / f"{'ef' * 16}-1.trace").symlink_to(mine)
    with pytest.raises(ReviewError, match="cannot be copied"):
        fetch(made.folder, study)
    assert mine.stat().st_mode & 0o777 == 0o644
    assert not (study / f"{'ef' * 16}-1.trace").exists()


def test_without_the_key_nothing_opens_and_nothing_can_be_read(study: Path, made: Made) -> None:
    with pytest.raises(ReviewError, match="--key"):
        Study(study).open()
    with pytest.raises(WrongKeyError):
        Study(study, X25519PrivateKey.generate()).open()
    everything = b"".join(path.read_bytes() for path in study.iterdir())
    for word in (b"AU01", b"surprise", b"valence", b"units"):
        assert word not in everything
    assert len(Study(study, made.key).open()) == 2


def test_every_opening_is_logged_before_it(study: Path, made: Made) -> None:
    before = journal.verify(study).lines
    with pytest.raises(WrongKeyError):
        Study(study, X25519PrivateKey.generate()).open(rater="anna")
    Study(study, made.key).open("exported", form="elan")
    lines = list(journal.lines(study))
    assert len(lines) == before + 2
    assert "for anna opened" in lines[-2]
    assert lines[-1].endswith("as elan")


def test_a_withdrawn_session_is_gone_with_its_answers_and_comes_no_more(
    study: Path, made: Made
) -> None:
    gone, kept = made.names
    for name in (gone, kept):
        AnswerFile(study, name, "anna").add(ANSWER)
    found = withdraw_code(made.codes[0].lower(), [study])
    assert found == {study: 2}
    assert set(parts_of(study)) == {kept}
    assert set(raters_of(study)) == {kept}
    copied = fetch(made.folder, study)
    assert (copied.copied, copied.refused) == (0, 1)
    # a copy that was put there by hand is not opened either
    for path in parts_of(made.folder)[gone]:
        (study / path.name).write_bytes(path.read_bytes())
    assert [each.name for each in Study(study, made.key).open()] == [kept]
    left = b"".join(path.read_bytes() for path in study.rglob("*") if path.suffix != ".trace"
                    and path.is_file())  # fmt: skip
    assert gone.encode() not in left
    assert any("withdrew" in line for line in journal.lines(study))


def test_what_the_device_knows_to_be_withdrawn_goes_here_too(study: Path, made: Made) -> None:
    gone, kept = made.names
    AnswerFile(study, gone, "anna").add(ANSWER)
    withdraw_code(made.codes[0], [made.folder])
    assert set(parts_of(made.folder)) == {kept}
    fetch(made.folder, study)
    assert set(parts_of(study)) == {kept}
    assert raters_of(study) == {}


def test_a_wrong_code_deletes_nothing(study: Path, made: Made) -> None:
    with pytest.raises(ReviewError, match="no withdrawal code"):
        withdraw_code("nonsense", [study])
    with pytest.raises(ReviewError, match="no folder"):
        withdraw_code(made.codes[0], [study / "none"])
    assert withdraw_code("AAAAA-BBBBB-CCCCC-DDDDD", [study]) == {study: 0}
    assert len(parts_of(study)) == 2


def test_a_renamed_part_is_refused(study: Path, made: Made) -> None:
    one, other = (parts[0] for parts in parts_of(study).values())
    one.replace(other)
    with pytest.raises(ReviewError, match="was renamed"):
        Study(study, made.key).open()


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="nothing to review"):
        Study(tmp_path).open()
    with pytest.raises(ReviewError, match="cannot be read"):
        Study(tmp_path / "none")
