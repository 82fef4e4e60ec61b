"""Run every condition on the test seeds and aggregate the figures."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.bench.micro.conditions import FALLS, Condition, Row, conditions, run_track
from tools.bench.micro.ours import weights_digest
from tools.common.errors import ToolError
from tools.common.machine import Machine, machine
from tools.common.progress import along
from tools.micro.generator_config import TEST_SEEDS
from tools.micro.score import pooled, recall_by

CAVEAT = (
    "Synthetic tracks: the spotter was trained on such tracks (other seeds, varied settings) and "
    "shares their ideas about anatomy and noise, so these figures compare methods and are no "
    "accuracies on people. On real faces the best published F1 for micro-expressions is .2 to .4; "
    "nothing above that is credible today."
)
AMPLITUDES = (0.0, 0.01, 0.015, 0.02, 0.03, 0.04, 0.0501)
"""Limits of the classes of amplitude, IOD."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run."""

    tracks: int | None = None
    """Per condition; default 40, quick 8."""
    quick: bool = False
    peers: bool = True
    workers: int = 2
    weights: Path | None = None
    """Of the spotter's network; default: the shipped ones."""


def measure(options: Options) -> dict[str, Any]:
    """Run the benchmark. Raises `ToolError`."""
    count = options.tracks or (8 if options.quick else 40)
    if count > len(TEST_SEEDS):
        raise ToolError(f"There are {len(TEST_SEEDS)} test seeds; ask for no more tracks.")
    seeds = TEST_SEEDS[:count]
    place = machine()
    cells = conditions(options.quick)
    jobs = [(cell, seed, options.peers, options.weights) for cell in cells for seed in seeds]
    rows: list[Row] = []
    for part in along(_run(jobs, min(options.workers, os.cpu_count() or 1)), "tracks", len(jobs)):
        rows += part
    return report(rows, place, seeds, weights_digest(options.weights))


def report(
    rows: Sequence[Row], place: Machine, seeds: Sequence[int], weights: str
) -> dict[str, Any]:
    """Figures of `run_track`'s rows; everything in it can be written as JSON."""
    cells = list(dict.fromkeys(row.condition for row in rows))
    subjects = list(dict.fromkeys(row.subject for row in rows))
    return {
        "machine": place,
        "ours": f"MicroSpotter, weights {weights}",
        "peer": None,
        "tracks": len(seeds),
        "seeds": [seeds[0], seeds[-1]],
        "subjects": subjects,
        "caveat": CAVEAT,
        "conditions": [
            _cell(cell, subject, [r for r in rows if (r.condition, r.subject) == (cell, subject)])
            for cell in cells
            for subject in subjects
        ],
        "recall_by_ratio": {
            subject: recall_by(*_hits(_plain(rows, subject), ratio=True)) for subject in subjects
        },
        "recall_by_amplitude": [
            {
                "noise": noise,
                "fps": fps,
                "subject": subject,
                "classes": recall_by(*_hits(chosen, ratio=False), AMPLITUDES),
            }
            for noise in (0.001, 0.003, 0.005)
            for fps in (30.0, 60.0)
            for subject in subjects
            if (
                chosen := [
                    r
                    for r in _plain(rows, subject)
                    if (r.condition.noise, r.condition.fps) == (noise, fps)
                ]
            )
        ],
    }


def _cell(cell: Condition, subject: str, rows: Sequence[Row]) -> dict[str, Any]:
    figures = pooled([row.scored for row in rows])
    late = [value for row in rows for value in row.latencies]
    falls = sum((row.falls for row in rows), Counter[str]())
    share = [row.analysed for row in rows if np.isfinite(row.analysed)]
    named = [_agreement(true, said) for row in rows for true, said in row.units if said]
    return {
        "noise": cell.noise,
        "fps": cell.fps,
        "distractors": cell.distractors,
        "events": cell.events,
        "shifted": cell.shifted,
        "subject": subject,
        **figures,
        "falls": {kind: falls[kind] for kind in FALLS if falls[kind]},
        "latency": {"mean": round(float(np.mean(late)), 4), "max": round(max(late), 4)}
        if late
        else None,
        # The first track of a process may hold compilation: the median does not.
        "us_per_frame": round(float(np.median([1e6 * r.cpu / max(r.frames, 1) for r in rows])), 1),
        "analysed": round(float(np.mean(share)), 4) if share else None,
        "units_f1": round(float(np.mean(named)), 4) if named else None,
    }


def _agreement(true: tuple[str, ...], said: tuple[str, ...]) -> float:
    both = len(set(true) & set(said))
    return 2 * both / (len(set(true)) + len(set(said)))


def _plain(rows: Sequence[Row], subject: str) -> list[Row]:
    """Normal distractors, with events, at the rates that the agent is made for."""
    return [
        row
        for row in rows
        if row.subject == subject
        and row.condition.distractors == 1.0
        and not row.condition.shifted
        and row.condition.events
        and row.condition.fps in (30.0, 60.0)
    ]


def _hits(rows: Iterable[Row], *, ratio: bool) -> tuple[list[float], list[bool]]:
    pairs = [
        (amplitude / row.condition.noise if ratio else amplitude, hit)
        for row in rows
        for amplitude, hit in row.hits
    ]
    return [value for value, _ in pairs], [hit for _, hit in pairs]


def _run(
    jobs: Sequence[tuple[Condition, int, bool, Path | None]], workers: int
) -> Iterator[list[Row]]:
    if workers < 2:
        yield from (run_track(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts)
    try:
        yield from pool.map(run_track, *zip(*jobs, strict=True), chunksize=2)
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    """Ctrl-C is for the parent, which then stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
