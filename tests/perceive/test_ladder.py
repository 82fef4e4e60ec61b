"""The ladder of heat: its steps, their hysteresis, and what an odd sensor does to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.perceive.ladder import CLEAR_AFTER, UNKNOWN_AFTER, Ladder, Step, bounds

ALL, SLOW, SLOWER, PAUSE = Step
EVERY = 5.0
"""Seconds between readings."""


def climb(ladder: Ladder, readings: list[float | None], at: float = 0.0) -> list[Step]:
    """Each reading twice: the step after both."""
    found = []
    for number, each in enumerate(readings):
        for half in (0, 1):
            ladder.update(each, False, at + EVERY * (2 * number + half))
        found.append(ladder.step)
    return found


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([40, 74.9, 75, 70, 69.9], [ALL, ALL, SLOW, SLOW, ALL]),
        ([76, 80, 79, 75, 74.9, 70, 69], [SLOW, SLOWER, SLOWER, SLOWER, SLOW, SLOW, ALL]),
        ([84, 85, 84, 78, 77.9, 74], [SLOWER, PAUSE, PAUSE, PAUSE, SLOWER, SLOW]),
        ([60, 90, 60], [ALL, PAUSE, ALL]),  # several steps at once
        ([90, 76, 71, 69], [PAUSE, SLOWER, SLOW, ALL]),
        ([74, 76, 74, 76, 71], [ALL, SLOW, SLOW, SLOW, SLOW]),  # no flapping
        ([-20, 110], [ALL, PAUSE]),
    ],
)
def test_steps(readings: list[float | None], expected: list[Step]) -> None:
    assert climb(Ladder(), readings) == expected


def test_one_setting_moves_them_all() -> None:
    assert bounds(85.0).begin == (75, 80, 85)
    assert bounds(85.0).end == (70, 75, 78)
    assert climb(Ladder(95.0), [84, 86, 91, 95, 88, 87, 79]) == [
        ALL, SLOW, SLOWER, PAUSE, PAUSE, SLOWER, ALL,
    ]  # fmt: skip


def test_one_odd_reading_moves_nothing() -> None:
    ladder = Ladder()
    seen = []
    for number, each in enumerate([60, 60, 120, 60, 82, 82, 20, 82, 82]):
        ladder.update(each, None, EVERY * number)
        seen.append(ladder.step)
    assert seen == [ALL, ALL, ALL, ALL, ALL, SLOWER, SLOWER, SLOWER, SLOWER]


def test_the_first_reading_counts_at_once() -> None:
    ladder = Ladder()
    ladder.update(88, None, 0.0)
    assert ladder.step == PAUSE


def test_a_sensor_that_is_gone_is_no_ladder_but_not_at_once() -> None:
    ladder = Ladder()
    ladder.update(82, None, 0.0)
    ladder.update(None, None, UNKNOWN_AFTER - 1)
    assert ladder.step == SLOWER
    ladder.update(None, None, UNKNOWN_AFTER)
    assert ladder.step == ALL
    never = Ladder()
    assert climb(never, [None] * 20) == [ALL] * 20


@pytest.mark.parametrize(("degrees", "expected"), [(84, PAUSE), (78, PAUSE), (77, SLOWER)])
def test_a_restart_in_the_heat_goes_on_in_it(degrees: float, expected: Step) -> None:
    ladder = Ladder(hot=True)
    assert ladder.step == PAUSE
    ladder.update(degrees, None, 0.0)
    assert ladder.step == expected


def test_a_restart_in_the_heat_without_a_sensor_ends_it() -> None:
    ladder = Ladder(hot=True)
    for number in range(20):
        ladder.update(None, None, EVERY * number)
    assert ladder.step == ALL


def test_undervoltage_is_the_first_step_until_ten_minutes_without() -> None:
    ladder = Ladder()
    ladder.update(50, True, 0.0)
    assert (ladder.step, ladder.undervolt) == (SLOW, True)
    ladder.update(50, False, CLEAR_AFTER - 1)
    assert ladder.step == SLOW
    ladder.update(50, True, CLEAR_AFTER - 1)
    ladder.update(50, None, 2 * CLEAR_AFTER - 2)
    assert ladder.undervolt, "ten minutes from the last time"
    ladder.update(50, False, 2 * CLEAR_AFTER)
    assert (ladder.step, ladder.undervolt) == (ALL, False)


def test_the_higher_of_heat_and_supply_counts() -> None:
    ladder = Ladder()
    ladder.update(82, True, 0.0)
    assert ladder.step == SLOWER


@given(
    st.lists(st.one_of(st.none(), st.floats(-40, 125)), max_size=60),
    st.floats(60, 110),
)
def test_hysteresis(readings: list[float | None], pause: float) -> None:
    """A step is left only beyond its bounds, whatever came before."""
    ladder, edges = Ladder(pause), bounds(pause)
    before: float | None = None
    for number, each in enumerate(readings):
        was = ladder.step
        ladder.update(each, None, EVERY * number)
        if each is None:
            assert ladder.step in (was, ALL)
        else:
            last = each if before is None else before
            if ladder.step > was:
                assert min(each, last) >= edges.begin[ladder.step - 1]
            if ladder.step < was:
                assert max(each, last) < edges.end[ladder.step]
            if was < PAUSE and ladder.step == was:
                assert min(each, last) < edges.begin[was]
            if was > ALL and ladder.step == was:
                assert max(each, last) >= edges.end[was - 1]
        before = each


@given(st.floats(60, 110), st.integers(0, 2), st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_a_temperature_between_a_steps_bounds_never_changes_it(
    pause: float, index: int, shares: list[float]
) -> None:
    edges = bounds(pause)
    low, high = edges.end[index], edges.begin[index]
    ladder = Ladder(pause)
    ladder.update(high, None, 0.0)
    for number, share in enumerate(shares, 1):
        ladder.update(low + share * (high - low), None, EVERY * number)
        assert ladder.step == index + 1
