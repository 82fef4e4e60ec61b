"""Rows of the tables (`columns`) from what was found in a film."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.report import HeardSummary, Summary
from agent.base.types import (
    ACTION_UNITS,
    EXPRESSIONS,
    SENTIMENTS,
    TONES,
    UNSURE,
    MicroExpression,
    Said,
    Tally,
    Tone,
    Words,
)
from agent.desk.films import columns
from agent.desk.films.collect import Noted, Seen
from agent.desk.films.course import LABELS, Course, ratio
from agent.desk.films.kept import Kept
from agent.privacy.window import dominant, outcome

Row = dict[str, Any]
"""By column; None: empty."""


class Windows:
    """Rows of summaries: a film of three hours has a thousand."""

    _NAMES = tuple(column.name for column in columns.WINDOWS[2:])

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: see `Kept`."""
        self._kept: Kept[tuple[Any, ...]] = Kept(folder)

    def add(self, summary: Summary) -> None:
        row = window_row(summary)
        self._kept.add(tuple(map(row.get, self._NAMES)))

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Row]:
        return (dict(zip(self._NAMES, kept, strict=True)) for kept in self._kept)


def window_row(summary: Summary) -> Row:
    """A summary as published; its cells that are null are empty."""
    window, quality = summary.window, summary.quality
    row: Row = {
        "start_s": float(window.start if window.start is not None else window.offset),
        "length_s": window.length,
        "merged": window.merged,
        "visits": summary.visits,
        "passing": summary.passing,
        **_named("expression", summary.expression),
        "valence_sum": summary.valence.sum if summary.valence else None,
        "arousal_sum": summary.arousal.sum if summary.arousal else None,
        **_named("attention", summary.attention),
        **_named("dwell", summary.dwell),
        **_named("tone", summary.tone),
    }
    if summary.micro is not None:
        micro = summary.micro
        row |= {
            f"micro_{name}": getattr(micro, name)
            for name in ("positive", "negative", "surprise", "unspecified", "analysable_visits")
        }
        row["micro_analysable_s"] = micro.analysable_seconds
        tenths = micro.expected_false_alarms_tenths
        row["micro_expected_false_alarms"] = None if tenths is None else tenths / 10
    flags: list[str] = list(quality.flags)
    if isinstance(summary, HeardSummary):
        heard = summary.heard
        row |= _named("words", heard.words) | _named("together", heard.fused)
        row |= _named("channels", heard.channels)
        flags += heard.flags
    row |= {
        "fps": quality.fps,
        "usable": quality.usable,
        "flags": " ".join(flags),
        "withheld": " ".join(f"{each.cell}:{each.reason}" for each in summary.withheld),
        "epsilon": summary.privacy.epsilon_milli / 1000,
    }
    return row


def _named(prefix: str, counts: Any) -> Row:
    if counts is None:
        return {}
    return {f"{prefix}_{name}": value for name, value in counts.model_dump().items()}


def visit_row(number: int, seen: Seen, micro: int, min_size: float, allowed: Set[str]) -> Row:
    """`micro`: events spotted in it; `min_size`: `micro.min_face`; `allowed`: cells that the policy
    lets be said."""
    visit, stay = seen.visit, seen.stay
    row: Row = {
        "visit": number,
        "start_s": round(visit.first, 3),
        "end_s": round(visit.last, 3),
        "dwell_s": round(visit.last - visit.first, 3),
        "attention_s": round(visit.attention, 3) if "attention" in allowed else None,
        "eye_distance_px": round(visit.size, 1),
    }
    if "expression" in allowed:
        read = float(stay.labels.sum())
        row["expression"] = LABELS[dominant(visit)]
        row["readings"] = visit.estimates
        row |= {
            f"share_{name}": round(float(count) / read, 4) if read else None
            for name, count in zip(LABELS, stay.labels, strict=True)
        }
        row |= {
            name.lower(): round(float(total) / read, 4) if read else None
            for name, total in zip(ACTION_UNITS, stay.units, strict=True)
        }
    for name in ("valence", "arousal"):
        if name in allowed and visit.estimates:
            row[name] = round(getattr(visit, name) / visit.estimates, 4)
    if "micro" in allowed:
        row["micro_events"] = micro
        row["micro_polarities"] = " ".join(sorted(visit.micro))
        row["analysable_s"] = round(visit.analysable, 3)
        row["micro_outcome"] = outcome(visit, min_size)
    return row | _said(visit.said)


