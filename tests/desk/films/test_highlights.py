"""Where to look: strongest first, apart from one another, a few of each kind."""

from __future__ import annotations

import pytest

from agent.desk.films.course import Course, into
from agent.desk.films.highlights import MOST, OF_A_KIND, Highlight, Kind, candidates, choose
from tests.desk.films.made import findings

CELLS = {"expression", "valence", "micro", "tone"}


def moment(time: float, score: float, kind: Kind = "micro", end: float | None = None) -> Highlight:
    return Highlight(time, time + 0.3 if end is None else end, kind, score, "")


def read(course: Course, start: float, end: float, label: int, valence: float) -> None:
    for number in range(round((end - start) / 0.15)):
        row = course.row(course.at(start + 0.15 * number))
        row[into("frames")] += 1
        row[into("faces")] += 1
        row[into("estimates")] += 1
        row[into("labels").start + label] += 1
        if label < 8:
            row[into("peaks").start + label] += 0.9
        row[into("valence")] += valence


def test_the_strongest_come_first_and_none_is_near_a_stronger_one_of_its_kind() -> None:
    every = [moment(10, 0.8), moment(11, 0.9), moment(12, 0.7, "tone"), moment(20, 0.6)]
    found = choose(every)
    assert [(h.time, h.kind) for h in found] == [(11, "micro"), (12, "tone"), (20, "micro")]
    many = [moment(10 * n, 0.5 + n / 100) for n in range(30)]
    assert len(choose(many)) == OF_A_KIND
    kinds: tuple[Kind, ...] = ("micro", "expression", "valence", "tone")
    assert len(choose([moment(10 * n, 0.5, kinds[n % 4]) for n in range(40)])) == MOST


def test_a_lasting_expression_is_named_a_short_one_less_neutral_and_unsure_never() -> None:
    course = Course()
    read(course, 0, 5, 0, 0.0)
    read(course, 5, 9, 1, 0.0)
    read(course, 9, 11, 8, 0.0)
    read(course, 11, 11.3, 4, 0.0)
    read(course, 11.3, 20, 0, 0.0)
    found = candidates(course, [], [], {"expression"})
    assert [h.reason.split()[2] for h in found] == ["happiness", "anger"]
    long, short = found
    assert (long.time, long.end) == pytest.approx((5.0, 9.0), abs=0.3)
    assert long.score == pytest.approx(0.9, abs=0.01)
    assert short.score < 0.5
    assert candidates(course, [], [], {"attention"}) == []


def test_a_change_of_valence_is_found_where_it_is_once() -> None:
    course = Course()
    read(course, 0, 10, 0, -0.4)
    read(course, 10, 20, 0, 0.5)
    (found,) = candidates(course, [], [], {"valence"})
    assert (found.time + found.end) / 2 == pytest.approx(10.0, abs=0.3)
    assert found.score == pytest.approx(0.9, abs=0.05)
    assert "-0.40 to +0.50" in found.reason


def test_somebody_who_comes_is_no_change_of_valence() -> None:
    course = Course()
    read(course, 0, 10, 0, -0.4)
    read(course, 10, 20, 0, 0.5)
    for step in range(100, course.used):
        course.row(step)[into("faces")] += course.sums("frames")[step]
    assert candidates(course, [], [], {"valence"}) == []


def test_the_clips_moments_have_reasons_without_persons() -> None:
    found = findings()
    assert 4 <= len(found.highlights) <= MOST
    assert {h.kind for h in found.highlights} >= {"micro", "expression"}
    for each in found.highlights:
        assert 0 <= each.score <= 1
        assert each.time <= each.end <= found.seconds + 2
        assert each.reason
    assert candidates(found.course, found.micro, found.tones, CELLS)
