"""Tumbling windows: every visit is counted in exactly one."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.config import MicroConfig
from agent.base.types import Perceived, Visit
from agent.privacy.visits import VisitBook
from agent.privacy.window import (
    MAX_MICRO_SECONDS,
    POLARITIES,
    ExactCounts,
    Window,
    Windows,
    dominant,
    outcome,
    place_cap,
)
from tests.privacy.people import Person, answer, config, face, frames

GAP = 2.0
MICRO = MicroConfig()


def sort(people: list[Person], end: float, length: int = 10, fps: float = 30.0) -> list[Window]:
    book = VisitBook(config(visit_gap=GAP).privacy)
    windows = Windows(length, GAP, MICRO, bounded=False)
    done: list[Window] = []
    for each in frames(people, end, fps):
        ended = book.update(each, 0)
        windows.add_frame(each, 0, 0, ())
        windows.add_visits(ended)
        done += windows.due(each.time)
    windows.add_visits(book.finish())
    return done + windows.finish()


def counted(windows: list[Window]) -> list[int]:
    return [
        sum(counts.cells["visits"][0] for counts in window.counts.values()) for window in windows
    ]


def test_a_visit_is_counted_where_it_was_last_seen() -> None:
    windows = sort([Person(1, 2, 9.5), Person(2, 8, 12), Person(3, 5, 25)], 40)
    assert counted(windows) == [1, 1, 1, 0]
    assert [window.start for window in windows] == [0, 10, 20, 30]


people = st.lists(
    st.builds(
        lambda track, arrives, stays: Person(track, arrives, arrives + stays),
        track=st.integers(0, 3),
        arrives=st.floats(0, 40),
        stays=st.floats(0.6, 25),
    ),
    max_size=6,
)


@given(people)
@settings(max_examples=40)
def test_every_visit_is_counted_in_exactly_one_window_and_once_in_every_cell(
    there: list[Person],
) -> None:
    book = VisitBook(config(visit_gap=GAP).privacy)
    stays = [v for each in frames(there, 60, 5) for v in book.update(each, 0)] + book.finish()
    visits = [each for each in stays if not each.passing]
    windows = sort(there, 60, fps=5)
    for window in windows:
        inside = [v for v in visits if window.start <= v.last < window.start + window.length]
        (counts,) = window.counts.values()
        assert counts.cells["visits"] == [len(inside)]
        passed = [v for v in stays if v.passing]
        passed = [v for v in passed if window.start <= v.last < window.start + window.length]
        assert counts.cells["passing"] == [len(passed)]
        for cell, numbers in counts.cells.items():
            if cell in ("expression", "attention", "dwell"):
                assert sum(numbers) == len(inside)
    assert sum(counted(windows)) == len(visits)


def test_contributions_are_bounded_where_noise_is_added_and_counted_in_full_where_not() -> None:
    long = Visit(1, 0.0, 3700.0, 0, analysable=3600.4, micro=set(POLARITIES))
    counts = ExactCounts()
    counts.add(long, 40, bounded=True)
    assert counts.cells["micro"] == [1, 1, 0, 0, 1, 0, 0, 0, 0, MAX_MICRO_SECONDS]
    assert MAX_MICRO_SECONDS == 120
    counts.add(long, 40, bounded=False)
    assert counts.cells["micro"] == [2, 2, 1, 1, 2, 0, 0, 0, 0, 120 + 3600]


@pytest.mark.parametrize(
    ("visit", "expected"),
    [
        (Visit(1, 0, 9, 0, analysable=1.0, size=100.0), "analysable"),
        (Visit(1, 0, 9, 0, analysable=0.9, size=30.0), "face_too_small"),
        (Visit(1, 0, 9, 0, size=100.0), "no_evidence"),
        (Visit(1, 0, 9, 0, size=90.0, refused={"too_noisy": 3.0, "no_evidence": 0.7}), "too_noisy"),
        (Visit(1, 0, 9, 0, size=90.0, refused={"fps_too_low": 3.0}), "fps_too_low"),
        (Visit(1, 0, 9, 0, size=90.0, refused={"something_new": 3.0}), "no_evidence"),
    ],
)
def test_a_visit_was_analysable_or_it_is_known_why_not(visit: Visit, expected: str) -> None:
    assert outcome(visit, 40) == expected


def test_windows_nobody_saw_do_not_exist() -> None:
    windows = Windows(10, GAP, MICRO, bounded=True)
    windows.add_frame(Perceived(1.0, ()), 0, 0, ())
    windows.add_frame(Perceived(10_000_000.0, ()), 0, 0, ())
    assert [window.start for window in windows.due(10_000_000.0)] == [0]
    assert [window.start for window in windows.finish()] == [10_000_000]


def test_a_window_stays_open_until_its_visits_are_known_to_be_over() -> None:
    windows = Windows(10, GAP, MICRO, bounded=True)
    windows.add_frame(Perceived(9.9, ()), 0, 0, ())
    windows.add_frame(Perceived(11.9, ()), 0, 0, ())
    assert windows.due(11.9) == []
    assert [window.start for window in windows.due(12.0)] == [0]


def test_a_slot_that_went_off_before_the_window_does_not_come_to_life_through_a_visit() -> None:
    windows = Windows(10, GAP, MICRO, bounded=True)
    windows.add_frame(Perceived(12.0, (face(1),)), 6, 0, ())
    windows.add_visits([Visit(1, 0.0, 12.0, slot=5)])
    (window,) = windows.finish()
    assert list(window.counts) == [6]
    assert window.counts[6].cells["visits"] == [1]


@pytest.mark.parametrize(("fps", "fast"), [(30.0, 20), (25.0, 20), (24.0, 20), (20.0, 0)])
def test_seconds_are_fast_enough_by_frame_rate_with_or_without_a_face(
    fps: float, fast: int
) -> None:
    for there in ([], [Person(1, 2, 15)], [Person(1, 2, 15, size=20)]):
        windows = sort(there, 20, fps=fps)
        assert sum(window.capable_seconds for window in windows) == fast
        assert sum(window.seconds for window in windows) == 20
        assert windows[0].fps == pytest.approx(fps, rel=0.01)


@pytest.mark.parametrize(
    ("estimates", "unsure", "expected"), [(0, 0, 8), (10, 6, 8), (10, 5, 3), (10, 0, 3)]
)
def test_mostly_unsure_is_unsure(estimates: int, unsure: int, expected: int) -> None:
    shown = answer("sadness").probabilities * (estimates - unsure)
    visit = Visit(1, 0, 1, 0, expression=shown, estimates=estimates, unsure=unsure)
    assert dominant(visit) == expected


def stays(number: int, place: tuple[int, int, int] | None, bounded: bool = True) -> ExactCounts:
    """What so many visits at a place leave in a window."""
    windows = Windows(60, GAP, MICRO, bounded)
    windows.add_frame(Perceived(1.0, ()), 0, 0, ())
    seen = answer("anger", valence=-1.0)
    for _ in range(number):
        windows.add_visits(
            [
                Visit(
                    1, 1.0, 31.0, 0, attention=9.0, expression=seen.probabilities, estimates=1,
                    valence=-1.0, micro={"negative"}, analysable=500.0, size=90.0, place=place,
                )
            ]
        )  # fmt: skip
    (window,) = windows.finish()
    return window.counts[0]


def test_one_place_adds_a_bounded_number_of_visits_to_a_window() -> None:
    cap = place_cap(60)
    assert cap == 5
    here = (7, 3, 2)
    assert stays(cap, here).cells == stays(cap, None).cells
    assert stays(50, here).cells == stays(cap, None).cells
    assert stays(50, None).cells["visits"] == [50], "people who walk through are not bounded"
    assert stays(50, here, bounded=False).cells["visits"] == [cap]
    full = stays(1, here, bounded=False).cells["micro"]
    assert full[-1] == 500, "seconds are counted in full where no noise is added"


def test_places_are_bounded_each_for_itself() -> None:
    windows = Windows(60, GAP, MICRO, bounded=True)
    windows.add_frame(Perceived(1.0, ()), 0, 0, ())
    for row in range(3):
        windows.add_visits(Visit(1, 1.0, 31.0, 0, place=(7, 3, row)) for _ in range(9))
    (window,) = windows.finish()
    assert window.counts[0].cells["visits"] == [3 * place_cap(60)]


def test_an_honest_queue_does_not_reach_the_bound() -> None:
    """Every 34 s on average somebody else stands at the same spot, and is seen standing only: of
    200 quarter hours at most one in fifty is clipped."""
    rng = random.Random(8)
    clipped = 0
    for _ in range(200):
        number, time = 0, 0.0
        while (time := time + 4 + rng.expovariate(1 / 30)) < 900:
            number += 1
        clipped += number > place_cap(900)
    assert clipped <= 4


def test_who_passes_by_counts_there_and_nowhere_else_and_a_place_no_more_than_it_may() -> None:
    windows = Windows(60, GAP, MICRO, bounded=True)
    windows.add_frame(Perceived(1.0, ()), 0, 0, ())
    passer = Visit(1, 1.0, 1.5, 0, attention=0.5, estimates=3, valence=2.0, passing=True)
    windows.add_visits([passer] * 4)
    flickers = [replace(passer, place=(6, 2, 2)) for _ in range(90)]
    windows.add_visits(flickers)
    (window,) = windows.finish()
    told = {cell: numbers for cell, numbers in window.counts[0].cells.items() if any(numbers)}
    assert told == {"passing": [4 + place_cap(60)]}


def shown(frames: list[tuple[float, int]], length: int = 10) -> list[dict[int, float]]:
    """Shares on show by slot, of each window."""
    windows = Windows(length, GAP, MICRO, bounded=True)
    for time, slot in frames:
        windows.add_frame(Perceived(time, ()), slot, 0, ())
    return [
        {slot: round(window.share_shown(slot), 3) for slot in window.counts}
        for window in windows.finish()
    ]


def test_time_on_show_is_shared_among_the_slots_of_a_window() -> None:
    changing = [(n / 10, 0 if n < 40 else 7) for n in range(101)]
    assert shown(changing) == [{0: 0.4, 7: 0.6}, {7: 0.0}]
    over_the_end = [(n / 10, 0 if n < 130 else 7) for n in range(200)]
    assert shown(over_the_end) == [{0: 1.0}, {0: 0.3, 7: 0.69}]


def test_time_without_pictures_is_not_on_show() -> None:
    away = [(n / 10, 3) for n in (*range(21), *range(80, 101))]
    assert shown(away)[0] == {3: 0.4}
    lapse = [(4.0 * n, 3) for n in range(6)]
    assert shown(lapse) == [{3: 1.0}, {3: 1.0}, {3: 0.0}], "a picture every four seconds vouches"
    assert shown([(float(n), 3) for n in (2, 3)]) == [{3: 0.1}]


def test_a_slot_that_ends_with_its_window_is_not_in_the_next() -> None:
    frames = [(9.0, 1), (9.9, 1), (10.5, 2), (11.0, 2)]
    assert shown(frames) == [{1: 0.1}, {2: 0.1}]
