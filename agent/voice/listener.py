"""A stream of sound to stretches of speech, each with its tone.

Nothing of the sound is kept but the samples that the next frame shares with the last one, and what
was measured of at most three seconds (`logmel.SECONDS`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import SOUND_RATE, Float, Sound
from agent.inference.manifest import Manifest
from agent.voice.activity import Activity
from agent.voice.colour import Colour
from agent.voice.frames import Frames, measure
from agent.voice.level import Fault, Level
from agent.voice.logmel import ROWS
from agent.voice.sound import FRAME, HOP
from agent.voice.tone import SPECTRUM, ToneReader, ToneReading

_STEP = HOP / SOUND_RATE
"""Seconds from frame to frame."""
_PAUSE = round(0.6 / _STEP)
"""Frames without speech that end a stretch."""
_LEAST = round(0.2 / _STEP)
"""Spoken frames below which a stretch was a noise."""
_LEAST_MORE = round(0.5 / _STEP)
"""The same of what is left over of speech that was cut after three seconds: too little to read."""
_GAP = 0.05
"""Seconds of missing sound after which the stream begins anew."""
_RECENT = round(0.3 / _STEP)
"""Frames over which `speech` looks back."""


_DEPTH = 5.0, 15.0
"""dB."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Speech of at most three seconds, without a pause of more than .6 s."""

    start: float
    """Seconds, the source's clock: of its first spoken frame."""
    end: float
    """Of its last spoken frame."""
    seconds: float
    """Of speech in it."""
    tone: ToneReading | None
    """None: too little was spoken, or there is no model of it."""
    depth: float = 99.0
    """dB between the loud spoken frames and the quietest moments: near 0 in noise."""

    @property
    def quality(self) -> float:
        """In [0, 1]: below 5 dB of depth speech is hardly heard, from 15 dB on noise does no harm
        (tools.eval fusion)."""
        return float(np.clip((self.depth - _DEPTH[0]) / (_DEPTH[1] - _DEPTH[0]), 0.0, 1.0))


class Listener:
    """Hears one microphone or file, in order."""

    def __init__(self, manifest: Manifest, adapts: bool = True) -> None:
        """`adapts`: to the room's colour. Raises `ModelError`. A set of models without `tone` hears
        speech, and no tone in it."""
        self._activity = Activity(manifest)
        self._read = ToneReader(manifest) if SPECTRUM in manifest.models else None
        self._colour = Colour(self._read.spectrum) if self._read is not None and adapts else None
        self.level = Level()
        self.speech = 0.0
        """Probability that somebody speaks now: the highest of the last .3 s."""
        self.latest: Frames | None = None
        """What the last call measured."""
        self.latest_speech: Float = np.zeros(0, np.float32)
        """float32[N] of those frames."""
        self.latest_start = 0.0
        """Seconds: where the first of them begins."""
        self._tail: Float = np.zeros(0, np.float32)
        self._end: float | None = None
        self._recent = np.zeros(_RECENT, np.float32)
        self._frames: list[Frames] = []
        self._spoken: list[NDArray[np.bool_]] = []
        self._start = 0.0
        self._goes_on = False
        """Whether the last stretch was cut without a pause."""

    @property
    def faults(self) -> set[Fault]:
        """What was wrong with the last sound."""
        return self.level.faults

    def __call__(self, sound: Sound) -> list[Stretch]:
        """The stretches that ended in this sound; it may have any length, and any number of
        samples may be missing before it."""
        ended: list[Stretch] = []
        if self._end is not None and abs(sound.time - self._end) > _GAP:
            ended = self.finish()
        start = sound.time - len(self._tail) / SOUND_RATE
        self._end = sound.end
        samples = np.concatenate([self._tail, self.level(sound.samples)])
        frames = measure(samples)
        self._tail = samples[len(frames) * HOP :][-FRAME:].copy()
        self.latest, self.latest_start = frames, start
        self.latest_speech = probability = self._activity(frames)
        if len(frames):
            self._recent = np.concatenate([self._recent, probability])[-_RECENT:]
            self.speech = float(self._recent.max())
        return ended + self._take(frames, self._activity.spoken(probability), start)

    def joined(self, readings: Sequence[ToneReading]) -> ToneReading | None:
        """The tone of several stretches together; None where there are none."""
        return self._read.joined(readings) if self._read is not None else None

    def finish(self) -> list[Stretch]:
        """The stretch that is not over; what comes next is another stream, in the same room."""
        ended = self._end_stretch()
        self._restart()
        return ended

    def forget(self) -> None:
        """Forget what was heard, and the room."""
        self._restart()
        if self._colour is not None:
            self._colour.reset()

    def _restart(self) -> None:
        self._activity.reset()
        self._tail = np.zeros(0, np.float32)
        self._recent[:] = 0.0
        self.speech, self._end = 0.0, None
        self._frames, self._spoken = [], []

    def _take(self, frames: Frames, spoken: NDArray[np.bool_], start: float) -> list[Stretch]:
        """Add frames to the stretch, of which there may be several."""
        ended: list[Stretch] = []
        at = 0
        while at < len(frames):
            if not self._frames:  # wait for speech
                pause = self._goes_on and not spoken[at]
                self._goes_on = self._goes_on and not pause
                found = np.flatnonzero(spoken[at:])
                if not len(found):
                    break
                at += int(found[0])
                self._start = start + at * _STEP
            room = ROWS - sum(map(len, self._spoken))
            stop = min(at + room, at + self._until_pause(spoken[at:]), len(frames))
            self._frames.append(frames[at:stop])
            self._spoken.append(spoken[at:stop])
            at = stop
            if sum(map(len, self._spoken)) >= ROWS or self._silence() >= _PAUSE:
                ended += self._end_stretch()
        return ended

    def _until_pause(self, spoken: NDArray[np.bool_]) -> int:
        """Number of the frames to come up to the end of the first pause."""
        quiet = self._silence()
        for index, speech in enumerate(spoken):
            quiet = 0 if speech else quiet + 1
            if quiet >= _PAUSE:
                return index + 1
        return len(spoken)

    def _silence(self) -> int:
        """Frames since the last spoken one of the stretch."""
        quiet = 0
        for part in reversed(self._spoken):
            found = np.flatnonzero(part[::-1])
            if len(found):
                return quiet + int(found[0])
            quiet += len(part)
        return quiet

    def _end_stretch(self) -> list[Stretch]:
        if not self._frames:
            return []
        frames, spoken = Frames.joined(self._frames), np.concatenate(self._spoken)
        self._frames, self._spoken = [], []
        goes_on, self._goes_on = self._goes_on, len(spoken) >= ROWS
        if spoken.sum() < (_LEAST_MORE if goes_on else _LEAST):
            return []
        last = int(np.flatnonzero(spoken)[-1]) + 1
        tone = self._tone(frames[:last], spoken[:last])
        end = self._start + last * _STEP
        loud = np.percentile(frames.level[spoken], 90)
        depth = float(loud - np.percentile(frames.level, 10))
        return [Stretch(self._start, end, float(spoken.sum()) * _STEP, tone, depth)]

    def _tone(self, frames: Frames, spoken: NDArray[np.bool_]) -> ToneReading | None:
        if self._read is None:
            return None
        if self._colour is not None:
            frames = self._colour(frames, spoken)
        return self._read(frames, spoken)
