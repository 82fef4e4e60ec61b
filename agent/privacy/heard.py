"""What voices and words add to a window: of visits, and of the room.

A visit's speech and words are counted once, where it ends, as its expression is. Those of nobody in
particular (several faces in view, or none) are the room's. It has no visits whose influence could
be bounded; instead the window is cut into turns of `TURN` seconds, and each counts once at most, by
its dominant tone (and its dominant sentiment), for one content slot.

What that protects: whatever is said to the room within `UNIT` seconds, by however many people,
changes `MAX_TURNS` turns at most, and each of them moves two numbers by one at most. So a visit
that speaks to the room for no longer than that is within its epsilon with all that is published of
it. What it does not: each further turn in which it speaks adds 1 / `MAX_TURNS` of the epsilon of
`room_tone`; a window has window / TURN turns at most. And whom speech belongs to is decided before
anything is counted here: who stands beside somebody turns that one's speech into the room's, who
speaks out of view is taken for the one face in view.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agent.base.types import (
    CHANNELS,
    SENTIMENTS,
    TONES,
    Float,
    Fused,
    Said,
    Tally,
    Tone,
    Words,
)
from agent.base.vocabulary import AnyCell

TURN = 20
"""Seconds; windows that are shorter have one turn."""
UNIT = 60
"""Seconds."""
READING = 3.5
"""Seconds of sound that a reading covers at most; it is dated to their end."""
MAX_TURNS = 5
"""That hold the readings of what is said within `UNIT` seconds: their times span UNIT + READING
seconds at most, less than four turns, and so lie in five."""
_SPEECH_EDGES = (5.0, 15.0)
CLIP = 100
"""Clipping bound of a visit's mean valence and arousal of voice, hundredths."""

SENSITIVITY: dict[AnyCell, int] = {
    "tone": 1,
    "speech": 1,
    "voice_valence": CLIP,
    "voice_arousal": CLIP,
    "words": 1,
    "fused": 1,
    "channels": len(CHANNELS),
    "room_tone": 2 * MAX_TURNS,
    "room_words": 2 * MAX_TURNS,
}
"""L1 sensitivity: of `room_*` to what is said within `UNIT` seconds, of the others to a visit."""


def no_counts() -> dict[AnyCell, list[int]]:
    return {
        "tone": [0] * (len(TONES) + 1),
        "speech": [0] * (len(_SPEECH_EDGES) + 2),
        "voice_valence": [0],
        "voice_arousal": [0],
        "words": [0] * (len(SENTIMENTS) + 1),
        "fused": [0] * (len(SENTIMENTS) + 1),
        "channels": [0] * len(CHANNELS),
        "room_tone": [0] * (len(TONES) + 1),
        "room_words": [0] * (len(SENTIMENTS) + 1),
    }


def is_sound(reading: Tone | Words | Fused) -> bool:
    """Whether a reading has the shape of its classes and finite numbers; others are not counted."""
    classes, numbers = len(SENTIMENTS), [reading.time]
    if isinstance(reading, Tone):
        classes = len(TONES)
        numbers += [reading.seconds, reading.valence, reading.arousal]
    probabilities = np.asarray(reading.probabilities)
    whole = probabilities.shape == (classes,) and bool(np.isfinite(probabilities).all())
    return whole and all(map(math.isfinite, numbers))


def contribution(said: Said | None) -> dict[AnyCell, list[int]]:
    """What one visit adds to each cell. `tone`, `words` and `fused` count visits with readings."""
    if said is None:
        return {"speech": one_hot(0, len(_SPEECH_EDGES) + 2)}
    bucket = 1 + sum(said.seconds >= edge for edge in _SPEECH_EDGES) if said.seconds > 0 else 0
    return {
        "tone": vote(said.tone),
        "speech": one_hot(bucket, len(_SPEECH_EDGES) + 2),
        "voice_valence": [mean(said.valence, said.tone.readings)],
        "voice_arousal": [mean(said.arousal, said.tone.readings)],
        "words": vote(said.words),
        "fused": vote(said.fused),
        "channels": [int(channel in said.channels) for channel in CHANNELS],
    }


def vote(tally: Tally) -> list[int]:
    """One for the dominant class, unsure last; nothing without readings."""
    classes = len(tally.sums) + 1
    return one_hot(tally.dominant, classes) if tally.readings else [0] * classes


def mean(total: float, number: int) -> int:
    """In hundredths, clipped to `CLIP`; 0 of nothing."""
    return max(-CLIP, min(CLIP, round(CLIP * total / number))) if number else 0


def one_hot(index: int, length: int) -> list[int]:
    return [int(place == index) for place in range(length)]


@dataclass(slots=True)
class Turn:
    """One stretch of a window in which the room spoke, or was read."""

    slot: int
    """On show at its first reading."""
    tally: Tally


class RoomTurns:
    """The turns of one window, by cell and number; at most two for each `TURN` of its length."""

    def __init__(self, length: int) -> None:
        """`length`: of the window, seconds."""
        self._turn = min(TURN, length)
        self._turns: dict[tuple[AnyCell, int], Turn] = {}

    def add(self, cell: AnyCell, time: float, slot: int, probabilities: Float, label: str) -> None:
        """Add one reading of the room; `cell`: `room_tone` or `room_words`."""
        key = cell, int(time // self._turn)
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = Turn(slot, Tally.of(len(probabilities)))
        turn.tally.add(probabilities, label)

    def counts(self) -> list[tuple[int, Mapping[AnyCell, list[int]]]]:
        """What each turn adds, and to which slot."""
        return [(turn.slot, {cell: vote(turn.tally)}) for (cell, _), turn in self._turns.items()]
