"""What a film shows, as it is looked at: its course, its visits, its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import (
    ACTION_UNITS,
    EXPRESSIONS,
    TONES,
    UNSURE,
    Face,
    Float,
    Frame,
    Fused,
    MicroExpression,
    Perceived,
    Tone,
    Visit,
    Words,
)
from agent.desk.films.course import LANES, REFUSALS, Course, into, into_lane
from agent.desk.films.kept import Kept
from agent.privacy.visits import MAX_GAP, VisitBook
from agent.vision.exposure import exposure

Key = tuple[int, float]
"""Of a stay: its first track and first second."""
_EXPOSURE = 0.5
"""Seconds between two measurements of a picture."""
_PRUNE = 10.0
_BINS = (0, 20, 40, 60, 80, 120, 160, 240)
"""Lower edges of the inter-ocular distances that are counted, pixels."""
_NO_LABEL, _UNSURE = -1, len(EXPRESSIONS)


@dataclass(slots=True)
class Stay:
    """What is kept of a face in view beside its `Visit`."""

    key: Key
    lane: int | None
    last: float
    units: Float = field(default_factory=lambda: np.zeros(len(ACTION_UNITS), np.float32))
    """Summed over estimates."""
    labels: Float = field(default_factory=lambda: np.zeros(len(EXPRESSIONS) + 1, np.float32))
    """Estimates by what they name, last `unsure`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A visit that ended; not who passed by."""

    visit: Visit
    stay: Stay


E = TypeVar("E", MicroExpression, Tone, Words)


@dataclass(frozen=True, slots=True)
class Noted(Generic[E]):
    """A micro-expression, or a reading of a voice or of words, and whose stay it belongs to."""

    what: E
    key: Key | None


class Collector:
    """Takes what is perceived, frame by frame.

    Memory does not grow with frames, and by some hundred bytes with a visit or an event.
    """

    def __init__(self, config: AgentConfig, folder: Path | None = None) -> None:
        """`folder`: for visits and events that do not fit into memory; see `Kept`."""
        self.course = Course()
        self.seen: Kept[Seen] = Kept(folder)
        self.micro: Kept[Noted[MicroExpression]] = Kept(folder)
        self.tones: Kept[Noted[Tone]] = Kept(folder)
        self.words: Kept[Noted[Words]] = Kept(folder)
        self.frames = 0
        self.first: float | None = None
        self.last = 0.0
        self.passed = 0
        """Stays too short for a visit: people who passed by."""
        self.brief = 0
        """Faces that were a flicker."""
        self.uncounted = 0.0
        """Face-seconds beyond the lanes."""
        self.sizes = np.zeros(len(_BINS), np.int64)
        """Faces over frames by inter-ocular distance, from each of `bins` on."""
        self.shape: tuple[int, int] | None = None
        """Width and height, pixels."""
        self._gap = config.privacy.visit_gap
        self._book = VisitBook(config.privacy)
        self._stays: dict[Key, Stay] = {}
        self._of_track: dict[int, Key] = {}
        self._now: dict[Key, Key] = {}
        """Stays that went on as an earlier one."""
        self._due = self._prune_at = 0.0

    bins = _BINS

    def frame(self, frame: Frame) -> None:
        """Measure a picture's exposure, now and then."""
        if frame.time < self._due:
            return
        self._due = frame.time + _EXPOSURE
        found = exposure(frame.luma)
        row = self.course.row(self.course.at(frame.time))
        row[into("measured")] += 1
        row[into("bright")] += found.bright
        row[into("clipped")] += found.clipped
        row[into("dark")] += found.state == "dark"

    def add(self, perceived: Perceived) -> None:
        """Add one frame's faces and micro-expressions."""
        time = perceived.time
        gap = min(time - self.last, MAX_GAP) if self.frames else 0.0
        self.frames += 1
        self.first = time if self.first is None else self.first
        self.last = time
        self.shape = perceived.size or self.shape
        self._end(self._book.update(perceived, 0))
        place = self.course.at(time)
        row = self.course.row(place)
        row[into("frames")] += 1
        row[into("faces")] += len(perceived.faces)
        if perceived.speech is not None:
            row[into("speech")] += perceived.speech
            row[into("listened")] += 1
        self.course.crowd(place, len(perceived.faces))
        for face in perceived.faces:
            stay = self._stay_of(face, time)
            self._count(face, row, stay)
            if stay is None or stay.lane is None:
                self.uncounted += gap
            else:
                self._draw(face, self.course.lane(place, stay.lane))
        for each in perceived.micro:
            key = self._of_track.get(each.track_id)
            self.micro.add(Noted(each, key), each.onset, each.offset)
        if time >= self._prune_at:
            self._prune(time)

    def hear(self, reading: Tone | Words | Fused) -> None:
        """Add a reading of a voice, of words or of all channels together."""
        if isinstance(reading, Fused):
            self._book.fuse(reading)
            return
        track = reading.track_id
        key = self._of_track.get(track) if track is not None else None
        if isinstance(reading, Tone):
            self.tones.add(Noted(reading, key), reading.time - reading.seconds, reading.time)
            self._book.hear(reading)
        else:
            self.words.add(Noted(reading, key), reading.time)
            self._book.read(reading)

    def finish(self) -> None:
        """End all visits; they, and the events, are then in order of their beginning."""
        self._end(self._book.finish())
        self._prune(float("inf"))
        for each in (self.seen, self.micro, self.tones, self.words):
            each.sort()

    def numbers(self) -> dict[Key, int]:
        """The number of each stay's visit, from 1, by every key that it had; without those that
        became no visit. After `finish`."""
        found = {(int(track), first): n for n, (first, track) in enumerate(self.seen.keys(), 1)}
        for before in self._now:
            key = before
            while key in self._now:
                key = self._now[key]
            if key in found:
                found[before] = found[key]
        return found

    def _stay_of(self, face: Face, time: float) -> Stay | None:
        visit = self._book.stay_of(face.track_id)
        if visit is None:
            return None
        key = (visit.track_id, visit.first)
        before = self._of_track.get(face.track_id)
        self._of_track[face.track_id] = key
        stay = self._stays.get(key)
        if stay is None:
            stay = self._stays[key] = Stay(key, self._free_lane(time), time)
        if before is not None and before != key and visit.first < before[1]:
            self._join(stay, before)
        stay.last = time
        return stay

    def _join(self, stay: Stay, before: Key) -> None:
        """What began as a stay of its own goes on with an earlier one."""
        self._now[before] = stay.key
        more = self._stays.pop(before, None)
        if more is None:
            return
        stay.units += more.units
        stay.labels += more.labels
        if stay.lane is not None and more.lane is not None:
            self.course.move(more.key[1], more.lane, stay.lane)
        elif stay.lane is None:
            stay.lane = more.lane

    def _free_lane(self, time: float) -> int | None:
        """A lane that no stay holds which may still go on."""
        held = {s.lane for s in self._stays.values() if time - s.last <= self._gap + MAX_GAP}
        return next((lane for lane in range(LANES) if lane not in held), None)

    def _count(self, face: Face, row: Float, stay: Stay | None) -> None:
        eyes = face.landmarks.points[45] - face.landmarks.points[36]
        size = float(np.hypot(eyes[0], eyes[1]))
        self.sizes[np.searchsorted(_BINS, size, side="right") - 1] += 1
        row[into("size")] += size
        row[into("attentive")] += face.attentive
        row[into("analysed")] += face.micro.analysed
        if face.micro.reason in REFUSALS:
            row[into("refused").start + REFUSALS.index(face.micro.reason)] += 1
        read = face.expression
        if read is None or not face.expression_is_new:
            return
        label = _label(face)
        row[into("estimates")] += 1
        row[into("labels").start + label] += 1
        if label != _UNSURE:
            row[into("peaks").start + label] += read.probabilities[label]
        row[into("valence")] += read.valence
        row[into("arousal")] += read.arousal
        row[into("units")] += read.action_units
        if stay is not None:
            stay.units += read.action_units
            stay.labels[label] += 1

    @staticmethod
    def _draw(face: Face, cell: Float) -> None:
        cell[into_lane("seen")] += 1
        cell[into_lane("attentive")] += face.attentive
        label = _label(face)
        if label != _NO_LABEL:
            cell[into_lane("labels").start + label] += 1

    def _end(self, visits: list[Visit]) -> None:
        for visit in visits:
            key = (visit.track_id, visit.first)
            stay = self._stays.pop(key, None) or Stay(key, None, visit.last)
            if visit.passing:
                self.passed += 1
            else:
                self.seen.add(Seen(visit, stay), visit.first, visit.track_id)

    def _prune(self, time: float) -> None:
        """Forget what has become no visit."""
        self._prune_at = time + _PRUNE
        long_ago = time - 2 * self._gap - MAX_GAP
        over = [key for key, stay in self._stays.items() if stay.last < long_ago]
        for key in over:
            del self._stays[key]
        self.brief += len(over)
        self._of_track = {track: key for track, key in self._of_track.items() if key in self._stays}


def _label(face: Face) -> int:
    """Index in `EXPRESSIONS` of what a face's estimate names, 8 for unsure, -1 without one."""
    if face.expression is None:
        return _NO_LABEL
    return _UNSURE if face.expression.unsure else int(np.argmax(face.expression.probabilities))


def tone_label(tone: Tone) -> str:
    """Of `TONES`, or `UNSURE`."""
    return tone.label if tone.label in TONES else UNSURE
