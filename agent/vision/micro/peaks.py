"""Peak picking in the network's outputs: one event per movement, with bounded latency."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from agent.base.types import MICRO_ACTION_UNITS, Float, MicroExpression
from agent.vision.micro.outputs import HEAT, KINDS, OTHERS, UNITS, decode
from agent.vision.micro.speech import FLOOR, LEAST_EVIDENCE, Course, Heard

LATENCY = 0.52
"""Seconds from a movement's offset to its report; until then a stronger peak may replace it."""
_MAX_OVERLAP = 0.05
"""Seconds that successive events may overlap."""
MAX_TURN = 0.9
"""Radians per second, root mean square over a movement. On a head that turns faster nobody can tell
what the face does from what the turn does to its landmarks."""
_REMEMBERED = 48
"""Steps of the head's speed: the longest movement and the delay of the outputs."""
_SPOKEN = 24
"""Steps over which the logit of speech is averaged."""
_SETTLING = 0.15
"""Seconds after landmarks are back in which a movement may be theirs."""
_BROWS_LIDS_NOSE = {"AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09"}
"""Units that are looked for while the mouth speaks, or somebody is heard; its own movements are not
told from speech."""
_START_LOGIT, _END_LOGIT = 0.0, -1.0
"""Hysteresis thresholds for the start and end of movements of `KINDS`."""
_SPEECH = OTHERS.start + KINDS.index("speech")
_NEGATIVE = {"AU04", "AU07", "AU09", "AU10", "AU15", "AU17", "AU20", "AU24"}
_POSITIVE = {"AU06", "AU12"}
_SURPRISE = {"AU01", "AU02", "AU05", "AU26"}


