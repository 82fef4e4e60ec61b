"""Peak picking in the network's outputs: one report per movement, in bounded time."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from agent.base.types import MICRO_ACTION_UNITS, Float, MicroExpression
from agent.vision.micro.outputs import HEAT, KINDS, OTHERS, UNITS, decode

LATENCY = 0.52
"""Seconds after its offset from which on a movement is reported; until then a stronger one may
replace it."""
_OVERLAP = 0.05
"""Seconds that two movements reported in turn may share."""
_BEGUN, _OVER = 0.0, -1.0
"""Logits at which a movement of `KINDS` counts as begun, and as over."""
_NEGATIVE = {"AU04", "AU07", "AU09", "AU10", "AU15", "AU17", "AU20", "AU24"}
_POSITIVE = {"AU06", "AU12"}
_SURPRISE = {"AU01", "AU02", "AU05", "AU26"}


class PeakPicker:
    """Peaks of one face's scores, the best of those that overlap; counts other movements."""

    __slots__ = (
        "_before",
        "_newest",
        "_pending",
        "_rejected",
        "_reported",
        "_threshold",
        "_under_way",
    )

    def __init__(self, threshold: float, rejected: Counter[str]) -> None:
        """`threshold`: least score of a report; `rejected` is counted up, by kind."""
        self._threshold = threshold
        self._rejected = rejected
        self._before = 0.0
        """Score of the step before the newest."""
        self._newest: tuple[float, float, Float] | None = None
        """Score, time and outputs of the newest step; None where it is below the threshold."""
        self._pending: MicroExpression | None = None
        """Not reported yet."""
        self._reported = -math.inf
        """Offset of the newest movement reported, seconds."""
        self._under_way = [False] * len(KINDS)

    def step(self, time: float, outputs: Float, counts: bool) -> None:
        """Add one step.

        Parameters
        ----------
        time : float
            The step's middle, seconds.
        outputs : float32[26]
        counts : bool
            False where nothing may be reported: the face is too small, slow or noisy.
        """
        score = 1.0 / (1.0 + math.exp(-min(max(outputs.item(HEAT), -50.0), 50.0)))
        newest = self._newest
        if newest is not None and newest[0] > score and newest[0] >= self._before:
            self._consider(*newest)
        self._before = newest[0] if newest is not None else 0.0
        above = counts and score >= self._threshold
        self._newest = (score, time, outputs.copy()) if above else None
        if counts:
            self._count_others(outputs)

    def pop_due(self, track_id: int, until: float, now: float) -> list[MicroExpression]:
        """The pending movement, if it is due by `until`; it is reported `now`, seconds."""
        event = self._pending
        if event is None or event.offset + LATENCY > until:
            return []
        self._pending = None
        self._reported = event.offset
        return [replace(event, track_id=track_id, emitted=now)]

    def _consider(self, score: float, time: float, outputs: Float) -> None:
        found = _event(time, score, outputs)
        if found.onset < self._reported - _OVERLAP:
            return
        if self._pending is None or score > self._pending.score:
            self._pending = found

    def _count_others(self, outputs: Float) -> None:
        for k, logit in enumerate(outputs[OTHERS].tolist()):
            if self._under_way[k]:
                self._under_way[k] = logit >= _OVER
            elif logit > _BEGUN:
                self._under_way[k] = True
                self._rejected[KINDS[k]] += 1


def _event(time: float, score: float, outputs: Float) -> MicroExpression:
    """The movement at a peak of the outputs float32[26], without track and time of report."""
    units = _units(outputs[UNITS])
    return MicroExpression(-1, *decode(time, outputs), polarity(units), units, score)


def _units(logits: Float) -> tuple[str, ...]:
    """Those more probable than not, most probable first; the best one at the least."""
    order = np.argsort(-logits).tolist()
    return tuple(
        MICRO_ACTION_UNITS[k] for rank, k in enumerate(order) if rank == 0 or logits[k] > 0.0
    )


def polarity(units: tuple[str, ...]) -> str:
    """positive | negative | surprise | unspecified, by the strongest unit that has one.

    After the units that published sets code with their classes: 12 and 6 happiness, 4, 7, 9, 10,
    15, 17, 20, 24 the negative ones, 1, 2, 5, 26 surprise unless 4 is among them; 14 alone is left
    open: contempt in one set, anything in another.
    """
    shown = set(units)
    if shown & _SURPRISE and shown & {"AU04"}:
        return "negative"
    for unit in units:
        if unit in _POSITIVE:
            return "positive"
        if unit in _SURPRISE:
            return "surprise"
        if unit in _NEGATIVE:
            return "negative"
    return "unspecified"
