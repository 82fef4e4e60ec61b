"""Visits that the agent counts in each case."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from agent.base.config import AgentConfig
from agent.base.settings_file import parse
from agent.base.types import Frame, Grey, MicroExpression, Visit
from agent.privacy.visits import VisitBook
from agent.vision.pipeline import Pipeline
from tools.bench.visits import queue
from tools.bench.visits.cases import Case
from tools.common.machine import machine


def demo(visit_gap: float | None = None) -> AgentConfig:
    """As `fleeting replay` runs: exact numbers."""
    privacy: dict[str, object] = {"policy": "demo"}
    if visit_gap is not None:
        privacy["visit_gap"] = visit_gap
    return parse({"privacy": privacy}, "the benchmark")


class Seen(NamedTuple):
    """What the agent made of a video."""

    visits: list[Visit]
    passers: int
    tracks: int
    micro: list[MicroExpression]


def see(frames: Iterable[Grey], fps: float, config: AgentConfig, micro: bool = False) -> Seen:
    """What the agent makes of a video. `micro`: also look for micro-expressions."""
    pipeline = Pipeline(config, expressions=micro)
    book = VisitBook(config.privacy)
    tracks: set[int] = set()
    ended: list[Visit] = []
    events: list[MicroExpression] = []
    for index, luma in enumerate(frames):
        perceived = pipeline(Frame(index / fps, luma))
        tracks.update(face.track_id for face in perceived.faces)
        events += perceived.micro
        ended += book.update(perceived, 0)
    events += pipeline.finish()
    ended += book.finish()
    visits = [each for each in ended if not each.passing]
    return Seen(visits, len(ended) - len(visits), len(tracks), events)


def measure(
    chosen: Sequence[Case], visit_gap: float | None = None, with_queue: bool = False
) -> dict[str, Any]:
    """One row per case, and `queue`."""
    started = time.monotonic()
    found = machine()
    config = demo(visit_gap)
    rows = []
    for case in chosen:
        seen = see(case.frames(), case.fps, config, case.events is not None)
        rows.append(
            {
                "case": case.name,
                "stays": case.stays,
                "expected": case.visits,
                "visits": len(seen.visits),
                "passers": case.passers,
                "passers_expected": case.passing,
                "passing": seen.passers,
                "tracks": seen.tracks,
                "micro": None if case.events is None else len(seen.micro),
                "micro_expected": case.events,
                "note": case.note,
            }
        )
    return {
        "machine": found,
        "visit_gap": config.privacy.visit_gap,
        "cases": rows,
        "queue": {"gaps": queue.GAPS, "rows": queue.measure()} if with_queue else None,
        "stays": sum(row["stays"] for row in rows),
        "visits": sum(row["visits"] for row in rows),
        "passers": sum(row["passers"] for row in rows),
        "passing": sum(row["passing"] for row in rows),
        "passed": all(_right(row) for row in rows),
        "seconds": round(time.monotonic() - started),
    }


def _right(row: dict[str, Any]) -> bool:
    few = row["micro"] is None or row["micro"] <= row["micro_expected"]
    return bool(
        row["visits"] == row["expected"] and row["passing"] == row["passers_expected"] and few
    )