class PeakPicker:
    """Picks score peaks of one face, the best of overlapping ones; counts other movements."""

    __slots__ = (
        "_course",
        "_floor",
        "_heard",
        "_in_progress",
        "_last_offset",
        "_latest",
        "_limit",
        "_missing",
        "_pending",
        "_pending_spoken",
        "_previous_score",
        "_rejected",
        "_speech",
        "_threshold",
        "_turns",
    )

    def __init__(
        self, threshold: float, rejected: Counter[str], heard: Heard | None = None
    ) -> None:
        """`threshold`: least score of an event; `rejected`: counter to increment, by kind; `heard`:
        speech, shared with the other faces."""
        self._threshold = threshold
        self._limit = math.log(threshold / (1.0 - threshold))
        self._floor = 1.0 / (1.0 + math.exp(FLOOR - self._limit))
        """Least score that is weighed during speech."""
        self._rejected = rejected
        self._heard = heard or Heard()
        self._course = Course()
        self._previous_score = 0.0
        """Score of the step before the latest."""
        self._latest: tuple[float, float, Float] | None = None
        """Score, time and outputs of the latest step; None below the threshold, or the floor."""
        self._pending: MicroExpression | None = None
        """Not reported yet."""
        self._pending_spoken: MicroExpression | None = None
        """What is left of it if there was speech."""
        self._missing = -math.inf, -math.inf
        """Start and end of the latest stretch without landmarks, seconds."""
        self._last_offset = -math.inf
        """Offset of the last reported event, seconds."""
        self._in_progress = [False] * len(KINDS)
        self._turns: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        """Mid-time and squared speed of the head's turning, of the latest steps."""
        self._speech: deque[float] = deque(maxlen=_SPOKEN)
        """Logits of speech, of the latest steps."""

    def step(
        self,
        time: float,
        outputs: Float,
        analysable: bool,
        turn: float = 0.0,
        inputs: Float | None = None,
    ) -> None:
        """Add one step.

        Parameters
        ----------
        time : float
            Mid-time of the step, seconds.
        outputs : float32[26]
        analysable : bool
            False where events are suppressed: the face is too small, slow or noisy.
        turn : float
            Speed at which the head turns, radians per second.
        inputs : float32[38]
            The network's, which speech asks for.
        """
        if self._heard.known and inputs is not None:
            self._course.add(time, inputs)
        self._turns.append((time, turn * turn))
        self._speech.append(outputs.item(_SPEECH))
        score = 1.0 / (1.0 + math.exp(-min(max(outputs.item(HEAT), -50.0), 50.0)))
        latest = self._latest
        if latest is not None and latest[0] > score and latest[0] >= self._previous_score:
            self._add_peak(*latest)
        self._previous_score = latest[0] if latest is not None else 0.0
        above = analysable and score >= (self._floor if self._heard.known else self._threshold)
        self._latest = (score, time, outputs.copy()) if above else None
        if analysable:
            self._count_others(outputs)

    def miss(self, start: float, end: float) -> None:
        """There are no landmarks between two times, seconds; `end` is infinite while they are not
        back. Of what reaches into that nobody knows what it was: it is not reported."""
        self._missing = start, end
        if self._pending is not None and self._is_missing(self._pending):
            self._pending = None

    def _is_missing(self, event: MicroExpression) -> bool:
        start, end = self._missing
        return event.offset > start and event.onset < end + _SETTLING

    def pop_due(self, track_id: int, until: float, now: float) -> list[MicroExpression]:
        """The pending event if it is due by `until`, emitted at `now`; seconds."""
        event = self._pending
        if event is None or event.offset + LATENCY > until:
            return []
        self._pending = None
        # more was heard since
        if self._heard.during(event.onset, event.offset):
            event = self._pending_spoken
            if event is None:
                return []
        self._last_offset = event.offset
        return [replace(event, track_id=track_id, emitted=now)]

    def _add_peak(self, score: float, time: float, outputs: Float) -> None:
        units = _units(outputs[UNITS])
        event = MicroExpression(-1, *decode(time, outputs), _polarity(units), units, score)
        turn = self._turn(event)
        if event.onset < self._last_offset - _MAX_OVERLAP or turn > MAX_TURN:
            return
        if self._is_missing(event):
            return
        spoken = self._spoken(event, outputs, turn) if self._heard.known else None
        if self._heard.during(event.onset, event.offset):
            if spoken is None:
                return
            event = spoken
        elif score < self._threshold or (
            units[0] not in _BROWS_LIDS_NOSE and sum(self._speech) > 0.0
        ):
            return
        if self._pending is None or score > self._pending.score:
            self._pending, self._pending_spoken = event, spoken

    def _spoken(
        self, event: MicroExpression, outputs: Float, turn: float
    ) -> MicroExpression | None:
        """What speech leaves of a movement: units outside the mouth, None where too little speaks
        for them."""
        margin = math.log(event.score / max(1.0 - event.score, 1e-9)) - self._limit
        if self._course.evidence(event, margin, turn) < LEAST_EVIDENCE:
            return None
        units = _units(outputs[UNITS], _BROWS_LIDS_NOSE)
        return replace(event, polarity=_polarity(units), action_units=units)

    def _turn(self, event: MicroExpression) -> float:
        """How fast the head turned meanwhile: root mean square, radians per second."""
        during = [square for at, square in self._turns if event.onset <= at <= event.offset]
        return math.sqrt(sum(during) / len(during)) if during else 0.0

    def _count_others(self, outputs: Float) -> None:
        for k, logit in enumerate(outputs[OTHERS].tolist()):
            if self._in_progress[k]:
                self._in_progress[k] = logit >= _END_LOGIT
            elif logit > _START_LOGIT:
                self._in_progress[k] = True
                self._rejected[KINDS[k]] += 1


def _units(logits: Float, among: Collection[str] = MICRO_ACTION_UNITS) -> tuple[str, ...]:
    """Units `among` these with probability above 0.5 by falling probability, at least the best."""
    order = [k for k in np.argsort(-logits).tolist() if MICRO_ACTION_UNITS[k] in among]
    return tuple(
        MICRO_ACTION_UNITS[k] for rank, k in enumerate(order) if rank == 0 or logits[k] > 0.0
    )


def _polarity(units: tuple[str, ...]) -> str:
    """positive | negative | surprise | unspecified, by the most probable unit that has one.

    The coding of published data sets: AU06, AU12 happiness; AU04, 07, 09, 10, 15, 17, 20, 24
    negative classes; AU01, 02, 05, 26 surprise unless with AU04. AU14 alone is unspecified, since
    data sets disagree.
    """
    if _SURPRISE.intersection(units) and "AU04" in units:
        return "negative"
    for unit in units:
        if unit in _POSITIVE:
            return "positive"
        if unit in _SURPRISE:
            return "surprise"
        if unit in _NEGATIVE:
            return "negative"
    return "unspecified"
