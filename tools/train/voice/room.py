"""Rooms and noises of our own making, for speech that was recorded in a studio."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from agent.base.types import SOUND_RATE as RATE
from agent.base.types import Float

Generator = np.random.Generator


def reverberated(rng: Generator, dry: Float, seconds: float, direct: float = 1.0) -> Float:
    """Speech in a room: the direct sound, a few early reflections and a decaying tail.

    The tail is noise that falls by 60 dB in `seconds` (Schroeder 1965), faster at high frequencies.

    Parameters
    ----------
    seconds : float
        Reverberation time T60.
    direct : float
        Amplitude of the direct sound relative to the whole tail: large near the microphone.
    """
    length = max(round(seconds * RATE), 16)
    time = np.arange(length) / RATE
    tail = rng.normal(size=length) * 10 ** (-3 * time / seconds)
    tail[: round(0.004 * RATE)] = 0
    for _ in range(6):
        at = round(rng.uniform(0.002, 0.03) * RATE)
        if at < length:
            tail[at] += rng.choice((-1, 1)) * rng.uniform(1, 4) * 10 ** (-3 * at / RATE / seconds)
    spectrum = np.fft.rfft(tail) / (1 + np.fft.rfftfreq(length, 1 / RATE) / rng.uniform(2e3, 8e3))
    tail = np.fft.irfft(spectrum, length)
    tail /= np.linalg.norm(tail) * direct
    tail[0] += 1.0
    return _convolved(dry, tail.astype(np.float32))


def coloured(rng: Generator, dry: Float) -> Float:
    """Through another microphone: a smooth change of the spectrum by some dB."""
    frequency = np.fft.rfftfreq(1024, 1 / RATE)
    knots = np.array([0, 120, 300, 700, 1500, 3000, 5000, 8000.0])
    gains = rng.normal(0, 3, len(knots))
    gains[0] -= rng.uniform(0, 20)
    response = 10 ** (np.interp(frequency, knots, gains) / 20)
    kernel = np.roll(np.fft.irfft(response), 512) * np.hanning(1024)
    return _convolved(dry, kernel.astype(np.float32))[: len(dry)]


def noise(rng: Generator, count: int, voices: list[Float] | None = None) -> Float:
    """float32[count] of root mean square 1: steady noise of random colour, hum, a fan, clatter,
    music of a kind, or babble of `voices`."""
    kind = str(rng.choice((*_KINDS, "babble")))
    if kind == "babble":
        out = _babble(rng, count, voices) if voices else _steady(rng, count)
    else:
        out = _KINDS[kind](rng, count)
    return np.asarray(out / (np.std(out) + 1e-9), np.float32)


def _babble(rng: Generator, count: int, voices: list[Float]) -> Float:
    """Three to seven of the voices at once, equally loud."""
    out = np.zeros(count, np.float32)
    for _ in range(int(rng.integers(3, 8))):
        voice = voices[int(rng.integers(len(voices)))]
        turned = np.roll(voice, int(rng.integers(len(voice))))
        out += np.resize(turned, count) / (voice.std() + 1e-6)
    return out


def _hum(rng: Generator, count: int) -> Float:
    """Harmonics of the mains, with some noise."""
    time = np.arange(count) / RATE
    base = rng.choice([50, 60, 100, 120])
    out = np.zeros(count)
    for h in range(1, 12):
        out += rng.uniform(0, 1) / h * np.sin(2 * np.pi * base * h * time + rng.uniform(0, 6.3))
    return np.asarray(out / out.std() + 0.3 * _steady(rng, count), np.float32)


def _fan(rng: Generator, count: int) -> Float:
    """Noise that swells and ebbs some times a second."""
    time = np.arange(count) / RATE
    swell = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(3, 30) * time)
    return np.asarray(_steady(rng, count) * swell, np.float32)


def _clatter(rng: Generator, count: int) -> Float:
    """Bursts that die away: dishes, doors, keys."""
    out = 0.1 * _steady(rng, count)
    for _ in range(int(rng.integers(2, 4 + count // 8000))):
        at, length = int(rng.integers(count)), int(rng.integers(200, 3000))
        burst = _steady(rng, length) * np.exp(-np.arange(length) / rng.uniform(40, 800))
        end = min(at + length, count)
        out[at:end] += rng.uniform(0.5, 4) * burst[: end - at]
    return out


def _music(rng: Generator, count: int) -> Float:
    """One to three plucked tones after another."""
    out = np.zeros(count)
    at = 0
    while at < count:
        length = int(rng.uniform(0.12, 0.8) * RATE)
        time = np.arange(min(length, count - at)) / RATE
        for _ in range(int(rng.integers(1, 4))):
            pitch = 55 * 2 ** (rng.integers(0, 48) / 12)
            tone = sum(np.sin(2 * np.pi * pitch * h * time) / h for h in range(1, 6))
            out[at : at + len(time)] += tone * np.exp(-time * rng.uniform(1, 8))
        at += length
    return np.asarray(out + 0.02 * _steady(rng, count), np.float32)


def mixed(speech: Float, disturbance: Float, decibels: float) -> Float:
    """Speech with noise at this signal-to-noise ratio: power of the speech while it is active."""
    size = np.abs(speech)
    active = size > 0.05 * np.percentile(size, 99)
    power = float(np.square(speech[active]).mean()) if active.any() else 1e-8
    scale = np.sqrt(power / 10 ** (decibels / 10) / (np.square(disturbance).mean() + 1e-12))
    return np.asarray(speech + scale * disturbance, np.float32)


def _steady(rng: Generator, count: int) -> Float:
    """Noise whose power falls by a random number of dB per octave."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 30)
    spectrum *= frequency ** -rng.uniform(-0.2, 1.2)
    out = np.fft.irfft(spectrum, count)
    return np.asarray(out / (out.std() + 1e-12), np.float32)


_KINDS: Mapping[str, Callable[[Generator, int], Float]] = {
    "steady": _steady,
    "hum": _hum,
    "fan": _fan,
    "clatter": _clatter,
    "music": _music,
}


def _convolved(dry: Float, kernel: Float) -> Float:
    """The convolution, as long as `dry`, by the Fourier transform."""
    size = len(dry) + len(kernel) - 1
    length = 1 << (size - 1).bit_length()
    out = np.fft.irfft(np.fft.rfft(dry, length) * np.fft.rfft(kernel, length), length)
    return np.asarray(out[: len(dry)], np.float32)
