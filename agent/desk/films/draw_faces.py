"""Drawings of faces over time: who was in view, what the readings name, valence and arousal."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

import numpy as np

from agent.base.types import ACTION_UNITS, EXPRESSIONS
from agent.desk.films.course import LABELS, LANES, Course, ratio
from agent.desk.films.drawing import (
    LEFT,
    WIDTH,
    Area,
    Axis,
    Drawing,
    Line,
    Mark,
    Rect,
    Text,
    clock,
    curve,
    draw_curve,
)
from agent.desk.films.findings import Findings
from agent.desk.films.rows import Row

COLUMNS = 460
"""Columns of a picture over time, at most: each about a pixel and a half."""
MOST_MARKS = 200
"""Micro-expressions drawn, the strongest; as many lines of words and tones one by one."""
MOST_BARS = 40
"""Visits drawn as bars; all are in the table."""
_UNIT_NAMES = {
    "AU01": "inner brow raised", "AU02": "outer brow raised", "AU04": "brow lowered",
    "AU05": "upper lid raised", "AU07": "lids tightened", "AU10": "upper lip raised",
    "AU12": "lip corners pulled", "AU18": "lips puckered", "AU24": "lips pressed",
    "AU25": "lips parted", "AU26": "jaw dropped", "AU45": "blink",
}  # fmt: skip


def unit_name(unit: str) -> str:
    """In words, after FACS; empty for one that the page does not draw."""
    return _UNIT_NAMES.get(unit, "")


def axis_of(found: Findings) -> Axis:
    return Axis(0.0, max(found.seconds, 1e-3))


def strongest(events: Sequence[Row]) -> list[Row]:
    """Those to be drawn, in order of time."""
    if len(events) <= MOST_MARKS:
        return list(events)
    found = heapq.nlargest(MOST_MARKS, events, key=lambda row: row["score"])
    return sorted(found, key=lambda row: float(row["start_s"]))


def timeline(found: Findings) -> Drawing:
    """Lanes of faces: what the readings name, below it where the face looks, above it
    micro-expressions; on top of all the highlights by their rank."""
    course = found.course.folded(COLUMNS)
    used = [lane for lane in range(LANES) if course.lanes("seen")[:, lane].any()]
    on, axis = Drawing(60.0), axis_of(found)
    top, high = 34.0, 38.0
    bottom = top + high * max(len(used), 1)
    axis.draw(on, top - 6, bottom)
    for place, highlight in enumerate(found.highlights, 1):
        x = axis.x((highlight.time + highlight.end) / 2)
        on.add(Line(((x, 20), (x, bottom)), "accent", 0.8, dashed=True, opacity=0.7))
        on.add(Mark(x, 12, 8, "accent", f"{clock(highlight.time)}: {highlight.reason}", round=True))
        on.add(Text(x, 15.5, str(place), "paper", 10, "middle", bold=True))
    for row, lane in enumerate(used):
        _lane(on, axis, course, lane, top + row * high, "expression" in found.cells)
    few = found.visits if len(found.visits) <= 60 else ()
    for number, (visit, own) in enumerate(zip(few, found.lanes, strict=False), 1):
        if own in used:
            y = top + used.index(own) * high
            wide = axis.x(visit["end_s"]) - axis.x(visit["start_s"])
            if wide > 14 + 7 * len(str(number)):
                on.add(Text(axis.x(visit["start_s"]) + 1, y + 8, str(number), "soft", 9))
    lanes = dict(enumerate(found.lanes, 1))
    for event in strongest(found.micro):
        of = lanes.get(event["visit"] or 0)
        if of in used:
            y = top + used.index(of) * high + 5
            on.add(Mark(axis.x(event["apex_s"]), y, 4, f"micro-{event['label']}", _tip(event)))
    if not used:
        middle = (axis.left + axis.right) / 2
        on.add(Text(middle, top + 22, "no face was seen", "soft", 12, "middle"))
    for row, _ in enumerate(used):
        on.add(Text(LEFT - 8, top + row * high + 22, f"face {row + 1}", "soft", 10, "end"))
    entries = []
    if "expression" in found.cells:
        entries += [(f"expression-{name}", name) for name in LABELS]
    entries += [("attentive", "facing the camera"), ("away", "not facing it")]
    on.legend(bottom + 38, entries)
    return on


def _tip(event: Row) -> str:
    units = event["action_units"].replace("+", " + ") or "no unit named"
    when = clock(event["apex_s"], True)
    return f"{when}: {event['label']}, {units}, score {event['score']:.2f}"


def _lane(on: Drawing, axis: Axis, course: Course, lane: int, y: float, read: bool) -> None:
    """Runs of equal columns as one rectangle each. `read`: whether expressions may be said."""
    seen = course.lanes("seen")[:, lane]
    attentive = course.lanes("attentive")[:, lane]
    labels = course.lanes("labels")[:, lane]
    named = np.where(labels.any(axis=1) & read, labels.argmax(axis=1), -1)
    for start, end, value in runs(np.where(seen > 0, named, -2)):
        if value == -2:
            continue
        role = "face" if value < 0 else f"expression-{LABELS[value]}"
        name = "no reading" if value < 0 else LABELS[value]
        _span(on, axis, course, start, end, y + 11, 16, role, name)
    for start, end, value in runs(np.where(seen > 0, 2 * attentive >= seen, -1)):
        if value >= 0:
            role, name = ("attentive", "facing") if value else ("away", "not facing")
            _span(on, axis, course, start, end, y + 28, 4, role, name)


def _span(
    on: Drawing, axis: Axis, course: Course, start: int, end: int, y: float, height: float,
    role: str, name: str,
) -> None:  # fmt: skip
    since, until = course.start + start * course.step, course.start + end * course.step
    left, right = axis.x(since), axis.x(until)
    tip = f"{name}, {clock(since, True)} to {clock(until, True)}"
    on.add(Rect(left, y, max(right - left, 0.6), height, role, tip))


def runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Start, end (exclusive) and value of each run of equal values."""
    if not len(values):
        return []
    cuts = np.flatnonzero(np.diff(values)) + 1
    edges = [0, *map(int, cuts), len(values)]
    return [(a, b, int(values[a])) for a, b in itertools.pairwise(edges)]


