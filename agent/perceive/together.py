"""What face, voice and words of one person in view say together, every few seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from agent.base.types import UNSURE, Float, Fused, Perceived, Tone, Words
from agent.fusion import (
    EXPRESSION_TO_POLARITY,
    PRIOR,
    PRIORS,
    RELIABILITY,
    TONE_TO_POLARITY,
    Channel,
    adjusted,
    fuse,
    polarity,
)

EVERY = 3.0
"""Seconds of a face in view that make one reading."""
_ENOUGH = 1.5
"""Seconds of a channel from which it has its full weight."""


@dataclass(slots=True, eq=False)
class _Evidence:
    """Of one track since its last reading."""

    since: float
    latest: float
    read: float
    """When the expression was read last."""
    face: list[Float] = field(default_factory=list)
    """float32[8] each."""
    seconds: float = 0.0
    """In which the expression was read."""
    visible: list[float] = field(default_factory=list)
    """Of each reading."""
    tones: list[Tone] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


class Together:
    """Collects what the channels say of each track."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Evidence] = {}

    def see(self, perceived: Perceived) -> None:
        """Expressions of one frame; times ascend."""
        for face in perceived.faces:
            evidence = self._of(face.track_id, perceived.time)
            if face.expression is not None and face.expression_is_new:
                evidence.face.append(face.expression.probabilities)
                evidence.visible.append(face.expression.visible)
                evidence.seconds += min(perceived.time - evidence.read, 0.5)
                evidence.read = perceived.time
            evidence.latest = perceived.time

    def hear(self, tone: Tone) -> None:
        """A tone of voice; of nobody's is nothing made."""
        if tone.track_id is not None and tone.label != UNSURE:
            self._of(tone.track_id, tone.time).tones.append(tone)

    def read(self, words: Words) -> None:
        """An utterance's sentiment, likewise."""
        if words.track_id is not None and words.label != UNSURE:
            self._of(words.track_id, words.time).words.append(words)

    def due(self, time: float) -> list[Fused]:
        """The readings of tracks that have been in view long enough, or no longer are."""
        done = [
            track
            for track, evidence in self._tracks.items()
            if time - evidence.since >= EVERY or time - evidence.latest >= EVERY / 2
        ]
        found = (_reading(track, time, self._tracks.pop(track)) for track in done)
        return [each for each in found if each is not None]

    def finish(self) -> list[Fused]:
        """Readings of all tracks."""
        return self.due(float("inf"))

    def _of(self, track: int, time: float) -> _Evidence:
        return self._tracks.setdefault(track, _Evidence(time, time, time))


def _reading(track: int, time: float, evidence: _Evidence) -> Fused | None:
    channels: dict[str, Channel] = {}
    if evidence.face:
        face = np.mean(evidence.face, 0)
        channels["face"] = Channel(
            adjusted(polarity(face, EXPRESSION_TO_POLARITY), PRIORS["face"]),
            RELIABILITY["face"]
            * min(evidence.seconds / _ENOUGH, 1.0)
            * float(np.mean(evidence.visible)),
        )
    if evidence.tones:
        seconds = np.array([each.seconds for each in evidence.tones])
        tone = np.average([each.probabilities for each in evidence.tones], 0, seconds)
        channels["voice"] = Channel(
            adjusted(polarity(np.asarray(tone, np.float32), TONE_TO_POLARITY), PRIORS["voice"]),
            RELIABILITY["voice"]
            * min(float(seconds.sum()) / _ENOUGH, 1.0)
            * float(np.average([each.quality for each in evidence.tones], 0, seconds)),
        )
    if evidence.words:
        words = np.mean([each.probabilities for each in evidence.words], 0)
        channels["words"] = Channel(
            adjusted(np.asarray(words, np.float32), PRIORS["words"]), RELIABILITY["words"]
        )
    reading = fuse(channels, PRIOR)
    if reading is None:
        return None
    return Fused(
        min(time, evidence.latest),
        reading.probabilities,
        reading.label,
        frozenset(reading.channels),
        track,
    )
