"""Sums in constant memory: folding loses nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.desk.films.course import FIRST_STEP, SUMS, Course, into, into_lane, ratio


def filled(times: list[float], steps: int = 16) -> Course:
    course = Course(steps=steps)
    for time in times:
        place = course.at(time)
        course.row(place)[into("frames")] += 1
        course.row(place)[into("valence")] += time
        course.lane(place, 1)[into_lane("seen")] += 1
        course.crowd(place, int(time) % 5)
    return course


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=60))
def test_sums_are_kept_however_long_the_film_is(times: list[float]) -> None:
    course = filled(sorted(times))
    assert course.used <= 16
    assert course.sums("frames").sum() == len(times)
    assert course.lanes("seen").sum() == len(times)
    assert course.most.max() == max(int(time) % 5 for time in times)
    assert course.sums("valence").sum() == pytest.approx(sum(times), rel=1e-5, abs=1e-3)
    last = course.at(max(times))
    assert course.start + last * course.step <= max(times) + 1e-6
    assert course.sums("frames")[last] >= 1


def test_a_copy_is_as_coarse_as_asked_for_and_the_course_stays() -> None:
    course = filled([number * 0.1 for number in range(15)])
    copy = course.folded(4)
    assert copy.used <= 4
    assert copy.sums("frames").sum() == 15
    assert course.step == FIRST_STEP
    assert course.used == 15
    assert course.folded(100, step=0.5).step == pytest.approx(0.8)


def test_a_lane_is_moved_from_a_time_on() -> None:
    course = filled([0.05, 0.55, 0.95])
    course.move(0.5, 1, 0)
    assert course.lanes("seen")[:, 0].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert course.lanes("seen")[:, 1].sum() == 1


def test_every_column_has_its_own_place() -> None:
    places = sorted((into(name).start, into(name).stop) for name in SUMS)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(places))


def test_a_ratio_of_nothing_is_unknown() -> None:
    over = np.array([[2.0, 4.0], [0.0, 0.0]], np.float32)
    found = ratio(over, np.array([2.0, 0.0], np.float32))
    assert found[0].tolist() == [1.0, 2.0]
    assert np.isnan(found[1]).all()
