"""Visits that the agent counts in each case."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from agent.base.config import AgentConfig, parse
from agent.base.types import Frame, Grey, Visit
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


def visits(frames: Iterable[Grey], fps: float, config: AgentConfig) -> tuple[list[Visit], int]:
    """The visits of a video, and its tracks."""
    pipeline = Pipeline(config, expressions=False)
    book = VisitBook(config.privacy)
    tracks: set[int] = set()
    ended: list[Visit] = []
    for index, luma in enumerate(frames):
        perceived = pipeline(Frame(index / fps, luma))
        tracks.update(face.track_id for face in perceived.faces)
        ended += book.update(perceived, 0)
    return ended + book.finish(), len(tracks)


def measure(
    chosen: Sequence[Case], visit_gap: float | None = None, with_queue: bool = False
) -> dict[str, Any]:
    """One row per case, and `queue`."""
    started = time.monotonic()
    found = machine()
    config = demo(visit_gap)
    rows = []
    for case in chosen:
        ended, tracks = visits(case.frames(), case.fps, config)
        rows.append(
            {
                "case": case.name,
                "stays": case.stays,
                "expected": case.visits,
                "visits": len(ended),
                "tracks": tracks,
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
        "passed": all(row["visits"] == row["expected"] for row in rows),
        "seconds": round(time.monotonic() - started),
    }
