"""What grows: the slope of everything that a device holds, for a day, and what that means."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tools.bench.soak.device import PARTS, Sample
from tools.common.processes import together
from tools.common.slope import slope

SETTLING = 900.0
"""Seconds at the start, at most a third of the run, in which what is allocated once is allocated:
no slope is fitted to them, their growth is said apart."""
_CERTAIN = 0.998
"""Confidence at which something is said to grow: of the two dozen series of a run none should be
accused by chance."""
BOUNDS = {
    "memory, MiB": 2.0,
    "all memory, MiB": 4.0,
    "descriptors": 0.5,
    "threads": 0.5,
    "rows of the outbox": 1.0,
    "outbox, MiB": 1.0,
    "write-ahead log, MiB": 1.0,
}
"""Growth for a day that is let pass; the ledger keeps a line of every summary."""
LEAST = {"memory, MiB": 0.5, "all memory, MiB": 2.0, "outbox, MiB": 0.25}
"""By how much something has to have grown in the run itself, others by 1, before it is said to
grow: a library's pages that come back, or a table that is made larger once, are no slope."""


def growth(
    samples: Sequence[Sample], hours: float, *, empties: bool = True
) -> list[dict[str, Any]]:
    """A row for each series: `what`, `of` (a process, or the device), `level`, `settling` (by how
    much it grew before it settled), `slope` for a day and its 95 % interval, `bound`, `verdict`.
    `hours`: wall time in which a day of frames passes; `empties`: whether the outbox is emptied
    meanwhile, else its size is not judged."""
    series: list[tuple[str, str, Callable[[Sample], float | None]]] = [
        ("memory, MiB", part, partial(_mebibytes, part)) for part in PARTS
    ]
    series += [
        ("all memory, MiB", "device", whole),
        ("descriptors", "device", lambda each: sum(one.descriptors for one in each.held.values())),
        ("threads", "device", lambda each: sum(one.threads for one in each.held.values())),
    ]
    if empties:
        series += [
            ("rows of the outbox", "device", lambda each: each.rows),
            ("outbox, MiB", "device", lambda each: each.database / 2**20),
        ]
    series.append(("write-ahead log, MiB", "device", lambda each: each.wal / 2**20))
    rows = (_row(what, of, samples, value, hours) for what, of, value in series)
    return [each for each in rows if each is not None]


def settling(samples: Sequence[Sample]) -> float:
    """Seconds of a run that are left out."""
    return min(SETTLING, (samples[-1].at - samples[0].at) / 3)


def whole(sample: Sample) -> float:
    """MiB of all processes of a device, libraries included, each page once."""
    return together(sample.held.values()) / 1024


def verdict(low: float, high: float, bound: float, certain: float, *, seen: bool = True) -> str:
    """`certain`: the low end of the wider interval; `seen`: whether it grew by `LEAST`."""
    if high <= bound:
        return "flat" if low <= 0 else "in bounds"
    if certain > 0 and seen:
        return "GROWS"
    return "suspected" if low > 0 else "none seen"


def _row(
    what: str,
    of: str,
    samples: Sequence[Sample],
    value: Callable[[Sample], float | None],
    hours: float,
) -> dict[str, Any] | None:
    settled = samples[0].at + settling(samples)
    before = [read for each in samples if each.at < settled and (read := value(each)) is not None]
    found = [
        (each.at / 3600, read)
        for each in samples
        if each.at >= settled and (read := value(each)) is not None
    ]
    if not found:
        return None
    fit = slope(found)
    day, wider = fit.times(hours), slope(found, confidence=_CERTAIN).times(hours)
    finite = math.isfinite(day.high)
    grown = fit.value * (found[-1][0] - found[0][0])
    judged = verdict(day.low, day.high, BOUNDS[what], wider.low, seen=grown >= LEAST.get(what, 1.0))
    return {
        "what": what, "of": of,
        "level": round(statistics.median(read for _, read in found), 2),
        "settling": round(found[0][1] - before[0], 2) if before else None,
        "slope": round(day.value, 3),
        "low": round(day.low, 3) if finite else None,
        "high": round(day.high, 3) if finite else None,
        "bound": BOUNDS[what],
        "verdict": judged if finite else "too short",
    }  # fmt: skip


def _mebibytes(part: str, sample: Sample) -> float | None:
    held = sample.held.get(part)
    return None if held is None else held.memory / 1024
