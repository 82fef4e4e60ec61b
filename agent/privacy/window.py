"""Tumbling windows: each stay is counted once, in the window of its last frame, as a visit or as
somebody who passed by.

A window is [i * length, (i + 1) * length) on the source's clock. It closes `visit_gap` after its
end, when all visits last seen in it have ended. Windows without any frame are not created.

Whatever goes wrong (a poster, a face that flickers), the visits of one place in the picture count
at most `place_cap` times. Their numbers are clipped, not visits left out: clipping never moves two
sums further apart, so that each visit's influence stays within `SENSITIVITY`, and a visit's place
(`Visit.place`) depends on that visit alone. Leaving out the surplus would let one visit's presence
change whether another is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from agent.base.config import MicroConfig
from agent.base.types import EXPRESSIONS, Perceived, Tone, Visit, Words
from agent.base.vocabulary import AnyCell, Flag, Reason, SoundFlag
from agent.privacy import heard
from agent.privacy.heard import CLIP, RoomTurns, is_sound, mean, one_hot

POLARITIES = ("positive", "negative", "surprise", "unspecified")
"""In order of priority: contribution bounding keeps the first `MAX_POLARITIES` of a visit."""
MAX_POLARITIES = 2
"""Contribution bound where noise is added: polarities counted per visit."""
MAX_MICRO_SECONDS = 120
"""Clipping bound where noise is added: analysable seconds per visit. At about one false alarm a
minute, `MAX_POLARITIES` are expected in that time."""
MIN_ANALYSABLE_SECONDS = 1.0
"""Analysable seconds from which a visit counts as analysable."""
Place = tuple[int, int, int]
"""See `Visit.place`."""
OUTCOMES: tuple[Literal["analysable"] | Reason, ...] = (
    "analysable",
    "face_too_small",
    "too_noisy",
    "fps_too_low",
    "no_evidence",
)
"""Whether a visit was analysable for micro-expressions, or the main reason why not."""
SENSITIVITY: dict[AnyCell, int] = {
    "visits": 1,
    "passing": 1,
    "expression": 1,
    "valence": 100,
    "arousal": 100,
    "attention": 1,
    "dwell": 1,
    "micro": MAX_POLARITIES + 2,
    **heard.SENSITIVITY,
}
"""L1 sensitivity of each cell to one stay, its numbers divided by their `units`; for `room_*` see
`heard`."""
MICRO_NOISE_UNITS = (*[1] * len(POLARITIES), *[1] * len(OUTCOMES), MAX_MICRO_SECONDS)


def units(cell: AnyCell) -> tuple[int, ...]:
    """The unit of each number of a cell. Noise of scale unit * sensitivity / epsilon on each number
    gives epsilon-differential privacy."""
    return MICRO_NOISE_UNITS if cell == "micro" else (1,) * len(_no_counts()[cell])


_PLACE_INTERVAL = 20
"""Seconds: a place may have a visit as often as that in a window, and two more."""


def place_cap(length: int) -> int:
    """Visits that one place may add to a window of `length` seconds."""
    return 2 + length // _PLACE_INTERVAL


_ATTENTION_EDGES = (1.0, 5.0, 15.0)
_DWELL_EDGES = (5.0, 15.0, 30.0, 60.0)
_FPS_TOLERANCE = 0.95
_VOUCHED = 5.0
"""Seconds between two frames up to which the first one's slot counts as on show."""


def _no_counts() -> dict[AnyCell, list[int]]:
    return {
        "visits": [0],
        "passing": [0],
        "expression": [0] * (len(EXPRESSIONS) + 1),
        "valence": [0],
        "arousal": [0],
        "attention": [0] * (len(_ATTENTION_EDGES) + 1),
        "dwell": [0] * (len(_DWELL_EDGES) + 1),
        "micro": [0] * len(MICRO_NOISE_UNITS),
        **heard.no_counts(),
    }


_NO_CAP = 10**9
_SUMS = ("valence", "arousal", "voice_valence", "voice_arousal")
_MOST: dict[AnyCell, list[int]] = {
    cell: [CLIP if cell in _SUMS else 1] * len(numbers) for cell, numbers in _no_counts().items()
}
"""What one visit can add to each number at most, apart from analysable seconds."""


