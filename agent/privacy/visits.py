"""Aggregates faces into visits: running sums per track, no per-frame data is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from agent.base.config import PrivacyConfig
from agent.base.types import Face, MicroStatus, Perceived, Visit

MIN_SIGHTS = 3
"""Frames. With `MIN_SECONDS`: shorter tracks (false detections, passers-by) are not visits."""
MIN_SECONDS = 0.5
MAX_GAP = 0.5
"""Seconds between two frames of a track that count at most as attention or analysable."""


@dataclass(slots=True)
class _OpenVisit:
    """A visit in progress."""

    visit: Visit
    sights: int = 1
    seconds_by_slot: dict[int, float] = field(default_factory=dict)
    """At most 256 entries."""
    was_attentive: bool = False


class VisitBook:
    """Open visits by track. A visit ends when its track has not been seen for `visit_gap`; a later
    frame of the same track begins another visit."""

    def __init__(self, params: PrivacyConfig) -> None:
        self._gap = params.visit_gap
        self._open: dict[int, _OpenVisit] = {}

    def __len__(self) -> int:
        return len(self._open)

    def update(self, perceived: Perceived, slot: int) -> list[Visit]:
        """Add one frame, with `slot` on show; return the ended visits. Times must not decrease."""
        ended = self.end_before(perceived.time)
        for face in perceived.faces:
            self._add_face(face, perceived, slot)
        for event in perceived.micro:
            if event.track_id in self._open:
                self._open[event.track_id].visit.micro.add(event.polarity)
        return ended

    def end_before(self, time: float) -> list[Visit]:
        """End and return the visits that are over at `time`."""
        return self._close(before=time - self._gap)

    def finish(self) -> list[Visit]:
        """End and return all visits."""
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
    """Add seconds to `analysable` or to the reason why not: by this face's status only, since a
    visit must not change another's contribution."""
    if micro.analysed:
        visit.analysable += seconds
    elif micro.reason is not None:
        visit.refused[micro.reason] = visit.refused.get(micro.reason, 0.0) + seconds


def _add_expression(visit: Visit, face: Face) -> None:
    """Add a face's expression estimate, if it is new."""
    estimate = face.expression
    if estimate is None or not face.expression_is_new:
        return
    visit.estimates += 1
    visit.valence += estimate.valence
    visit.arousal += estimate.arousal
    if estimate.unsure:
        visit.unsure += 1
    else:
        visit.expression += np.asarray(estimate.probabilities, np.float32)


def _is_visit(entry: _OpenVisit) -> bool:
    visit = entry.visit
    return entry.sights >= MIN_SIGHTS and visit.last - visit.first >= MIN_SECONDS


def _finished(entry: _OpenVisit) -> Visit:
    """The visit, assigned to the slot on show for most of it (of equals the earlier)."""
    seconds = entry.seconds_by_slot
    entry.visit.slot = max(seconds, key=lambda slot: seconds[slot])
    return entry.visit
