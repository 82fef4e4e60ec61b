"""Aggregates faces into visits: running sums per stay, no per-frame data is kept.

A visit is one stay in view. A face that was lost inside the picture (turned away, covered, missed
by the detector) and one found near that place within `visit_gap` are one stay; a face that left
over the picture's edge, or came from there, is never joined (`agent.privacy.course`). Where
geometry cannot tell two people apart they are one visit: noise then hides both together.

A new track is a visit of its own only after a second in which it did not overlap an older face.

Visits end by the time of the frames, not by their number: of two stretches ten minutes apart each
is a visit. In time-lapse a face that is there in every picture is one visit while the pictures
are less than `visit_gap` apart; of those that are further apart nobody knows who was there between
them, and nothing is counted: a visit takes three sights (`MIN_SIGHTS`).

A stay that is too short for a visit, but more than a flicker (`GLIMPSE_SIGHTS`,
`GLIMPSE_SECONDS`), is somebody who passed by: `Visit.passing`. Joining comes first, so that a
visit's fragments are no passers-by, and a stay is one or the other, never both. Visits and
passers-by together are those who could have looked; who stays and never looks is a visit of little
attention.

Joining is done before anything is counted, as tracking is: the unit of privacy is the visit that
comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from agent.base.config import PrivacyConfig
from agent.base.types import (
    Face,
    Fused,
    MicroStatus,
    Perceived,
    Said,
    Tone,
    Visit,
    Words,
)
from agent.privacy.course import Course, distance
from agent.privacy.heard import READING, is_sound

K = TypeVar("K")

MIN_SIGHTS = 3
"""Frames. With `MIN_SECONDS`: shorter stays (passers-by, false detections) are not visits."""
MIN_SECONDS = 1.0
"""Seconds in view apart from older faces from which a track is a visit of its own."""
GLIMPSE_SIGHTS = 2
GLIMPSE_SECONDS = 0.2
"""Frames, and seconds in view, from which a shorter stay is of somebody who passed by."""
MAX_GAP = 0.5
"""Seconds between two frames of a track that count at most as attention, analysable or in view. A
track seen again later is looked at as a new one: the tracker goes by place alone."""
_FRAMES = 2.5
"""The same in frames, for sources of a few frames per second."""
_OVERLAP = 0.3
"""Intersection over the smaller box from which a new track is on an older face."""
_LINGER = 0.2
"""Seconds that a track may outlive the beginning of the one that goes on with its stay."""
_CUT = 0.7
"""Seconds within which a face is found after a cut of the recording."""


@dataclass(slots=True, eq=False)
class _Stay:
    """A visit in progress, or a new track that may become one or go on with one."""

    visit: Visit
    course: Course
    track_id: int
    """The newest."""
    pending: bool = True
    """Neither joined nor a visit of its own so far."""
    alone: bool = False
    """No older face was in view when it began."""
    sights: int = 0
    seen: float = 0.0
    """Seconds in view."""
    apart: float = 0.0
    """Of these, those without overlap with an older face."""
    seconds_by_slot: dict[int, float] = field(default_factory=dict)
    """At most 256 entries."""
    was_attentive: bool = False


class VisitBook:
    """Visits in progress. One ends when nothing has gone on with it for `visit_gap`."""

    def __init__(self, params: PrivacyConfig) -> None:
        self._gap = params.visit_gap
        self._stays: list[_Stay] = []
        """Oldest first."""
        self._by_track: dict[int, _Stay] = {}
        self._time = float("-inf")
        self._patience = MAX_GAP
        """Seconds without a sight after which a face is out of view."""
        self._step = 0.0
        """Seconds since the frame before."""

    def __len__(self) -> int:
        return len(self._stays)

    def update(self, perceived: Perceived, slot: int) -> list[Visit]:
        """Add one frame, with `slot` on show; return the ended visits and who passed by. Times must
        not decrease."""
        time = perceived.time
        self._step = time - self._time
        slow = _FRAMES * self._step if self._step < self._gap else 0.0
        self._patience = min(max(MAX_GAP, slow), self._gap)
        ended = self.end_before(time)
        self._time = time
        for face in perceived.faces:
            self._add_face(face, perceived, slot)
        self._settle(time)
        for event in perceived.micro:
            if event.track_id in self._by_track:
                self._by_track[event.track_id].visit.micro.add(event.polarity)
        return ended

    def hear(self, tone: Tone) -> bool:
        """Add a tone of voice to the visit of its face. False, and not counted, where there is none
        (any more), or the reading is no reading."""
        said = self._said(tone.track_id)
        if said is None or not is_sound(tone):
            return False
        said.seconds += min(max(tone.seconds, 0.0), READING)
        said.valence += tone.valence
        said.arousal += tone.arousal
        said.tone.add(tone.probabilities, tone.label)
        return True

    def read(self, words: Words) -> bool:
        """Add an utterance's sentiment; as `hear`."""
        said = self._said(words.track_id)
        if said is None or not is_sound(words):
            return False
        said.words.add(words.probabilities, words.label)
        return True

    def fuse(self, fused: Fused) -> bool:
        """Add what the channels say together; as `hear`."""
        said = self._said(fused.track_id)
        if said is None or not is_sound(fused):
            return False
        said.fused.add(fused.probabilities, fused.label)
        said.channels |= fused.channels
        return True

    def stay_of(self, track_id: int) -> Visit | None:
        """What has been summed up so far of the stay that a track is part of, a visit perhaps;
        None where there is none (any more)."""
        stay = self._by_track.get(track_id)
        return None if stay is None else stay.visit

    def _said(self, track_id: int | None) -> Said | None:
        """Of the stay that a track is part of; None where there is none."""
        stay = self._by_track.get(track_id) if track_id is not None else None
        if stay is None:
            return None
        stay.visit.said = stay.visit.said or Said()
        return stay.visit.said

    def end_before(self, time: float) -> list[Visit]:
        """End and return the visits that are over at `time`, likewise."""
        self._settle(time)
        return self._close(before=time - self._gap)

    def finish(self) -> list[Visit]:
        """End and return all, likewise."""
        self._settle(self._time, at_once=True)
        return self._close(before=float("inf"))

    def _close(self, before: float) -> list[Visit]:
        over = [stay for stay in self._stays if stay.visit.last < before]
        if not over:
            return []
        self._stays = [stay for stay in self._stays if stay.visit.last >= before]
        self._by_track = {t: s for t, s in self._by_track.items() if s.visit.last >= before}
        return [_finished(stay) for stay in over if _is_visit(stay) or _passes(stay)]

    def _add_face(self, face: Face, perceived: Perceived, slot: int) -> None:
        time = perceived.time
        stay = self._by_track.get(face.track_id)
        if stay is None or self._is_over(stay, time):
            visit = Visit(face.track_id, first=time, last=time, slot=slot)
            course = Course.of(time, face, perceived.size)
            stay = _Stay(visit, course, face.track_id)
            self._stays.append(stay)
            self._by_track[face.track_id] = stay
            stay.alone = not self._older(stay, perceived)
        gap = min(time - stay.visit.last, MAX_GAP)
        if stay.was_attentive and face.attentive:
            stay.visit.attention += gap
        stay.seconds_by_slot[slot] = stay.seconds_by_slot.get(slot, 0.0) + gap
        _add_micro_status(stay.visit, face.micro, gap)
        stay.sights += 1
        stay.seen += gap
        if not stay.pending or not _overlap(face, self._older(stay, perceived)):
            stay.apart += gap
        stay.visit.last = time
        stay.course.add(time, face)
        stay.was_attentive = face.attentive
        eyes = face.landmarks.points[45] - face.landmarks.points[36]
        stay.visit.size = max(stay.visit.size, float(np.hypot(eyes[0], eyes[1])))
        _add_expression(stay.visit, face)

    def _is_over(self, stay: _Stay, time: float) -> bool:
        """Whether a sight of its track is not simply its next one: after a while out of view, or
        where it left the picture and the tracker took up somebody else at the edge."""
        missing = time - stay.visit.last
        return missing > self._patience or (missing > 1.5 * self._step and stay.course.left)

    def _older(self, stay: _Stay, perceived: Perceived) -> list[Face]:
        """The frame's faces that were in view before `stay` began."""
        return [
            face
            for face in perceived.faces
            if (other := self._by_track.get(face.track_id)) is not None
            and other.visit.first < stay.visit.first
        ]

    def _settle(self, time: float, at_once: bool = False) -> None:
        """Decide what the new tracks are that have been in view long enough, or are gone.

        Nearest first: each goes on with the visit of a face that is out of view, or is one of its
        own, or nothing. Those that would go on with a visit that is about to end do so sooner.
        """
        pending = [stay for stay in self._stays if stay.pending]
        if not pending:
            return
        gone = {id(s) for s in self._stays if time - s.visit.last > self._patience}
        due = [p for p in pending if at_once or p.apart >= MIN_SECONDS or id(p) in gone]
        lost = [stay for stay in self._stays if not stay.pending and id(stay) in gone]
        if not due and not any(stay.visit.last < time - self._gap for stay in lost):
            return
        ghosts = [p for p in due if p.apart < min(MIN_SECONDS, p.seen / 2)]
        self._forget(ghosts)
        for old, new in self._pairs(lost, [p for p in pending if p not in ghosts]):
            if new in due or (old.visit.last < time - self._gap and new.apart > 0):
                self._forget([new])
                self._by_track = {t: s for t, s in self._by_track.items() if s is not old}
                self._by_track[new.track_id] = old
                _join(old, new)
        for stay in due:
            stay.pending = False

    def _pairs(self, lost: list[_Stay], found: list[_Stay]) -> list[tuple[_Stay, _Stay]]:
        """Faces lost and found again, each at most once, nearest first (greedy)."""
        near = [
            (apart, i, j)
            for i, old in enumerate(lost)
            for j, new in enumerate(found)
            if (apart := self._distance(old, new)) < float("inf")
        ]
        pairs: list[tuple[int, int]] = []
        for _, i, j in sorted(near):
            if not any(i == one or j == other for one, other in pairs):
                pairs.append((i, j))
        return [(lost[i], found[j]) for i, j in pairs]

    def _distance(self, old: _Stay, new: _Stay) -> float:
        elapsed = new.visit.first - old.visit.last
        if not -_LINGER <= elapsed <= self._gap:
            return float("inf")
        cut, brief = new.alone and elapsed <= _CUT, old.seen < MIN_SECONDS
        return distance(old.course, new.course, elapsed, cut, brief)

    def _forget(self, stays: list[_Stay]) -> None:
        self._stays = [stay for stay in self._stays if stay not in stays]
        self._by_track = {t: s for t, s in self._by_track.items() if s not in stays}


