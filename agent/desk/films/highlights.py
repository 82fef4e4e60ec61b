"""Where to look in a film: the strongest events and changes, each with its reason.

A ranking of moments, never of people; what is strongest is not what matters most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agent.base.types import EXPRESSIONS, TONES
from agent.desk.films.course import LABELS, Course
from agent.desk.films.rows import Row

MOST, OF_A_KIND = 10, 4
"""Highlights in all, and of one kind."""
_APART = 2.0
"""Seconds between two of one kind."""
_LASTING = 1.0
"""Seconds from which an expression counts whole; shorter ones in proportion."""
_SIDE = 2.0
"""Seconds before and after that are compared for a change of valence."""
_CHANGE = 0.25
"""Least change of mean valence that is worth a look."""
_TONE = 0.8
"""Weight of a tone's probability: one reading of some seconds."""
Kind = Literal["micro", "expression", "valence", "tone"]


@dataclass(frozen=True, slots=True)
class Highlight:
    """A moment."""

    time: float
    """Seconds."""
    end: float
    kind: Kind
    score: float
    """In [0, 1]; what `choose` ranks by."""
    reason: str


def candidates(
    course: Course, micro: Sequence[Row], tones: Sequence[Row], allowed: Set[str]
) -> list[Highlight]:
    """All moments that could be chosen, of each kind of event the strongest only. `micro`, `tones`:
    rows of the table of events."""
    found: list[Highlight] = []
    if "micro" in allowed:
        found += _strongest(micro, _micro)
    if "tone" in allowed:
        found += _strongest(tones, _tone)
    if "expression" in allowed:
        found += _expressions(course)
    if "valence" in allowed:
        found += _changes(course)
    return found


def _strongest(
    rows: Sequence[Row], named: Callable[[Row], Highlight | None]
) -> Iterator[Highlight]:
    """Of one kind: those that `choose` may take, one look at all rows for each."""
    found: list[Highlight] = []
    for _ in range(OF_A_KIND):
        moments = (each for each in map(named, rows) if each is not None)
        apart = (each for each in moments if all(_apart(each, other) for other in found))
        best = min(apart, key=_rank, default=None)
        if best is None:
            return
        found.append(best)
        yield best


def choose(every: Iterable[Highlight]) -> list[Highlight]:
    """At most `MOST`, strongest first: none near a stronger one of its kind, and `OF_A_KIND` at
    most of each."""
    chosen: list[Highlight] = []
    for each in sorted(every, key=_rank):
        same = [other for other in chosen if other.kind == each.kind]
        if len(same) < OF_A_KIND and all(_apart(each, other) for other in same):
            chosen.append(each)
            if len(chosen) == MOST:
                break
    return chosen


def _rank(moment: Highlight) -> tuple[float, float, str]:
    return -moment.score, moment.time, moment.kind


def _apart(one: Highlight, other: Highlight) -> bool:
    return one.time > other.end + _APART or other.time > one.end + _APART


def _whose(row: Row) -> str:
    return f"visit {row['visit']}" if row["visit"] else "a face in view too briefly for a visit"


def _micro(row: Row) -> Highlight:
    units = f", {row['action_units'].replace('+', ' + ')}" if row["action_units"] else ""
    reason = (
        f"Micro-expression of {_whose(row)}, {row['label']}{units}: score {row['score']:.2f}, "
        f"{row['end_s'] - row['start_s']:.2f} s"
    )
    return Highlight(row["start_s"], row["end_s"], "micro", row["score"], reason)


def _tone(row: Row) -> Highlight | None:
    """None for a neutral one, and where it is unsure."""
    if row["label"] not in TONES[1:]:
        return None
    whose = f"visit {row['visit']}" if row["visit"] else "the room"
    reason = f"Voice of {whose} sounds {row['label']}: probability {row['score']:.2f}"
    return Highlight(row["start_s"], row["end_s"], "tone", _TONE * row["score"], reason)


def _expressions(course: Course) -> list[Highlight]:
    """Runs in which most readings name one class that is not neutral."""
    labels, peaks = course.sums("labels"), course.sums("peaks")
    sure = labels[:, : len(EXPRESSIONS)]
    read = course.sums("estimates") > 0
    main = np.where(2 * sure.max(axis=1, initial=0) > labels.sum(axis=1), sure.argmax(axis=1), -1)
    at = np.flatnonzero(read)
    found: list[Highlight] = []
    begin = 0
    for place in range(1, len(at) + 1):
        goes_on = (
            place < len(at)
            and main[at[place]] == main[at[begin]]
            and (at[place] - at[place - 1]) * course.step <= 1.0
        )
        if goes_on:
            continue
        run, label = at[begin:place], int(main[at[begin]])
        begin = place
        if label > 0:
            found.append(_run(course, run, label, labels, peaks))
    return found


def _run(
    course: Course,
    run: np.ndarray,
    label: int,
    labels: np.ndarray,
    peaks: np.ndarray,
) -> Highlight:
    start = course.start + float(run[0]) * course.step
    end = course.start + float(run[-1] + 1) * course.step
    mean = float(peaks[run, label].sum() / labels[run, label].sum())
    share = float(labels[run, label].sum() / labels[run].sum())
    reason = (
        f"Readings name {LABELS[label]} for {end - start:.1f} s: mean probability {mean:.2f}, "
        f"{share:.0%} of the readings"
    )
    score = mean * share * min(1.0, (end - start) / _LASTING)
    return Highlight(start, end, "expression", score, reason)


def _changes(course: Course) -> list[Highlight]:
    """Steps at which mean valence jumps while equally many faces are in view."""
    side = max(1, round(_SIDE / course.step))
    read, total = course.sums("estimates"), course.sums("valence")
    frames, faces = course.sums("frames"), course.sums("faces")
    if course.used < 2 * side:
        return []
    sums = [np.concatenate([[0.0], np.cumsum(x, dtype=np.float64)]) for x in
            (read, total, frames, faces)]  # fmt: skip
    middle = np.arange(side, course.used - side + 1)
    before = [each[middle] - each[middle - side] for each in sums]
    after = [each[middle + side] - each[middle] for each in sums]
    found: list[Highlight] = []
    with np.errstate(divide="ignore", invalid="ignore"):
        change = after[1] / after[0] - before[1] / before[0]
        crowd = after[3] / after[2] - before[3] / before[2]
    for place in np.flatnonzero((np.abs(change) >= _CHANGE) & (np.abs(crowd) < 0.1)):
        near = change[max(0, place - side) : place + side + 1]
        if abs(change[place]) < np.nanmax(np.abs(near)):
            continue
        time = course.start + float(middle[place]) * course.step
        low, high = (b[1][place] / b[0][place] for b in (before, after))
        reason = f"Mean valence goes from {low:+.2f} to {high:+.2f} within {2 * _SIDE:.0f} s"
        score = min(1.0, abs(float(change[place])))
        found.append(Highlight(max(0.0, time - _SIDE), time + _SIDE, "valence", score, reason))
    return found
