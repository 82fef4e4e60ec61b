"""Sounds that are no speech, made here: what training hears beside `tools.train.voice.room`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.voice.sound import RATE
from tools.train.voice import room

Generator = np.random.Generator
Wide = NDArray[np.float64]


def shaped(rng: Generator, count: int, low: float, high: float, slope: float = 0.0) -> Wide:
    """Noise between two frequencies, Hz, falling by `slope` in amplitude per octave and outside
    the band steeply; root mean square 1."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20.0)
    spectrum *= hertz**-slope / (1 + (low / hertz) ** 6) / (1 + (hertz / high) ** 6)
    out = np.fft.irfft(spectrum, count)
    return np.asarray(out / (out.std() + 1e-12))


def _course(rng: Generator, count: int, hertz: float) -> Wide:
    """A smooth random course, about -1 to 1, that changes `hertz` times a second."""
    knots = rng.normal(size=max(round(count / RATE * hertz), 1) + 3)
    place = np.arange(count) / RATE * hertz + rng.random()
    low = np.minimum(place.astype(np.int64), len(knots) - 2)
    part = 0.5 - 0.5 * np.cos(np.pi * np.clip(place - low, 0, 1))
    return np.asarray(knots[low] * (1 - part) + knots[low + 1] * part)


def modulated(rng: Generator, count: int) -> Wide:
    """Noise that swells at the rate of syllables, or slower."""
    out = shaped(rng, count, rng.uniform(50, 800), rng.uniform(1500, 8000), rng.uniform(0, 1))
    return out * 10 ** (rng.uniform(3, 12) / 20 * _course(rng, count, rng.uniform(0.3, 8)))


def wind(rng: Generator, count: int) -> Wide:
    """Gusts below some hundred Hz."""
    out = shaped(rng, count, 20, rng.uniform(80, 500), rng.uniform(0.5, 1.5))
    return out * 10 ** (0.5 * _course(rng, count, rng.uniform(0.3, 3)))


def bursts(rng: Generator, count: int) -> Wide:
    """Coughs, knocks and clicks: short noises of one colour each, alone or in groups."""
    out = 0.02 * shaped(rng, count, 50, 6000, 0.5)
    at = rng.uniform(0, 0.5) * RATE
    while at < count:
        cough = rng.random() < 0.5
        low = rng.uniform(150, 700) if cough else rng.uniform(200, 4000)
        for _ in range(int(rng.integers(1, 5))):
            length = round((rng.uniform(0.06, 0.4) if cough else rng.uniform(0.004, 0.08)) * RATE)
            time = np.arange(length) / length
            envelope = np.minimum(time * rng.uniform(5, 40), 1) * np.exp(-time * rng.uniform(2, 8))
            part = shaped(rng, max(length, 64), low, low * rng.uniform(1.5, 12))[:length]
            start = int(at)
            end = min(start + length, count)
            if start < count:
                out[start:end] += rng.uniform(0.3, 2) * (part * envelope)[: end - start]
            at += length + rng.uniform(0.03, 0.35) * RATE
        at += rng.exponential(0.8) * RATE
    return out


def impacts(rng: Generator, count: int) -> Wide:
    """Dishes, tools, doors: blows that ring in a few modes of wood, glass or metal."""
    out = 0.02 * shaped(rng, count, 50, 6000, 0.5)
    at, rate = rng.uniform(0, 0.5) * RATE, rng.uniform(0.08, 1.2)
    while at < count:
        length = round(rng.uniform(0.02, 0.5) * RATE)
        time = np.arange(length) / RATE
        lowest, ring = rng.uniform(120, 2500), rng.uniform(10, 150)
        blow = 0.5 * rng.normal(size=length) * np.exp(-time * 600)
        for mode in np.sort(rng.uniform(1, 6, int(rng.integers(2, 7)))):
            blow += rng.uniform(0.1, 1) * (
                np.sin(2 * np.pi * min(lowest * mode, 7500.0) * time) * np.exp(-time * ring * mode)
            )
        start = int(at)
        part = out[start : start + length]
        part += rng.uniform(0.2, 1.5) * blow[: len(part)]
        at += rng.exponential(rate) * RATE
    return out


