"""Visits, lanes and events of a film agree with what is published of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from agent.base.types import EXPRESSIONS, UNSURE, MicroExpression
from agent.desk.films.collect import Collector
from agent.desk.films.course import LANES
from agent.desk.films.findings import find
from agent.desk.trace import truth as script
from tests.desk.films.made import analysed, config
from tests.desk.trace.generated import perceived


def total(rows: Iterable[dict[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows if row.get(name) is not None)


def test_figures_are_those_of_the_summaries() -> None:
    found = find(analysed(), config())
    assert total(found.windows, "visits") == len(found.visits) == 4
    dominant = Counter(row["expression"] for row in found.visits)
    for name in (*EXPRESSIONS, UNSURE):
        assert total(found.windows, f"expression_{name}") == dominant[name]
    for name, low, high in (("under_1", 0, 1), ("from_1_to_5", 1, 5), ("from_5_to_15", 5, 15)):
        within = sum(low <= row["attention_s"] < high for row in found.visits)
        assert total(found.windows, f"attention_{name}") == within
    shown = Counter(p for row in found.visits for p in row["micro_polarities"].split())
    for polarity in ("positive", "negative", "surprise", "unspecified"):
        assert total(found.windows, f"micro_{polarity}") == shown[polarity]
    hundredths = sum(round(100 * row["valence"]) for row in found.visits)
    assert abs(total(found.windows, "valence_sum") - hundredths) <= len(found.visits)
    angry = sum(row.get("tone") == "angry" for row in found.visits)
    assert angry
    assert total(found.windows, "tone_angry") == angry
    seconds = sum(round(row["analysable_s"]) for row in found.visits)
    assert total(found.windows, "micro_analysable_s") == seconds


def test_every_event_has_its_visit() -> None:
    found = find(analysed(), config())
    planted = [e for e in script.load().events if e.kind == "micro"]
    assert len(found.micro) == len(planted)
    of = {name: number for number, (name, *_) in enumerate(script.load().visitors, 1)}
    for event, row in zip(sorted(planted, key=lambda e: e.onset), found.micro, strict=True):
        assert row["start_s"] == round(event.onset, 4)
        assert row["visit"] == of[event.visitor]
    counted = Counter(row["visit"] for row in found.micro)
    assert {row["visit"]: row["micro_events"] for row in found.visits if row["micro_events"]} == {
        **counted
    }


def test_lanes_hold_one_face_at_a_time_and_all_frames() -> None:
    analysis = analysed()
    seen = analysis.collector.course.lanes("seen")
    faces = analysis.collector.course.sums("faces")
    assert seen.sum() == faces.sum()
    frames = analysis.collector.course.sums("frames")
    assert (seen <= frames[:, None] + 1e-6).all()
    assert {each.stay.lane for each in analysis.collector.seen} <= set(range(LANES))


def test_a_face_found_again_goes_on_in_its_lane_and_keeps_its_number() -> None:
    collector = Collector(config())
    for each in perceived(script.load()):
        if 5.0 < each.time < 8.0:
            each.faces = ()  # covered
        if each.time >= 8.0:
            for face in each.faces:
                face.track_id += 100
            each.micro = tuple(
                MicroExpression(m.track_id + 100, m.onset, m.apex, m.offset, 0.03, m.polarity)
                for m in each.micro
            )
        collector.add(each)
    collector.finish()
    first = collector.seen[0]
    assert first.visit.first < 5.0 < 8.0 < first.visit.last
    numbers = collector.numbers()
    events = [numbers.get(each.key) for each in collector.micro if each.key]
    assert events.count(1) == sum(
        e.kind == "micro" and e.visitor == "first" and not 5 < e.offset < 8
        for e in script.load().events
    )
    course, lane = collector.course, first.stay.lane
    assert lane is not None
    place = course.at(9.0)
    assert course.lanes("seen")[place, lane] > 0
    assert course.lanes("seen")[place].sum() == course.sums("faces")[place]


def test_memory_grows_with_visits_not_with_frames() -> None:
    once, often = (analysed(times=times).collector for times in (1, 4))
    assert len(often.seen) == 4 * len(once.seen)
    assert len(often._stays) == len(once._stays) == 0
    assert len(often._of_track) == 0
    assert often.course._sums.nbytes == once.course._sums.nbytes


def test_who_passed_by_is_no_visit() -> None:
    def brief(times: float) -> Collector:
        collector = Collector(config())
        for each in perceived(script.load()):
            if each.faces:
                each.faces = each.faces[:1] if each.time < times else ()
            collector.add(each)
        collector.finish()
        return collector

    whole = [each for each in perceived(script.load()) if each.faces]
    start = whole[0].time
    passed, stayed = brief(start + 0.6), brief(start + 1.6)
    assert (len(passed.seen), passed.passed) == (0, 1)
    assert (len(stayed.seen), stayed.passed) == (1, 0)
    flicker = brief(start + 0.04)
    assert (len(flicker.seen), flicker.passed, flicker.brief) == (0, 0, 1)
