"""One event and its code."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given

from agent.desk.coding.event import Event, Unit, lanes, units
from tests.desk.coding.lists import event, events


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", ()),
        ("12", (Unit(12),)),
        ("AU01+AU02", (Unit(1), Unit(2))),
        ("4+L10B, R12c", (Unit(4), Unit(10, "B", "L"), Unit(12, "C", "R"))),
        ("LAU14; 1 2", (Unit(14, "", "L"), Unit(1), Unit(2))),
        ("U10+12E", (Unit(10), Unit(12, "E"))),
    ],
)
def test_codes_as_coders_write_them(code: str, expected: tuple[Unit, ...]) -> None:
    assert units(code) == expected


@pytest.mark.parametrize("code", ["smile", "0", "123", "12F", "12+?", "-4"])
def test_what_is_no_unit_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="no action unit"):
        units(code)


@given(event())
def test_a_code_says_its_units(given_: Event) -> None:
    assert units(given_.code) == given_.units


@pytest.mark.parametrize(
    "values",
    [
        {"onset": math.nan},
        {"onset": 3.0},
        {"onset": -1.0},
        {"offset": 1e9},
        {"apex": 2.5},
        {"score": 1.2},
        {"kind": "dance"},
        {"verdict": "perhaps"},
        {"comment": "\0"},
        {"comment": "\ud800"},
        {"coder": "two\nlines"},
        {"coder": " anna"},
        {"comment": "x" * 20_000},
    ],
)
def test_impossible_events_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Event(**{"onset": 1.0, "offset": 2.0} | values)  # type: ignore[arg-type]


@given(events())
def test_lanes_hold_all_events_and_no_two_at_once(given_: list[Event]) -> None:
    found = lanes(given_)
    assert sum(map(len, found)) == len(given_)
    for lane in found:
        for before, after in itertools.pairwise(lane):
            assert before.offset < after.onset