def shares(found: Findings) -> Drawing:
    """One bar a class: the share of the readings that name it."""
    on, high = Drawing(30.0), 20.0
    left, right = 96.0, WIDTH - 60
    for row, (name, share) in enumerate(found.shares.items()):
        y = 10 + row * high
        on.add(Text(left - 8, y + 11, name, "ink", 11, "end"))
        on.add(Rect(left, y, right - left, 14, "panel"))
        if share:
            wide = max((right - left) * share, 0.8)
            on.add(Rect(left, y, wide, 14, f"expression-{name}", f"{name}: {share:.1%}"))
        on.add(Text(right + 8, y + 11, f"{share:.1%}", "ink", 11))
    on.height = 14 + high * max(len(found.shares), 1)
    return on


def valence_arousal(found: Findings) -> Drawing:
    """Left the path through the plane of both, pale at the beginning; right each over time."""
    on = Drawing(306.0)
    left, top, side = 40.0, 14.0, 250.0
    course = found.course.folded(120)
    read = course.sums("estimates")
    valence, arousal = ratio(course.sums("valence"), read), ratio(course.sums("arousal"), read)
    on.add(Rect(left, top, side, side, "panel"))
    middle = (left + side / 2, top + side / 2)
    on.add(Line(((left, middle[1]), (left + side, middle[1])), "grid", 1.2))
    on.add(Line(((middle[0], top), (middle[0], top + side)), "grid", 1.2))
    known = np.isfinite(valence)
    points = [
        (left + (float(v) + 1) / 2 * side, top + (1 - float(a)) / 2 * side)
        for v, a in zip(valence[known], arousal[known], strict=True)
    ]
    for at, pair in enumerate(itertools.pairwise(points)):
        on.add(Line(pair, "accent", 1.6, opacity=round(0.2 + 0.75 * (at + 1) / len(points), 2)))
    times = course.times[known]
    for at, role in ((0, "away"), (-1, "second")):
        if points:
            tip = f"{'first' if at == 0 else 'last'} reading, {clock(float(times[at]))}"
            on.add(Mark(*points[at], 5, role, tip, round=True))
    on.add(Text(left + side / 2, top + side + 16, "valence", "soft", 10, "middle"))
    for x, text in ((left, "−1"), (left + side, "+1")):
        on.add(Text(x, top + side + 16, text, "soft", 10, "middle"))
    on.add(Text(left - 6, top + 9, "+1", "soft", 10, "end"))
    on.add(Text(left - 6, top + side, "−1", "soft", 10, "end"))
    on.add(Text(left + 5, top + 13, "arousal ↑", "soft", 10))
    axis = Axis(0.0, max(found.seconds, 1e-3), 372.0)
    _course(on, axis, found, "valence", "accent", 14.0, 130.0)
    _course(on, axis, found, "arousal", "second", 146.0, 262.0)
    axis.draw(on, 262, 264)
    return on


