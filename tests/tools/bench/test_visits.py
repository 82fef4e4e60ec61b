"""Stays against visits in scripted videos, through the whole agent."""

from __future__ import annotations

import json
from functools import cache

import pytest

from tools.bench.__main__ import main
from tools.bench.visits import queue
from tools.bench.visits.cases import Case, cases
from tools.bench.visits.crossing import crossing
from tools.bench.visits.measure import demo, see

HELD = [
    "the bundled clip, twice",
    "120 s of 10 s, 320 px wide",
    "120 s of 5 s, jumping a third of the picture",
    "120 s at 25 fps, filling the picture",
    "8 glances away of 3 s, plain wall",
    "8 glances of 3 s, 320 px, 25 fps",
    "8 glances of 3 s, at the edge",
    "covered for 8 s",
    "two change places, 320 px",
    "two change places, one above",
    "two change places by a cut",
    "queue of 4, on to the right",
    "10 pass by, both ways",
    "leaves and returns after 5 s",
    "a poster flickers for 60 s",
    "a glimpse of 0.7 s",
    "10 run past in 0.9 s",
    "10 run past, far away",
    "two side by side, glancing away",
    "one below and before another",
]


@cache
def scripted() -> dict[str, Case]:
    """Not on import: the clip is decoded for it, by every process that collects tests."""
    return {case.name: case for case in cases()}


@pytest.mark.slow
@pytest.mark.parametrize("name", HELD)
def test_a_stay_is_a_visit(name: str) -> None:
    case = scripted()[name]
    seen = see(case.frames(), case.fps, demo())
    assert len(seen.visits) == case.stays == case.visits
    assert seen.passers == case.passers == case.passing


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "two cross at 300 px/s",
        "two cross at 150 px/s, one 0.4 lower",
        "two meet for 0 s and turn back",
    ],
)
def test_whose_paths_cross_have_a_visit_each_and_no_micro_expression(name: str) -> None:
    (case,) = (case for case in crossing() if case.name == name)
    seen = see(case.frames(), case.fps, demo(), micro=True)
    assert len(seen.visits) == case.stays == 2
    assert not seen.micro


def test_where_geometry_cannot_know_the_table_says_so() -> None:
    def known(case: Case) -> bool:
        return case.visits == case.stays

    assert {case.name: case.visits for case in scripted().values() if not known(case)} == {
        "one vanishes, another appears there": 1,
        "turned away for 20 s": 2,
        "turned away for 60 s": 2,
        "10 walk by in 3 s, far away": 12,
        "a face 10 px high stands for 6 s": 0,
    }
    assert all(known(case) or case.note for case in scripted().values())


def test_of_a_queue_only_those_are_merged_who_are_not_seen_to_come_or_go() -> None:
    rows = {
        row["way"]: dict(zip(queue.GAPS, row["visits"], strict=True)) for row in queue.measure(40)
    }
    *seen, unseen = rows.values()
    assert all(set(visits.values()) == {40} for visits in seen)
    assert unseen[2.0] == 40 > unseen[10.0] > unseen[15.0] > unseen[30.0]


@pytest.mark.slow
def test_the_table_and_the_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["visits", "--only", "turned away for 5 s", "--json"]) == 0
    *table, line = capsys.readouterr().out.splitlines()
    (row,) = json.loads(line)["cases"]
    assert (row["stays"], row["visits"]) == (1, 1)
    assert any("turned away for 5 s" in text for text in table)
    assert main(["visits", "--only", "turned away for 5 s", "--gap", "2"]) == 1
    assert "expected 1" in capsys.readouterr().out
