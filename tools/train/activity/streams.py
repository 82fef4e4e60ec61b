"""Minutes of talk with pauses, clean and in rooms and noise, and where in them people speak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.voice.sound import FRAME, HOP, RATE
from tools.train.voice import room

Generator = np.random.Generator
Noise = Callable[[Generator, int], Float]
LEVEL = 0.06
"""Root mean square of clean speech while it is active."""
_DELAY = 512
"""Samples by which the responses of `room.coloured` are late: labels would be, too."""
_BELOW, _LEAST = 30.0, -75.0
"""dB under the loud frames of an utterance, and under full scale, down to which it is speech."""
_EDGE = 160
"""Samples over which a cut end fades."""


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """Clean speech with pauses."""

    sound: Float
    """float32[S]."""
    spoken: Float
    """float32[N], 1 in frames of speech: within 30 dB of the utterance's loud frames."""


def talk(rng: Generator, voices: Sequence[Float], seconds: float, varied: bool = True) -> Talk:
    """Utterances one after the other, with pauses of 0 to 10 s; `varied`: at other speeds, and
    some louder than others."""
    size = round(seconds * RATE)
    out = np.zeros(size, np.float32)
    spoken = np.zeros(max((size - FRAME) // HOP + 1, 0), np.float32)
    at = round(rng.uniform(0, 3) * RATE / HOP) * HOP
    while at < size:
        voice = voices[int(rng.integers(len(voices)))]
        if varied and rng.random() < 0.6:
            speed = rng.uniform(0.83, 1.2)
            place = np.arange(int(len(voice) / speed)) * speed
            voice = np.interp(place, np.arange(len(voice)), voice).astype(np.float32)
        squares = _squares(voice)
        active = spoken_frames(squares)
        if not active.any():
            continue
        gain = LEVEL / np.sqrt(squares[active].mean())
        if varied:
            gain *= 10 ** (rng.uniform(-6, 6) / 20)
        voice = voice[: size - at] * np.float32(gain)
        fade = np.linspace(0, 1, min(_EDGE, len(voice)), dtype=np.float32)
        voice[: len(fade)] *= fade
        voice[len(voice) - len(fade) :] *= fade[::-1]
        out[at : at + len(voice)] = voice
        first = at // HOP
        part = spoken[first : first + len(active)]
        part[:] = active[: len(part)]
        pause = rng.uniform(3, 10) if rng.random() < 0.15 else rng.exponential(1.0)
        at += len(voice) + round(pause * RATE / HOP) * HOP
    return Talk(out, spoken)


def spoken_frames(squares: Float) -> NDArray[np.bool_]:
    """bool[N] of the mean squares of the frames of one clean utterance."""
    level = 10 * np.log10(squares + 1e-12)
    loud = float(np.percentile(level, 95)) if len(level) else 0.0
    return np.asarray(level > max(loud - _BELOW, _LEAST))


def power(clean: Talk) -> float:
    """Mean square of the speech while it is active."""
    active = clean.spoken > 0.5
    return float(_squares(clean.sound)[active].mean()) if active.any() else 0.0


def _squares(sound: Float) -> Float:
    """Mean square of each whole frame, float32[N]."""
    count = max((len(sound) - FRAME) // HOP + 1, 0)
    total = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    start = np.arange(count) * HOP
    return ((total[start + FRAME] - total[start]) / FRAME).astype(np.float32)


def disturbed(rng: Generator, clean: Talk, noise: Noise) -> tuple[Float, Float]:
    """The talk by another microphone, in a room, in noises that come and go; and 0 in the frames
    whose speech was taken out to leave noise alone, else 1."""
    sound = clean.sound.copy()
    kept = np.ones(len(clean.spoken), np.float32)
    loud = power(clean)
    added = np.zeros_like(sound)
    at = 0
    while at < len(sound):
        length = min(round(rng.uniform(8, 40) * RATE), len(sound) - at)
        way = rng.random()
        if way < 0.12:
            sound[at : at + length] = 0
            kept[max(at // HOP - 3, 0) : (at + length) // HOP] = 0
        if way < 0.9 and length > RATE // 4:
            part = noise(rng, length)
            decibels = rng.uniform(-10, 30) if rng.random() < 0.7 else rng.uniform(-5, 12)
            fade = np.minimum(np.minimum(np.arange(length), np.arange(length)[::-1]) / 800, 1)
            added[at : at + length] += (
                np.sqrt(loud / 10 ** (decibels / 10)) * part * (fade if way < 0.6 else 1.0)
            ).astype(np.float32)
        at += length
    if rng.random() < 0.7:
        sound = _through(microphone(rng), sound, _DELAY)
    if rng.random() < 0.5:
        seconds = float(np.exp(rng.uniform(np.log(0.15), np.log(1.2))))
        sound = _through(echo(rng, seconds, float(np.exp(rng.uniform(-0.7, 1.5)))), sound)
    sound = sound + added
    if rng.random() < 0.5:
        sound = _through(microphone(rng), sound, _DELAY)
    if rng.random() < 0.85:
        hiss = rng.normal(size=len(sound)) * 10 ** (rng.uniform(-85, -50) / 20)
        sound = sound + hiss.astype(np.float32)
    sound = sound * np.float32(10 ** (rng.uniform(-20, 16) / 20))
    if rng.random() < 0.5:
        sound = np.rint(sound * np.float32(32768)) / np.float32(32768)
    return np.clip(sound, -1, 1).astype(np.float32), kept


def microphone(rng: Generator) -> Float:
    """Impulse response of a microphone, float32[1024], `_DELAY` samples late."""
    impulse = np.zeros(1024, np.float32)
    impulse[0] = 1.0
    return room.coloured(rng, impulse)


def echo(rng: Generator, seconds: float, direct: float) -> Float:
    """Impulse response of a room with this reverberation time, see `room.reverberated`."""
    impulse = np.zeros(round(seconds * RATE), np.float32)
    impulse[0] = 1.0
    return room.reverberated(rng, impulse, seconds, direct)


def _through(response: Float, sound: Float, late: int = 0) -> Float:
    """The convolution from `late` on, as long as `sound`, block by block (overlap and add)."""
    block = 1 << (4 * len(response) - 1).bit_length()
    step = block - len(response) + 1
    kernel = np.fft.rfft(response, block)
    out = np.zeros(len(sound) + block, np.float32)
    for at in range(0, len(sound), step):
        part = np.fft.rfft(sound[at : at + step], block)
        out[at : at + block] += np.fft.irfft(part * kernel, block)
    return out[late : late + len(sound)]


def reverberant(rng: Generator, clean: Talk, seconds: float) -> Talk:
    """The talk in a room; what counts as spoken stays."""
    return Talk(_through(echo(rng, seconds, 1.0), clean.sound), clean.spoken)


def mixed(clean: Talk, noise: Float, decibels: float | None) -> Float:
    """The talk with noise float32[S] of root mean square 1 at a signal-to-noise ratio; None:
    without."""
    if decibels is None:
        return clean.sound
    scale = np.sqrt(power(clean) / 10 ** (decibels / 10))
    return np.asarray(clean.sound + np.float32(scale) * noise, np.float32)