def tones(rng: Generator, count: int) -> Wide:
    """Alarms and signals: pure or harmonic tones, switched, alternating or gliding."""
    time = np.arange(count) / RATE
    base = rng.uniform(200, 3500) * np.ones(count)
    rate = rng.uniform(0.5, 8)
    switched = np.sin(2 * np.pi * rate * time + rng.uniform(0, 6)) > rng.uniform(-0.7, 0.7)
    way = rng.integers(4)
    if way == 0:
        base[switched] *= rng.uniform(1.1, 2)
    elif way == 1:
        base *= 1 + rng.uniform(0.05, 0.6) * np.sin(2 * np.pi * rate * time)
    phase = 2 * np.pi * np.cumsum(base) / RATE
    out = sum(rng.uniform(0, 1) / h * np.sin(h * phase) for h in range(1, int(rng.integers(2, 6))))
    out = np.asarray(out / (np.std(out) + 1e-9))
    if way >= 2:
        out = out * np.convolve(switched, np.ones(160) / 160, "same")
    return out + 0.02 * shaped(rng, count, 50, 6000, 0.5)


def engine(rng: Generator, count: int) -> Wide:
    """A motor: harmonics of a speed that wanders, with resonances and hiss."""
    speed = rng.uniform(25, 140) * 2 ** (0.3 * _course(rng, count, rng.uniform(0.1, 0.8)))
    phase = 2 * np.pi * np.cumsum(speed) / RATE
    top = rng.uniform(500, 4000)
    out = np.zeros(count)
    for h in range(1, 40):
        if h * float(speed.mean()) < top:
            out += rng.uniform(0.1, 1) / h ** rng.uniform(0.2, 1) * np.sin(h * phase)
    return out / (out.std() + 1e-9) + rng.uniform(0.05, 0.6) * shaped(rng, count, 50, 7000, 0.6)


def music(rng: Generator, count: int) -> Wide:
    """Melody with vibrato over chords and drums, of synthetic instruments."""
    out = np.zeros(count)
    beat = 60 / rng.uniform(60, 180)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    key, at = rng.uniform(80, 200), 0.0
    partials = rng.uniform(0.05, 1, 12) / np.arange(1, 13) ** rng.uniform(0.3, 1.5)
    drums, chords = rng.random() < 0.6, rng.random() < 0.7
    while at * RATE < count:
        length = beat * rng.choice([0.5, 1, 1, 2])
        start = round(at * RATE)
        part = slice(start, min(start + round(length * RATE), count))
        time = np.arange(part.stop - part.start) / RATE
        notes = [key * 2 ** (scale[rng.integers(7)] / 12 + rng.integers(0, 3))]
        if chords:
            notes += [key * 2 ** ((scale[(k + int(rng.integers(2))) % 7]) / 12) for k in (0, 2, 4)]
        for n, note in enumerate(notes):
            swing = 0.01 * rng.random() * np.sin(2 * np.pi * rng.uniform(4, 7) * time)
            phase = 2 * np.pi * note * (time + swing / 6)
            envelope = np.minimum(time * rng.uniform(10, 200), 1) * np.exp(
                -time * rng.uniform(0, 6)
            )
            voice = sum(a * np.sin(h * phase) for h, a in enumerate(partials, 1) if h * note < 7500)
            out[part] += (1.0 if n == 0 else 0.4) * envelope * voice
        if drums and len(time) > 64:
            hit = shaped(rng, len(time), rng.uniform(40, 3000), 7500)
            out[part] += rng.uniform(0.2, 2) * hit * np.exp(-time * rng.uniform(10, 60))
        at += length
    return out


KINDS: dict[str, Callable[[Generator, int], Wide]] = {
    "modulated": modulated,
    "wind": wind,
    "bursts": bursts,
    "impacts": impacts,
    "tones": tones,
    "engine": engine,
    "music": music,
}


def babble(rng: Generator, count: int, voices: Sequence[Float]) -> Wide:
    """Four to nine people at once."""
    out = np.zeros(count)
    for _ in range(int(rng.integers(4, 10))):
        parts: list[Float] = []
        while sum(map(len, parts)) < count:
            voice = voices[int(rng.integers(len(voices)))]
            parts.append(voice / (voice.std() + 1e-6))
        out += rng.uniform(0.5, 1.2) * np.roll(np.concatenate(parts)[:count], rng.integers(count))
    return out


def drawn(rng: Generator, count: int, voices: Sequence[Float]) -> Float:
    """float32[count] of root mean square 1, of any kind, now and then two at once."""
    way = rng.random()
    if way < 0.35:
        out = np.asarray(room.noise(rng, count, list(voices)), np.float64)
    elif way < 0.45:
        out = babble(rng, count, voices)
    elif way < 0.55:
        out = music(rng, count)
    else:
        out = KINDS[str(rng.choice(list(KINDS)))](rng, count)
    out = out / (out.std() + 1e-9)
    if rng.random() < 0.2:
        out = out + rng.uniform(0.2, 1) * drawn(rng, count, voices)
    return np.asarray(out / (out.std() + 1e-9), np.float32)