def _overlap(face: Face, others: list[Face]) -> bool:
    """Whether the face's box lies to a good part on one of the others'."""
    left, top, right, bottom = face.box.tolist()
    for other in others:
        x0, y0, x1, y1 = other.box.tolist()
        width, height = min(right, x1) - max(left, x0), min(bottom, y1) - max(top, y0)
        smaller = min((right - left) * (bottom - top), (x1 - x0) * (y1 - y0))
        if width > 0 and height > 0 and width * height > _OVERLAP * smaller:
            return True
    return False


def _join(old: _Stay, new: _Stay) -> None:
    """Go on with `old` by `new`."""
    visit, more = old.visit, new.visit
    hidden = more.first - visit.last
    if 0 < hidden <= MAX_GAP:
        old.seen += hidden
    visit.last = max(visit.last, more.last)
    visit.attention += more.attention
    visit.expression += more.expression
    visit.estimates += more.estimates
    visit.unsure += more.unsure
    visit.valence += more.valence
    visit.arousal += more.arousal
    visit.micro |= more.micro
    visit.analysable += more.analysable
    _add_seconds(visit.refused, more.refused)
    _add_seconds(old.seconds_by_slot, new.seconds_by_slot)
    visit.size = max(visit.size, more.size)
    if more.said is not None:
        visit.said = visit.said or Said()
        visit.said.merge(more.said)
    old.course.join(new.course)
    old.track_id, old.was_attentive = new.track_id, new.was_attentive
    old.sights += new.sights
    old.seen += new.seen
    old.apart += new.apart


def _add_seconds(to: dict[K, float], more: dict[K, float]) -> None:
    for key, seconds in more.items():
        to[key] = to.get(key, 0.0) + seconds


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


def _is_visit(stay: _Stay) -> bool:
    return stay.sights >= MIN_SIGHTS and stay.seen >= MIN_SECONDS


def _passes(stay: _Stay) -> bool:
    """Whether it is more than a flicker."""
    return stay.sights >= GLIMPSE_SIGHTS and stay.seen >= GLIMPSE_SECONDS


def _finished(stay: _Stay) -> Visit:
    """The visit, or who passed by, assigned to the slot on show for most of it (of equals the
    earlier)."""
    seconds = stay.seconds_by_slot
    stay.visit.slot = max(seconds, key=lambda slot: seconds[slot])
    stay.visit.place = stay.course.place
    stay.visit.passing = not _is_visit(stay)
    return stay.visit