def _course(
    on: Drawing, axis: Axis, found: Findings, name: str, role: str, top: float, bottom: float
) -> None:
    course = found.course.folded(COLUMNS)
    values = ratio(course.sums(name), course.sums("estimates"))
    for at, text in ((top, "+1"), ((top + bottom) / 2, "0"), (bottom, "−1")):
        on.add(Line(((axis.left, at), (axis.right, at)), "grid"))
        on.add(Text(axis.left - 6, at + 3.5, text, "soft", 10, "end"))
    on.add(Text(axis.left + 4, top + 12, name, role, 11, bold=True))
    gap = max(2 * course.step, 1.0)
    pieces = curve(axis, list(course.times), list(values), -1, 1, top, bottom, gap)
    draw_curve(on, pieces, role, 1.5)


def attention(found: Findings) -> Drawing:
    """A bar a visit: seconds in view, of these seconds facing the camera."""
    drawn = found.visits[:MOST_BARS]
    high = 18.0 if len(drawn) <= 20 else 12.0
    on = Drawing(20.0)
    longest = max((row["dwell_s"] for row in drawn), default=1.0) or 1.0
    left, right = LEFT, WIDTH - 130
    for place, row in enumerate(drawn):
        y = 6 + place * high
        number = row["visit"]
        on.add(Text(left - 8, y + high - 7, f"visit {number}", "ink", min(11, high - 3), "end"))
        wide = (right - left) * row["dwell_s"] / longest
        on.add(Rect(left, y, wide, high - 5, "away", f"visit {number}: {row['dwell_s']:.1f} s"))
        facing = (right - left) * (row["attention_s"] or 0.0) / longest
        on.add(Rect(left, y, facing, high - 5, "attentive", f"facing: {row['attention_s']:.1f} s"))
        text = f"{row['attention_s']:.1f} of {row['dwell_s']:.1f} s"
        on.add(Text(left + wide + 6, y + high - 7, text, "soft", min(10, high - 2)))
    bottom = 6 + high * max(len(drawn), 1)
    if not drawn:
        on.add(Text(left, 20, "no visit", "soft", 12))
    on.height = bottom
    on.legend(bottom + 14, [("attentive", "facing the camera"), ("away", "in view, not facing it")])
    return on


def action_units(found: Findings) -> Drawing:
    """A strip a unit: mean intensity over time, its mean at the right."""
    course = found.course.folded(COLUMNS)
    read = course.sums("estimates")
    values = ratio(course.sums("units"), read)
    means = course.sums("units").sum(axis=0) / max(float(read.sum()), 1.0)
    high, left = 28.0, 150.0
    axis = Axis(0.0, max(found.seconds, 1e-3), left, WIDTH - 50)
    on = Drawing(40.0)
    bottom = 6 + high * len(ACTION_UNITS)
    axis.draw(on, 4, bottom)
    for row, unit in enumerate(ACTION_UNITS):
        top, low = 8 + row * high, 8 + (row + 1) * high - 5
        on.add(
            Text(left - 8, low - 3, f"{unit[2:].lstrip('0')}  {unit_name(unit)}", "ink", 10, "end")
        )
        on.add(Line(((axis.left, low), (axis.right, low)), "grid"))
        gap = max(2 * course.step, 1.0)
        for piece in curve(axis, list(course.times), list(values[:, row]), 0, 1, top, low, gap):
            on.add(Area((*piece, (piece[-1][0], low), (piece[0][0], low)), "accent", 0.28))
            draw_curve(on, [piece], "accent", 1.1)
        on.add(Text(axis.right + 8, low - 3, f"{means[row]:.2f}", "ink", 10))
    return on


assert len(EXPRESSIONS) + 1 == len(LABELS)
