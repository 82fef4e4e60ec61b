"""What the tone's networks learn from: stretches of three seconds, in rooms and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.voice.frames import measure
from agent.voice.logmel import ROWS, picture, speech_level
from agent.voice.prosody import functionals
from agent.voice.sound import FRAME, HOP
from tools.common.progress import along
from tools.train.voice import room
from tools.train.voice.corpora import EMOTIONS, Utterance

TONES = ("neutral", "happy", "angry", "sad")
_LEVEL = 0.08
"""Root mean square of speech before gains are drawn."""
_BELOW = 30.0
"""dB under the loud frames, down to which a frame counts as spoken in clean speech."""
COPIES = 6
"""Disturbed copies of each utterance beside the clean one."""


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
    arousal: Float
    valence: Float
    source: NDArray[np.int64]
    """int64[N]: which utterance."""

    def rows(self, chosen: NDArray[np.intp]) -> Material:
        """Of these rows."""
        return Material(*(getattr(self, field.name)[chosen] for field in fields(self)))


def spoken_of(level: Float) -> NDArray[np.bool_]:
    """bool[N] of frames' levels of clean speech."""
    return np.asarray(level > max(float(np.percentile(level, 95)) - _BELOW, -75.0))


def stretch(sound: Float, spoken: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], Float]:
    """Picture and functionals of at most three seconds of sound; `spoken` bool[N] of its frames."""
    frames = measure(sound)
    count = min(len(frames), len(spoken))
    spoken = np.concatenate([spoken[:count], np.zeros(len(frames) - count, bool)])
    level = speech_level(frames, spoken)
    return picture(frames.bands, level), functionals(frames, spoken)


def cut(rng: np.random.Generator | None, one: Float, spoken: NDArray[np.bool_]) -> slice:
    """Frames of a stretch: where most is spoken, or near there at random."""
    if len(spoken) <= ROWS:
        return slice(0, len(spoken))
    heard = np.convolve(spoken, np.ones(ROWS), "valid")
    if rng is None:
        return slice(int(heard.argmax()), int(heard.argmax()) + ROWS)
    good = np.flatnonzero(heard >= 0.8 * heard.max())
    start = int(rng.choice(good))
    return slice(start, start + ROWS)


def disturbed(rng: np.random.Generator, sound: Float, voices: Sequence[Float]) -> Float:
    """The same speech at another level, by another microphone, in a room, with noise."""
    if rng.random() < 0.7:
        sound = room.coloured(rng, sound)
    if rng.random() < 0.5:
        seconds = float(np.exp(rng.uniform(np.log(0.15), np.log(1.0))))
        sound = room.reverberated(rng, sound, seconds, float(np.exp(rng.uniform(-0.7, 1.5))))
    if rng.random() < 0.6:
        other = room.noise(rng, len(sound), list(voices))
        sound = room.mixed(sound, other, float(rng.uniform(3, 35)))
    return np.clip(sound * float(10 ** (rng.uniform(-20, 12) / 20)), -1, 1)


def made(found: Sequence[Utterance], copies: int, seed: int) -> Material:
    """The clean stretch of each utterance and `copies` disturbed ones."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[NDArray[np.uint8], Float, int]] = []
    voices = [one.samples for one in found[:: max(len(found) // 60, 1)]]
    for index, one in enumerate(along(found, "stretches")):
        frames_level = measure_level(one.samples)
        spoken = spoken_of(frames_level)
        sound = one.samples * (_LEVEL / (_active(one.samples) + 1e-6))
        for copy in range(copies + 1):
            place = cut(rng if copy else None, sound, spoken)
            part = sound[place.start * HOP : (place.stop - 1) * HOP + FRAME]
            if copy:
                part = disturbed(rng, part, voices)
            rows.append((*stretch(part, spoken[place]), index))
    picks = np.array([row[2] for row in rows], np.int64)
    tones = [TONES.index(one.tone) if one.tone else -1 for one in found]
    return Material(
        np.stack([row[0] for row in rows]),
        np.stack([row[1] for row in rows]),
        np.array([EMOTIONS.index(one.emotion) for one in found], np.int64)[picks],
        np.array(tones, np.int64)[picks],
        np.array([one.arousal for one in found], np.float32)[picks],
        np.array([one.valence for one in found], np.float32)[picks],
        picks,
    )


def measure_level(samples: Float) -> Float:
    """float32[N], dB, of each whole frame."""
    count = max((len(samples) - FRAME) // HOP + 1, 0)
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    start = np.arange(count) * HOP
    return (10 * np.log10((power[start + FRAME] - power[start]) / FRAME + 1e-9)).astype(np.float32)


def _active(samples: Float) -> float:
    level = measure_level(samples)
    if not len(level):
        return 0.0
    return float(10 ** (level[spoken_of(level)].mean() / 20))
