"""When traces are deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.perceive.traces.keeper import KEPT, Keeper
from agent.perceive.traces.session import WITHDRAWN, file_name, mark_of, parts_of
from tests.perceive.traces.made import Clocks

NAME, OTHER = "ab" * 16, "cd" * 16


def kept(folder: Path) -> set[str]:
    return set(parts_of(folder))


def test_a_session_goes_after_its_days_of_elapsed_time(tmp_path: Path) -> None:
    clocks = Clocks()
    (tmp_path / file_name(NAME, 1)).touch()
    keeper = Keeper(tmp_path, 30, clocks, clocks.device)
    for _ in range(29):
        clocks.pass_days(1)
        keeper.poll()
    (tmp_path / file_name(OTHER, 1)).touch()
    keeper.sweep()
    assert kept(tmp_path) == {NAME, OTHER}
    clocks.pass_days(1)
    keeper.poll()
    assert kept(tmp_path) == {OTHER}


def test_a_restart_does_not_begin_anew(tmp_path: Path) -> None:
    clocks = Clocks()
    (tmp_path / file_name(NAME, 1)).touch()
    for _ in range(31):
        Keeper(tmp_path, 30, clocks, clocks.device)
        clocks.pass_days(1)
    assert not kept(tmp_path)


def test_a_step_of_an_untrusted_clock_deletes_nothing(tmp_path: Path) -> None:
    clocks = Clocks()
    (tmp_path / file_name(NAME, 1)).touch()
    keeper = Keeper(tmp_path, 30, clocks, clocks.device)
    clocks.utc += 400 * 86_400
    keeper.sweep()
    assert kept(tmp_path) == {NAME}


def test_days_of_the_calendar_count_where_the_clock_is_trusted(tmp_path: Path) -> None:
    """Also those in which the machine was off."""
    clocks = Clocks(trusted=True)
    (tmp_path / file_name(NAME, 1)).touch()
    Keeper(tmp_path, 30, clocks, clocks.device)
    clocks.utc += 31 * 86_400  # the machine did not count them
    Keeper(tmp_path, 30, clocks, clocks.device)
    assert not kept(tmp_path)


def test_what_was_withdrawn_elsewhere_goes_at_once(tmp_path: Path) -> None:
    clocks = Clocks()
    for name in (NAME, OTHER):
        (tmp_path / file_name(name, 1)).touch()
    (tmp_path / WITHDRAWN).write_text(mark_of(NAME) + "\n")
    Keeper(tmp_path, 30, clocks, clocks.device)
    assert kept(tmp_path) == {OTHER}


@pytest.mark.parametrize("said", ["", "{", '{"clock": 1, "sessions": {}}', "[]", "[" * 100_000])
def test_a_damaged_record_counts_from_now_on(tmp_path: Path, said: str) -> None:
    clocks = Clocks()
    (tmp_path / KEPT).write_text(said)
    (tmp_path / file_name(NAME, 1)).touch()
    keeper = Keeper(tmp_path, 30, clocks, clocks.device)
    clocks.pass_days(29)
    keeper.sweep()
    assert kept(tmp_path) == {NAME}
    clocks.pass_days(1)
    keeper.sweep()
    assert not kept(tmp_path)


def test_a_folder_that_cannot_be_read_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clocks = Clocks()
    (tmp_path / WITHDRAWN).mkdir()
    (tmp_path / file_name(NAME, 1)).touch()
    Keeper(tmp_path, 30, clocks, clocks.device)
    assert "withdrawn cannot be read" in caplog.text
    assert kept(tmp_path) == {NAME}


def test_what_is_over_goes_although_the_list_of_withdrawn_cannot_be_read(tmp_path: Path) -> None:
    clocks = Clocks()
    (tmp_path / WITHDRAWN).mkdir()
    (tmp_path / file_name(NAME, 1)).touch()
    keeper = Keeper(tmp_path, 30, clocks, clocks.device)
    clocks.pass_days(30)
    keeper.poll()
    assert not kept(tmp_path)


def test_a_session_that_cannot_be_deleted_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clocks = Clocks()
    stuck = tmp_path / file_name(NAME, 1)
    stuck.mkdir()
    (tmp_path / file_name(OTHER, 1)).touch()
    keeper = Keeper(tmp_path, 30, clocks, clocks.device)
    clocks.pass_days(30)
    keeper.poll()
    assert kept(tmp_path) == {NAME}
    assert "cannot be deleted" in caplog.text
    stuck.rmdir()
    stuck.touch()
    clocks.pass_days(1)
    keeper.poll()
    assert not kept(tmp_path)
