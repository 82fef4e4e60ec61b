"""What the tone's networks learn from: stretches of three seconds, in rooms and noise."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from agent.base.types import TONES, Float
from agent.voice.frames import measure
from agent.voice.logmel import ROWS
from agent.voice.sound import FRAME, HOP
from agent.voice.tone import inputs
from tools.common.progress import along
from tools.train.voice import room
from tools.train.voice.corpora import EMOTIONS, HIGH, LOW, Utterance

_BELOW = 30.0
"""dB under the loud frames, down to which a frame counts as spoken in clean speech."""
_SILENCE = 50.0
"""dB under the loudest frame, below which nothing is spoken."""
COPIES: Mapping[str, int] = {"ravdess": 6, "emodb": 6, "ased": 2}
"""Disturbed copies of each utterance beside the clean one, by corpus: the small ones need more."""
Spoken = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """N stretches."""

    pictures: NDArray[np.uint8]
    """uint8[N, 300, 26]."""
    values: Float
    """float32[N, 82], functionals."""
    emotion: NDArray[np.int64]
    """int64[N], of `EMOTIONS`."""
    tone: NDArray[np.int64]
    """int64[N], of `TONES`; -1 none of them."""
    high: NDArray[np.int64]
    """int64[N], arousal: 1 high, 0 low, -1 neither."""
    valence: Float
    """float32[N], in [-1, 1]."""
    source: NDArray[np.int64]
    """int64[N]: which utterance."""
    copy: NDArray[np.int64]
    """int64[N]: 0 the clean one."""

    def rows(self, chosen: NDArray[np.intp] | Spoken) -> Material:
        """Of these rows."""
        return Material(*(getattr(self, field.name)[chosen] for field in fields(self)))


def levels(samples: Float) -> Float:
    """float32[N], dB, of each whole frame of float32[S]."""
    count = max((len(samples) - FRAME) // HOP + 1, 0)
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    start = np.arange(count) * HOP
    return (10 * np.log10((power[start + FRAME] - power[start]) / FRAME + 1e-12)).astype(np.float32)


def spoken_of(level: Float, below: float = _BELOW) -> Spoken:
    """bool[N] of frames' levels of clean speech, at any gain."""
    if not len(level):
        return np.zeros(0, bool)
    loud = float(np.percentile(level, 95))
    return np.asarray(level > max(loud - below, float(level.max()) - _SILENCE))


def loosely(rng: np.random.Generator, level: Float) -> Spoken:
    """As another detector of speech would have it: stricter or laxer, with pauses bridged and some
    frames more at either end."""
    spoken = spoken_of(level, float(rng.uniform(22, 38)))
    if rng.random() < 0.3 or not spoken.any():
        return spoken
    bridge, before, after = (int(rng.integers(most)) for most in (30, 8, 20))
    where = np.flatnonzero(spoken)
    for here, there in itertools.pairwise(where):
        if there - here <= bridge:
            spoken[here:there] = True
    for index in np.flatnonzero(spoken):
        spoken[max(index - before, 0) : index + after + 1] = True
    return spoken


def cut(rng: np.random.Generator | None, spoken: Spoken) -> slice:
    """Frames of a stretch: where most is spoken, or near there at random."""
    if len(spoken) <= ROWS:
        return slice(0, len(spoken))
    heard = np.convolve(spoken, np.ones(ROWS), "valid")
    if rng is None:
        start = int(heard.argmax())
    else:
        start = int(rng.choice(np.flatnonzero(heard >= 0.75 * heard.max())))
    return slice(start, start + ROWS)


def disturbed(rng: np.random.Generator, sound: Float, voices: Sequence[Float]) -> Float:
    """The same speech at another level and speed; in half of the cases also by another microphone,
    in a room, or with noise."""
    sound = faster(sound, float(rng.uniform(0.92, 1.09)))
    if rng.random() < 0.5:
        if rng.random() < 0.7:
            sound = room.coloured(rng, sound)
        if rng.random() < 0.6:
            seconds = float(np.exp(rng.uniform(np.log(0.15), np.log(1.0))))
            sound = room.reverberated(rng, sound, seconds, float(np.exp(rng.uniform(-0.7, 1.5))))
        if rng.random() < 0.6:
            other = room.noise(rng, len(sound), list(voices))
            sound = room.mixed(sound, other, float(rng.uniform(3, 35)))
    gain = float(10 ** (rng.uniform(-15, 15) / 20))
    return np.clip(sound * gain, -1, 1)


def faster(sound: Float, speed: float) -> Float:
    """The sound `speed` times as fast and as high, by its Fourier transform."""
    count = round(len(sound) / speed)
    spectrum = np.fft.rfft(sound)[: count // 2 + 1]
    return np.asarray(np.fft.irfft(spectrum, count) * (count / len(sound)), np.float32)


def made(found: Sequence[Utterance], copies: Mapping[str, int], seed: int) -> Material:
    """The clean stretch of each utterance and disturbed ones."""
    rng = np.random.default_rng(seed)
    rows = []
    voices = [one.samples for one in found[:: max(len(found) // 60, 1)]]
    for index, one in enumerate(along(found, "stretches")):
        for copy in range(copies[one.corpus] + 1):
            level = levels(one.samples)
            spoken = loosely(rng, level) if copy else spoken_of(level)
            place = cut(rng if copy else None, spoken)
            part, said = (
                one.samples[place.start * HOP : (place.stop - 1) * HOP + FRAME],
                spoken[place],
            )
            if copy:
                before = len(part)
                part = disturbed(rng, part, voices)
                frames = max((len(part) - FRAME) // HOP + 1, 0)
                said = said[np.minimum(np.arange(frames) * before // len(part), len(said) - 1)]
            given = inputs(measure(part), said)
            if given is not None:
                rows.append((*given, index, copy))
    picks = np.array([row[2] for row in rows], np.int64)
    emotions = [one.emotion for one in found]
    tones = [TONES.index(one.tone) if one.tone else -1 for one in found]
    high = [1 if each in HIGH else 0 if each in LOW else -1 for each in emotions]
    return Material(
        np.stack([row[0] for row in rows]),
        np.stack([row[1] for row in rows]),
        np.array([EMOTIONS.index(each) for each in emotions], np.int64)[picks],
        np.array(tones, np.int64)[picks],
        np.array(high, np.int64)[picks],
        np.array([one.valence for one in found], np.float32)[picks],
        picks,
        np.array([row[3] for row in rows], np.int64),
    )
