"""One receipt a day, despite clock steps and power failures."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.uplink.receipt.due import CLOCK_TIMEOUT, DAY, Last, is_due
from tests.desk.receipt.days import HOUR, NOON, Box

MIDNIGHT = NOON + DAY / 2
FORTNIGHT = 14 * DAY


def test_the_first_begins_the_chain_and_waits_a_little_for_a_clock() -> None:
    assert is_due(None, NOON, 0)
    assert not is_due(None, None, CLOCK_TIMEOUT - 1)
    assert is_due(None, None, CLOCK_TIMEOUT)


def test_at_the_first_tick_after_midnight(tmp_path: Path) -> None:
    box = Box(tmp_path)
    assert len(box.tick()) == 1
    assert box.pass_time(12 * HOUR - 60, 60) == []
    (receipt,) = box.pass_time(60, 60)
    assert receipt.statement.end == MIDNIGHT
    assert box.pass_time(DAY - 60, 60) == []


def test_forty_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda number: None)  # no power fails here
    box = Box(tmp_path)
    signed = box.tick() + box.pass_time(40 * DAY, 12 * HOUR)
    assert [receipt.statement.number for receipt in signed] == list(range(1, 42))
    ends = [receipt.statement.end or 0 for receipt in signed]
    assert {after - before for before, after in pairwise(ends[1:])} == {DAY}


def test_a_restart_in_the_middle_of_a_day_signs_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    for _ in range(11):
        assert box.pass_time(HOUR) == []
        box.restart()
        assert box.tick() == []
    assert len(box.pass_time(HOUR)) == 1


def test_a_box_that_is_off_every_night_signs_every_morning(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    for _ in range(20):
        box.pass_time(6 * HOUR)
        box.reboot(off=18 * HOUR)
        assert len(box.tick()) == 1
        assert box.tick() == []


def test_the_clock_steps_a_fortnight_ahead(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    box.utc = NOON + FORTNIGHT
    assert box.tick() == []
    box.restart()
    assert box.tick() == []
    assert len(box.pass_time(12 * HOUR)) == 1
    assert box.pass_time(23 * HOUR) == []
    assert len(box.pass_time(HOUR)) == 1


def test_the_clock_steps_a_fortnight_back(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    box.utc = NOON - FORTNIGHT
    assert box.tick() == []
    box.restart()
    assert box.tick() == []
    assert len(box.pass_time(12 * HOUR)) == 1
    assert [len(box.pass_time(DAY)) for _ in range(20)] == [1] * 20


def test_the_clock_swings_to_and_fro(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    signed = 0
    for hour in range(240):
        box.utc = (box.utc or 0) + (FORTNIGHT if hour % 2 else -FORTNIGHT)
        signed += len(box.pass_time(HOUR))
        if hour % 7 == 0:
            box.restart()
    assert 9 <= signed <= 10


def test_a_box_that_never_knows_the_time_signs_every_day_of_its_own(tmp_path: Path) -> None:
    box = Box(tmp_path, utc=None)
    assert box.tick() == []
    assert len(box.pass_time(HOUR, 60)) == 1
    signed = box.pass_time(23 * HOUR, 60)
    assert signed == []
    box.restart()
    (receipt,) = box.pass_time(HOUR)
    assert (receipt.statement.start, receipt.statement.end) == (None, None)
    assert [len(box.pass_time(DAY)) for _ in range(10)] == [1] * 10


def test_the_first_sync_signs_nothing_by_itself(tmp_path: Path) -> None:
    box = Box(tmp_path, utc=None)
    box.pass_time(HOUR, 60)
    box.utc = NOON
    assert box.tick() == []
    (receipt,) = box.pass_time(12 * HOUR)
    assert (receipt.statement.start, receipt.statement.end) == (None, MIDNIGHT)


def test_after_a_start_a_wrong_past_does_not_count(tmp_path: Path) -> None:
    """After a battery-backed clock was wrong nothing is signed twice."""
    box = Box(tmp_path, utc=NOON + FORTNIGHT)
    box.tick()
    box.utc = NOON
    box.reboot()
    assert box.pass_time(23 * HOUR) == []
    assert len(box.pass_time(HOUR)) == 1
    assert [len(box.pass_time(DAY)) for _ in range(3)] == [1] * 3


@given(
    st.lists(
        st.tuples(
            st.floats(0, 2 * DAY),
            st.sampled_from([0.0, 0.0, -FORTNIGHT, FORTNIGHT, HOUR, -HOUR, -DAY, DAY / 2]),
            st.booleans(),
        ),
        max_size=60,
    )
)
@hypothesis_settings(max_examples=200)
def test_steps_never_make_two_of_one_day_nor_none_of_two(
    turns: list[tuple[float, float, bool]],
) -> None:
    """(elapsed seconds, step of the wall clock, whether it is trusted)."""
    now, utc, signed_at, signed_utc = 0.0, NOON, 0.0, NOON
    for passed, step, trusted in turns:
        now, utc = now + passed, utc + passed + step
        elapsed = now - signed_at
        last = Last(int(signed_utc), elapsed, elapsed)
        due = is_due(last, utc if trusted else None, now)
        if due:
            assert elapsed >= DAY or utc // DAY != signed_utc // DAY
            assert elapsed >= DAY or (signed_utc + elapsed) // DAY != signed_utc // DAY
            signed_at, signed_utc = now, utc
        else:
            assert elapsed < 2 * DAY or (trusted and elapsed < 2 * DAY)