@dataclass(slots=True)
class ExactCounts:
    """Counts over visits without noise; must not be published.

    `expression`: `EXPRESSIONS` order, then unsure; likewise `tone` and `room_tone` of `TONES`,
    `words`, `fused` and `room_words` of `SENTIMENTS`; `channels`: of `CHANNELS`. `micro`:
    `POLARITIES` order, then visits in `OUTCOMES` order, then analysable seconds. The others follow
    the field order of their report type.
    """

    cells: dict[AnyCell, list[int]] = field(default_factory=_no_counts)

    def add(self, visit: Visit, min_size: float, bounded: bool) -> None:
        """Count one visit. `min_size`: inter-ocular distance required for micro-expressions,
        pixels. `bounded`: bound its contribution to `SENSITIVITY`."""
        for cell, numbers in _contribution(visit, min_size, bounded).items():
            self.add_numbers(cell, numbers)

    def merge(self, other: ExactCounts) -> None:
        for cell, numbers in other.cells.items():
            self.add_numbers(cell, numbers)

    def clipped(self, visits: int, bounded: bool) -> ExactCounts:
        """A copy whose numbers are within what so many visits can add at most; analysable seconds
        only where they are `bounded`."""
        most = {**_MOST, "micro": [*_MOST["micro"][:-1], MAX_MICRO_SECONDS if bounded else _NO_CAP]}
        return ExactCounts(
            {
                cell: [
                    max(-visits * bound, min(visits * bound, number))
                    for number, bound in zip(numbers, most[cell], strict=True)
                ]
                for cell, numbers in self.cells.items()
            }
        )

    def add_numbers(self, cell: AnyCell, numbers: list[int]) -> None:
        self.cells[cell] = [a + b for a, b in zip(self.cells[cell], numbers, strict=True)]


def _contribution(visit: Visit, min_size: float, bounded: bool) -> dict[AnyCell, list[int]]:
    """What one stay adds to the cells."""
    if visit.passing:
        return {"passing": [1]}
    return {
        "visits": [1],
        "expression": one_hot(dominant(visit), len(EXPRESSIONS) + 1),
        "valence": [mean(visit.valence, visit.estimates)],
        "arousal": [mean(visit.arousal, visit.estimates)],
        "attention": _bucket(visit.attention, _ATTENTION_EDGES),
        "dwell": _bucket(visit.last - visit.first, _DWELL_EDGES),
        "micro": _micro(visit, min_size, bounded),
        **heard.contribution(visit.said),
    }


def _micro(visit: Visit, min_size: float, bounded: bool) -> list[int]:
    shown = [polarity for polarity in POLARITIES if polarity in visit.micro]
    seconds = round(visit.analysable)
    if bounded:
        shown, seconds = shown[:MAX_POLARITIES], min(seconds, MAX_MICRO_SECONDS)
    return [
        *(int(polarity in shown) for polarity in POLARITIES),
        *one_hot(OUTCOMES.index(outcome(visit, min_size)), len(OUTCOMES)),
        seconds,
    ]


def outcome(visit: Visit, min_size: float) -> Literal["analysable"] | Reason:
    """Of `OUTCOMES`; `min_size` as for `ExactCounts.add`."""
    if visit.analysable >= MIN_ANALYSABLE_SECONDS:
        return "analysable"
    if visit.size < min_size:
        return "face_too_small"
    reason = max(OUTCOMES, key=lambda each: visit.refused.get(each, 0.0))
    return reason if visit.refused.get(reason) else "no_evidence"


def dominant(visit: Visit) -> int:
    """Index in `EXPRESSIONS` of the class with the largest sum; 8 (unsure) where more than half of
    the estimates were unsure, or there were none."""
    if 2 * visit.unsure > visit.estimates or visit.estimates == 0:
        return len(EXPRESSIONS)
    return int(np.argmax(visit.expression))


def _bucket(seconds: float, edges: tuple[float, ...]) -> list[int]:
    return one_hot(sum(seconds >= edge for edge in edges), len(edges) + 1)


@dataclass(slots=True)
class Window:
    """One window's counts by content slot, and its capture quality."""

    index: int
    length: int
    """Seconds."""
    counts: dict[int, ExactCounts] = field(default_factory=dict)
    """By slot, in the order in which they were on show. Without those at `places` while open."""
    places: dict[tuple[int, Place], ExactCounts] = field(default_factory=dict)
    """By slot and place, of visits that stayed at one."""
    frames: int = 0
    dropped: int = 0
    """Frames delivered by the source but not analysed."""
    over_budget: int = 0
    """Frames in which the time budget skipped faces."""
    dark: int = 0
    """Frames that were dark."""
    first: float = 0.0
    last: float = 0.0
    shown: dict[int, float] = field(default_factory=dict)
    """Seconds that each slot was on show while somebody could have been seen, by slot."""
    seconds: int = 0
    """Whole seconds of the source's clock with at least one frame."""
    capable_seconds: int = 0
    """Of these, those with a frame rate sufficient for micro-expressions."""
    flags: set[Flag] = field(default_factory=set)
    room: RoomTurns = field(init=False)
    listened: float = 0.0
    """Seconds of sound, speech or not."""
    sound_flags: set[SoundFlag] = field(default_factory=set)

    def share_shown(self, slot: int) -> float:
        """Of the window's length for which a slot was on show, in [0, 1]."""
        return min(self.shown.get(slot, 0.0) / self.length, 1.0)

    def __post_init__(self) -> None:
        self.room = RoomTurns(self.length)

    @property
    def start(self) -> int:
        """Seconds, the source's clock."""
        return self.index * self.length

    @property
    def fps(self) -> float:
        """Analysed frames per second; 0 for fewer than two frames."""
        span = self.last - self.first
        return (self.frames - 1) / span if span > 0 else 0.0


