"""Scoring spotted movements by the protocol of the Micro-Expression Grand Challenges.

A prediction hits a truth when the two intervals' intersection over union is at least .5. Counts are
summed over all tracks before precision, recall and F1 are taken (Li et al., MEGC 2019-2022; F1 is
never averaged over tracks). Where we differ: the published scorers go through the truths one by one
and may credit a prediction twice; here the matching is one-to-one and maximum (augmenting paths,
Kuhn 1955), its pairs tried in order of overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.common.bootstrap import Resampler

Array = NDArray[np.float64]
LEAST_OVERLAP = 0.5


class Interval(Protocol):
    """Anything with a beginning and an end, seconds."""

    @property
    def onset(self) -> float: ...
    @property
    def apex(self) -> float: ...
    @property
    def offset(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Scored:
    """One track's predictions against its truths."""

    minutes: float
    truths: int
    found: int
    pairs: tuple[tuple[int, int], ...]
    """(truth, prediction), each at most once, by truth."""
    overlaps: tuple[float, ...]
    """Intersection over union of the pairs."""
    onset_errors: tuple[float, ...]
    """Prediction minus truth, seconds, of the pairs; NaN where an apex is not known."""
    apex_errors: tuple[float, ...]
    offset_errors: tuple[float, ...]

    @property
    def false(self) -> tuple[int, ...]:
        """Predictions that hit nothing."""
        taken = {prediction for _, prediction in self.pairs}
        return tuple(k for k in range(self.found) if k not in taken)


def score(truths: Sequence[Interval], found: Sequence[Interval], minutes: float) -> Scored:
    """Match one track's predictions to its truths."""
    overlap = overlaps(truths, found)
    pairs = match(overlap)

    def errors(name: str) -> tuple[float, ...]:
        return tuple(float(getattr(found[p], name) - getattr(truths[t], name)) for t, p in pairs)

    return Scored(
        minutes=minutes,
        truths=len(truths),
        found=len(found),
        pairs=pairs,
        overlaps=tuple(float(overlap[pair]) for pair in pairs),
        onset_errors=errors("onset"),
        apex_errors=errors("apex"),
        offset_errors=errors("offset"),
    )


def overlaps(truths: Sequence[Interval], found: Sequence[Interval]) -> Array:
    """Intersection over union, float64[truths, found]."""
    a = np.array([(x.onset, x.offset) for x in truths], np.float64).reshape(-1, 1, 2)
    b = np.array([(x.onset, x.offset) for x in found], np.float64).reshape(1, -1, 2)
    both = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
    both = np.maximum(both, 0.0)
    either = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - both
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0))


def match(overlap: Array, least: float = LEAST_OVERLAP) -> tuple[tuple[int, int], ...]:
    """As many (row, column) pairs as possible with an overlap of `least`, each used once."""
    # A length of 15 frames against one of 30 is exactly .5 in the protocol, not .49999.
    allowed = overlap >= least - 1e-9
    partner: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column in np.argsort(-overlap[row], kind="stable"):
            k = int(column)
            if not allowed[row, k] or k in tried:
                continue
            tried.add(k)
            if k not in partner or place(partner[k], tried):
                partner[k] = row
                return True
        return False

    best = overlap.max(axis=1, initial=0.0)
    for row in np.argsort(-best, kind="stable"):
        place(int(row), set())
    return tuple(sorted((row, column) for column, row in partner.items()))


def pooled(scored: Sequence[Scored], resamples: int = 1000) -> dict[str, Any]:
    """Figures over tracks, with 95 % intervals over tracks drawn again.

    `f1`, `precision`, `recall`, `false_per_minute`: {value, low, high, n}; `hits`, `found`,
    `truths`, `minutes`; `iou` of the hits; `onset`, `apex`, `offset`: {mae, bias} of the hits,
    seconds. A figure without anything to measure is None.
    """
    draw = Resampler(np.arange(len(scored)), resamples)
    hits = np.array([len(s.pairs) for s in scored], np.float64)
    found = np.array([s.found for s in scored], np.float64)
    truths = np.array([s.truths for s in scored], np.float64)
    minutes = np.array([s.minutes for s in scored])
    return {
        "f1": draw.ratio(2 * hits, found + truths).figure(),
        "precision": draw.ratio(hits, found).figure(),
        "recall": draw.ratio(hits, truths).figure(),
        "false_per_minute": draw.ratio(found - hits, minutes).figure(),
        "hits": int(hits.sum()),
        "found": int(found.sum()),
        "truths": int(truths.sum()),
        "minutes": round(float(minutes.sum()), 3),
        "iou": _mean([v for s in scored for v in s.overlaps]),
        "onset": _errors([v for s in scored for v in s.onset_errors]),
        "apex": _errors([v for s in scored for v in s.apex_errors]),
        "offset": _errors([v for s in scored for v in s.offset_errors]),
    }


RATIOS = (0.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 20.0, np.inf)
"""Limits of the classes of amplitude over noise."""


def recall_by(
    values: Sequence[float], hit: Sequence[bool], edges: Sequence[float] = RATIOS
) -> list[dict[str, Any]]:
    """Recall of truths in classes of a value: [{from, to, recall, n}]; `to` None: without end."""
    given, found = np.asarray(values, np.float64), np.asarray(hit, bool)
    rows = []
    for low, high in pairwise(edges):
        inside = (given >= low) & (given < high)
        count = int(inside.sum())
        rows.append(
            {
                "from": float(low),
                "to": float(high) if np.isfinite(high) else None,
                "recall": round(float(found[inside].mean()), 4) if count else None,
                "n": count,
            }
        )
    return rows


def _mean(values: Sequence[float]) -> float | None:
    kept = [value for value in values if np.isfinite(value)]
    return round(float(np.mean(kept)), 4) if kept else None


def _errors(values: Sequence[float]) -> dict[str, float | None]:
    return {"mae": _mean([abs(value) for value in values]), "bias": _mean(values)}
