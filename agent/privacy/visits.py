"""From faces in frames to visits: one track from first to last sight, as running sums.

Nothing here grows with time: no landmark, picture or per-frame list is kept, and a visit is
forgotten once it was handed on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from agent.base.config import PrivacyConfig
from agent.base.types import Face, MicroStatus, Perceived, Visit

MIN_SIGHTS = 3
"""Frames. With `MIN_SECONDS`: anything seen more briefly is a false detection or a passer-by whom
nobody could count reliably, and is not a visit."""
MIN_SECONDS = 0.5
MAX_GAP = 0.5
"""Seconds; time between two sights of a face beyond this counts neither as attention nor as
analysable."""


@dataclass(slots=True)
class _OpenVisit:
    """A visit that goes on."""

    visit: Visit
    sights: int = 1
    seconds_by_slot: dict[int, float] = field(default_factory=dict)
    """Bounded: there are 256 slots."""
    was_attentive: bool = False


class VisitBook:
    """All visits that go on, by track.

    A track that is out of sight for more than `visit_gap` has ended its visit; seen again, the
    same track begins another.
    """

    def __init__(self, params: PrivacyConfig) -> None:
        self._gap = params.visit_gap
        self._open: dict[int, _OpenVisit] = {}

    def __len__(self) -> int:
        return len(self._open)

    def update(self, perceived: Perceived, slot: int) -> list[Visit]:
        """Add one frame, shown while `slot` was on; return the visits that have ended.

        Times must not decrease from call to call.
        """
        ended = self.end_before(perceived.time)
        for face in perceived.faces:
            self._add_face(face, perceived, slot)
        for event in perceived.micro:
            if event.track_id in self._open:
                self._open[event.track_id].visit.micro.add(event.polarity)
        return ended

    def end_before(self, time: float) -> list[Visit]:
        """End and return the visits whose gap is over at `time`."""
        return self._close(before=time - self._gap)

    def finish(self) -> list[Visit]:
        """End every visit that goes on and return them."""
        return self._close(before=float("inf"))

    def _close(self, before: float) -> list[Visit]:
        over = [track for track, entry in self._open.items() if entry.visit.last < before]
        entries = [self._open.pop(track) for track in over]
        return [_finished(entry) for entry in entries if _is_visit(entry)]

    def _add_face(self, face: Face, perceived: Perceived, slot: int) -> None:
        time = perceived.time
        entry = self._open.get(face.track_id)
        if entry is None:
            visit = Visit(face.track_id, first=time, last=time, slot=slot)
            entry = self._open[face.track_id] = _OpenVisit(visit)
        else:
            gap = min(time - entry.visit.last, MAX_GAP)
            if entry.was_attentive and face.attentive:
                entry.visit.attention += gap
            entry.seconds_by_slot[slot] = entry.seconds_by_slot.get(slot, 0.0) + gap
            _add_micro_status(entry.visit, face.micro, gap)
            entry.sights += 1
            entry.visit.last = time
        entry.was_attentive = face.attentive
        eyes = face.landmarks.points[45] - face.landmarks.points[36]
        entry.visit.size = max(entry.visit.size, float(np.hypot(eyes[0], eyes[1])))
        _add_expression(entry.visit, face)


def _add_micro_status(visit: Visit, micro: MicroStatus, seconds: float) -> None:
    """Add the seconds since the last sight to those in which a micro-expression could be seen, or
    to the reason why none could: of this face alone, as no visit may change what another counts."""
    if micro.analysed:
        visit.analysable += seconds
    elif micro.reason is not None:
        visit.refused[micro.reason] = visit.refused.get(micro.reason, 0.0) + seconds


def _add_expression(visit: Visit, face: Face) -> None:
    """Add a face's answer, if it is a new one."""
    answer = face.expression
    if answer is None or not face.expression_is_new:
        return
    visit.estimates += 1
    visit.valence += answer.valence
    visit.arousal += answer.arousal
    if answer.unsure:
        visit.unsure += 1
    else:
        visit.expression += np.asarray(answer.probabilities, np.float32)


def _is_visit(entry: _OpenVisit) -> bool:
    visit = entry.visit
    return entry.sights >= MIN_SIGHTS and visit.last - visit.first >= MIN_SECONDS


def _finished(entry: _OpenVisit) -> Visit:
    """The visit, given to the slot that was on for most of it (the earlier of equals)."""
    seconds = entry.seconds_by_slot
    entry.visit.slot = max(seconds, key=lambda slot: seconds[slot])
    return entry.visit