def _slot(window: Window, slot: int) -> int:
    """`slot`, if it was on show in the window, else the newest that was: what somebody does must
    not add a slot."""
    return slot if slot in window.counts else next(reversed(window.counts))


@dataclass(slots=True)
class _Second:
    """Frame count of the current whole second."""

    number: int
    window: Window
    frames: int = 0


class Windows:
    """Assigns frames and ended visits to windows; returns completed windows."""

    def __init__(self, length: int, grace: float, micro: MicroConfig, bounded: bool) -> None:
        """`grace`: seconds between a window's end and its closing. `bounded`: bound each visit's
        contribution to `SENSITIVITY`."""
        self._length = length
        self._grace = grace
        self._micro = micro
        self._bounded = bounded
        self._open: dict[int, Window] = {}
        self._second: _Second | None = None
        self._shown: tuple[float, int] | None = None
        """Time and slot of the latest frame."""

    def add_frame(
        self, perceived: Perceived, slot: int, dropped: int, flags: Iterable[Flag]
    ) -> None:
        """Add one frame. Times must not decrease."""
        index = int(perceived.time // self._length)
        window = self._open.get(index)
        if window is None:
            window = self._open[index] = Window(index, self._length, first=perceived.time)
        window.counts.setdefault(slot, ExactCounts())
        self._show(perceived.time, slot, window)
        window.frames += 1
        window.dropped += dropped
        window.over_budget += perceived.skipped > 0
        window.dark += perceived.dark
        window.last = perceived.time
        window.flags.update(flags)
        self._count_second(perceived, window)

    def _show(self, time: float, slot: int, window: Window) -> None:
        """Count the time since the frame before, for the slot that was on show then."""
        before, self._shown = self._shown, (time, slot)
        if before is None or time - before[0] > _VOUCHED:
            return
        start, earlier = before
        if start < window.start:
            last = self._open.get(int(start // self._length))
            if last is not None:
                last.shown[earlier] = last.shown.get(earlier, 0.0) + window.start - start
            start, earlier = window.start, slot
        window.shown[earlier] = window.shown.get(earlier, 0.0) + time - start

    def flag(self, time: float, flags: Iterable[Flag]) -> None:
        """Flag the window of this time, where it has a frame: what follows in it is missing."""
        window = self._open.get(int(time // self._length))
        if window is not None:
            window.flags.update(flags)

    def add_visits(self, visits: Iterable[Visit]) -> None:
        """Count ended visits and who passed by, each in the window of the last frame."""
        for visit in visits:
            window = self._open[int(visit.last // self._length)]
            slot = _slot(window, visit.slot)
            counts = window.counts[slot]
            if visit.place is not None:
                counts = window.places.setdefault((slot, visit.place), ExactCounts())
            counts.add(visit, self._micro.min_face, self._bounded)

    def hear(self, tone: Tone, slot: int) -> None:
        """Add a tone of the room; it is lost where its window is not open, or it is no reading."""
        if is_sound(tone):
            self._add_room("room_tone", tone, slot)

    def read(self, words: Words, slot: int) -> None:
        """Add words of nobody in particular, likewise."""
        if is_sound(words):
            self._add_room("room_words", words, slot)

    def listen(self, time: float, seconds: float, flags: Iterable[SoundFlag] = ()) -> None:
        """Count sound that was listened to until `time`, whatever was in it."""
        window = self._open.get(int(time // self._length))
        if window is not None:
            window.listened += seconds
            window.sound_flags |= set(flags)

    def _add_room(self, cell: AnyCell, reading: Tone | Words, slot: int) -> None:
        window = self._open.get(int(reading.time // self._length))
        if window is not None:
            slot = _slot(window, slot)
            window.room.add(cell, reading.time, slot, reading.probabilities, reading.label)

    def due(self, time: float) -> list[Window]:
        """Remove and return the windows that are complete at `time`, oldest first."""
        ends = {index: (index + 1) * self._length for index in sorted(self._open)}
        complete = [self._open.pop(i) for i, end in ends.items() if time - self._grace >= end]
        cap = place_cap(self._length)
        for window in complete:
            for (slot, _), counts in window.places.items():
                window.counts[slot].merge(counts.clipped(cap, self._bounded))
            window.places.clear()
            for slot, numbers in window.room.counts():
                for cell, each in numbers.items():
                    window.counts[slot].add_numbers(cell, each)
        if self._second is not None and any(self._second.window is each for each in complete):
            self._end_second()
        return complete

    def finish(self) -> list[Window]:
        """Remove and return all windows."""
        return self.due(math.inf)

    def _count_second(self, perceived: Perceived, window: Window) -> None:
        number = int(perceived.time)
        if self._second is None or self._second.number != number:
            self._end_second()
            self._second = _Second(number, window)
        self._second.frames += 1

    def _end_second(self) -> None:
        if self._second is None:
            return
        second, self._second = self._second, None
        second.window.seconds += 1
        # Frame times do not depend on visits and need no noise; the spotter's status would reveal
        # whether a face was in view.
        second.window.capable_seconds += second.frames >= _FPS_TOLERANCE * self._micro.min_fps