def _said(said: Said | None) -> Row:
    if said is None:
        return {}
    return {
        "speech_s": round(said.seconds, 2),
        "tone": _class(said.tone, TONES),
        "words": _class(said.words, SENTIMENTS),
        "together": _class(said.fused, SENTIMENTS),
    }


def _class(tally: Tally, names: tuple[str, ...]) -> str | None:
    return (*names, UNSURE)[tally.dominant] if tally.readings else None


def event_row(noted: Noted[Any], numbers: Mapping[Any, int]) -> Row:
    """`numbers`: of visits, by key."""
    what = noted.what
    row: Row = {"visit": numbers.get(noted.key)}
    if isinstance(what, MicroExpression):
        return row | {
            "kind": "micro",
            "start_s": round(what.onset, 4),
            "apex_s": round(what.apex, 4),
            "end_s": round(what.offset, 4),
            "label": what.polarity,
            "score": round(what.score, 4),
            "intensity": round(what.intensity, 5),
            "action_units": "+".join(what.action_units),
        }
    row |= {
        "end_s": round(what.time, 3),
        "label": what.label,
        "score": round(float(np.max(what.probabilities)), 4),
    }
    if isinstance(what, Words):
        return row | {"kind": "words", "start_s": round(what.time, 3)}
    assert isinstance(what, Tone)
    return row | {
        "kind": "tone",
        "start_s": round(max(what.time - what.seconds, 0.0), 3),
        "valence": round(what.valence, 4),
        "arousal": round(what.arousal, 4),
    }


def course_rows(course: Course, allowed: Set[str]) -> Iterator[Row]:
    """A row for each step in which a frame was looked at."""
    shown = {
        "faces": ratio(course.sums("faces"), course.sums("frames")),
        "eye_distance_px": ratio(course.sums("size"), course.sums("faces")),
        "speech": ratio(course.sums("speech"), course.sums("listened")),
        "brightness": ratio(course.sums("bright"), course.sums("measured")),
    }
    if "attention" in allowed:
        shown["attentive"] = ratio(course.sums("attentive"), course.sums("faces"))
    if "micro" in allowed:
        shown["analysable"] = ratio(course.sums("analysed"), course.sums("faces"))
    for name in ("valence", "arousal"):
        if name in allowed:
            shown[name] = ratio(course.sums(name), course.sums("estimates"))
    if "expression" in allowed:
        units = ratio(course.sums("units"), course.sums("estimates"))
        shown |= {name.lower(): units[:, at] for at, name in enumerate(ACTION_UNITS)}
    frames, estimates = course.sums("frames"), course.sums("estimates")
    labels = course.sums("labels")
    for at in range(course.used):
        if not frames[at]:
            continue
        row: Row = {
            "start_s": round(course.start + at * course.step, 3),
            "end_s": round(course.start + (at + 1) * course.step, 3),
            "frames": int(frames[at]),
            "faces_most": int(course.most[at]),
        }
        if "expression" in allowed:
            row["readings"] = int(estimates[at])
            row |= {f"readings_{n}": int(labels[at, i]) for i, n in enumerate(LABELS)}
        row |= {n: round(float(v[at]), 4) for n, v in shown.items() if np.isfinite(v[at])}
        yield row


assert LABELS[: len(EXPRESSIONS)] == EXPRESSIONS
