"""Drawings of micro-expressions, of the voice, and of how far to trust the film."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from agent.base.types import SENTIMENTS, TONES, UNSURE
from agent.desk.films.course import REFUSALS, ratio
from agent.desk.films.draw_faces import COLUMNS, MOST_MARKS, axis_of, runs, strongest
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
from agent.privacy.window import POLARITIES
from agent.vision.exposure import DARK_BELOW

WHY = {
    "analysed": "could be seen",
    "fps_too_low": "too few frames a second",
    "face_too_small": "face too small",
    "too_noisy": "landmarks too noisy",
    "no_evidence": "not long enough in view",
}
"""Whether a micro-expression could be seen, or why not."""


def micro_strip(found: Findings) -> Drawing:
    """Above: each event from onset to offset at the height of its score, the diamond is its apex.
    Below: in which share of the faces one could be seen, and why not in the others."""
    on, axis = Drawing(150.0), axis_of(found)
    top, bottom = 14.0, 120.0
    for score in (0.6, 0.8, 1.0):
        y = _height(score, top, bottom)
        on.add(Line(((axis.left, y), (axis.right, y)), "grid"))
        on.add(Text(axis.left - 6, y + 3.5, f"{score:.1f}", "soft", 10, "end"))
    on.add(Text(axis.left - 34, top - 2, "score", "soft", 10, "end"))
    for event in strongest(found.micro):
        y = _height(event["score"], top, bottom)
        role = f"micro-{event['label']}"
        start, end = axis.x(event["start_s"]), axis.x(event["end_s"])
        on.add(Line(((start, y), (max(end, start + 1), y)), role, 3))
        units = event["action_units"].replace("AU0", "").replace("AU", "")
        tip = (
            f"{clock(event['start_s'], True)} to {clock(event['end_s'], True)}, {event['label']}, "
            f"units {units or 'unnamed'}, score {event['score']:.2f}"
        )
        on.add(Mark(axis.x(event["apex_s"]), y, 5, role, tip))
        if len(found.micro) <= 24:
            on.add(Text(axis.x(event["apex_s"]), y - 8, units, "ink", 9, "middle"))
    if not found.micro:
        middle = (axis.left + axis.right) / 2
        on.add(Text(middle, (top + bottom) / 2, "none was spotted", "soft", 12, "middle"))
    band = bottom + 14
    _band(on, axis, found, band, 14)
    axis.draw(on, bottom, band + 16)
    low = on.legend(band + 52, [(f"micro-{name}", name) for name in POLARITIES])
    on.legend(low + 10, [(f"why-{key}", text) for key, text in WHY.items()])
    return on


def _height(score: float, top: float, bottom: float) -> float:
    low = min(0.55, score)
    return bottom - (score - low) / (1 - low) * (bottom - top)


def _band(on: Drawing, axis: Axis, found: Findings, y: float, height: float) -> None:
    """Stacked shares of the faces in each column."""
    course = found.course.folded(COLUMNS // 2)
    parts = np.column_stack([course.sums("analysed"), course.sums("refused")])
    names = ("analysed", *REFUSALS)
    for at in np.flatnonzero(parts.sum(axis=1)):
        left = axis.x(course.start + float(at) * course.step)
        right = axis.x(course.start + float(at + 1) * course.step)
        down = y
        for name, share in zip(names, parts[at] / parts[at].sum(), strict=True):
            if share > 0.01:
                high = height * float(share)
                on.add(Rect(left, down, max(right - left, 0.6), high, f"why-{name}"))
                down += high


def voice(found: Findings) -> Drawing:
    """Probability of speech over time, and the tones read; below them words where there are any."""
    on, axis = Drawing(120.0), axis_of(found)
    course = found.course.folded(COLUMNS)
    top, bottom = 10.0, 66.0
    speech = ratio(course.sums("speech"), course.sums("listened"))
    for y, text in ((top, "1"), (bottom, "0")):
        on.add(Line(((axis.left, y), (axis.right, y)), "grid"))
        on.add(Text(axis.left - 6, y + 3.5, text, "soft", 10, "end"))
    on.add(Text(axis.left - 18, (top + bottom) / 2 + 4, "speech", "soft", 10, "end"))
    gap = max(2 * course.step, 1.0)
    for piece in curve(axis, list(course.times), list(speech), 0, 1, top, bottom, gap):
        on.add(Area((*piece, (piece[-1][0], bottom), (piece[0][0], bottom)), "speech"))
    y = bottom + 8
    on.add(Text(axis.left - 6, y + 11, "tone", "soft", 10, "end"))
    if len(found.tones) <= MOST_MARKS:
        for tone in found.tones:
            start, end = axis.x(tone["start_s"]), axis.x(tone["end_s"])
            whose = f"visit {tone['visit']}" if tone["visit"] else "the room"
            tip = f"{clock(tone['start_s'], True)}: {tone['label']} ({tone['score']:.2f}), {whose}"
            role = f"tone-{tone['label']}"
            on.add(Rect(start, y, max(end - start - 0.5, 1.5), 14, role, tip))
    else:
        _mostly(on, axis, found.tones, "tone", (*TONES, UNSURE), y)
    if found.words:
        y += 20
        on.add(Text(axis.left - 6, y + 11, "words", "soft", 10, "end"))
    if len(found.words) <= MOST_MARKS:
        for line in found.words:
            tip = f"{clock(line['start_s'], True)}: {line['label']}"
            on.add(Mark(axis.x(line["start_s"]), y + 7, 5, f"words-{line['label']}", tip))
    else:
        _mostly(on, axis, found.words, "words", (*SENTIMENTS, UNSURE), y)
    axis.draw(on, bottom, y + 18)
    entries = [(f"tone-{name}", f"sounds {name}") for name in (*TONES, UNSURE)]
    if found.words:
        entries += [(f"words-{name}", f"words {name}") for name in SENTIMENTS]
    on.legend(y + 54, entries)
    return on


def _mostly(
    on: Drawing, axis: Axis, events: Iterable[Row], kind: str, labels: tuple[str, ...], y: float
) -> None:
    """What most of the events of each column are, where there are too many to draw one by one."""
    counts = np.zeros((COLUMNS, len(labels)), np.float32)
    span = axis.end - axis.start
    for event in events:
        middle = (event["start_s"] + event["end_s"]) / 2
        at = min(max(int((middle - axis.start) / span * COLUMNS), 0), COLUMNS - 1)
        counts[at, labels.index(event["label"])] += 1
    for start, end, value in runs(np.where(counts.any(axis=1), counts.argmax(axis=1), -1)):
        if value >= 0:
            left, right = (axis.x(axis.start + span * each / COLUMNS) for each in (start, end))
            on.add(
                Rect(
                    left, y, right - left, 14, f"{kind}-{labels[value]}", f"mostly {labels[value]}"
                )
            )


def quality(found: Findings) -> Drawing:
    """Brightness over time; the sizes of the faces, and from which one micro-expressions are
    looked for."""
    on = Drawing(140.0)
    axis = Axis(0.0, max(found.seconds, 1e-3), LEFT, 400.0)
    course = found.course.folded(COLUMNS)
    bright = ratio(course.sums("bright"), course.sums("measured"))
    top, bottom = 22.0, 106.0
    on.add(Text(axis.left, 13, "brightness (95th percentile of the picture)", "ink", 10, bold=True))
    for level in (0, 128, 255):
        y = bottom - level / 255 * (bottom - top)
        on.add(Line(((axis.left, y), (axis.right, y)), "grid"))
        on.add(Text(axis.left - 6, y + 3.5, str(level), "soft", 10, "end"))
    dark = bottom - DARK_BELOW / 255 * (bottom - top)
    on.add(Line(((axis.left, dark), (axis.right, dark)), "bad", 1, dashed=True))
    on.add(Text(axis.right - 2, dark - 3, "dark below", "bad", 9, "end"))
    gap = max(2.5 * course.step, 2.5)
    pieces = curve(axis, list(course.times), list(bright), 0, 255, top, bottom, gap)
    draw_curve(on, pieces, "accent", 1.5)
    axis.draw(on, bottom, bottom)
    _sizes(on, found, 452.0, top, bottom)
    return on


def _sizes(on: Drawing, found: Findings, left: float, top: float, bottom: float) -> None:
    on.add(
        Text(left, 13, "faces by distance of the outer eye corners, pixels", "ink", 10, bold=True)
    )
    total = sum(count for _, count in found.sizes) or 1
    wide = (WIDTH - 8 - left) / len(found.sizes)
    most = max(count for _, count in found.sizes) or 1
    for at, (edge, count) in enumerate(found.sizes):
        x, high = left + at * wide, (bottom - top - 12) * count / most
        role = "attentive" if edge >= found.min_face else "away"
        on.add(
            Rect(x + 1, bottom - high, wide - 2, high, role, f"from {edge}: {count / total:.0%}")
        )
        if count:
            share = f"{count / total:.0%}" if count / total >= 0.005 else "<1%"
            on.add(Text(x + wide / 2, bottom - high - 3, share, "soft", 9, "middle"))
        on.add(Text(x + 1, bottom + 13, str(edge), "soft", 9, "middle"))
    on.add(Line(((left, bottom), (WIDTH - 8, bottom)), "grid"))
    note = [("attentive", f"large enough for micro-expressions ({found.min_face:.0f})")]
    on.legend(bottom + 32, note, left)
