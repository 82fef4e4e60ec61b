"""Matching of numbers with the voice that was played: at any rate, gain and polarity.

The numbers, taken as samples at each usual rate, are brought to the band of a telephone, whitened
as the voice is, and correlated with every part of the voice (generalised cross-correlation, Knapp
and Carter 1976). Interleaved channels read as one are that channel at a higher rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.desk.audit._canary import PERIOD, RATE, Float

_RATE = 8000
"""Samples per second at which sounds are compared."""
_LOW, _HIGH = 200.0, 3400.0
"""Hz compared."""
_SMOOTH = 400.0
"""Hz over which the voice's mean spectrum is smoothed before it is divided by."""
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Samples per second that are tried; the highest also stand for two channels."""
_SEGMENTS = (1024, 4096, 16_384)
"""Lengths of the parts that are compared, samples."""
_MOST = 3
"""Parts of each length that are compared: those with most of a sound's spectrum."""
_LONGEST, _SHORTEST = 0.6, 0.05
"""Seconds of a part."""
MIN_SCORE = 0.58
"""Least correlation times steadiness. Counters, chirps, square and random waves stay below it; the
loudest second of a voice lies above it, as PCM and as Opus from 8 kbit/s on."""
_SCREEN = 0.35
"""Least correlation at whole samples of `_RATE`: a part that lies half a sample beside them keeps
two thirds of its own."""
_SHIFTS = (-0.5, -0.25, 0.0, 0.25, 0.5)
"""Fractions of a sample by which the parts above are moved."""
_BLOCKS = 8
"""Parts of a match that each have to correlate: a click meets one in any voice."""
_MAX_FLATNESS = 0.5
"""Of a part's spectrum (geometric over arithmetic mean): white noise has 0.56, speech far less."""
_MIN_POWER = 0.2
"""Of the voice's mean power, below which a part of it is silence."""


@dataclass(frozen=True, slots=True)
class SoundMatch:
    """A part of the voice."""

    correlation: float
    rate: int
    """Assumed."""
    start: int
    """In the series, samples."""
    samples: int
    moment: float
    """Of the voice, seconds."""

    def __str__(self) -> str:
        return (
            f"{self.samples} samples of the voice from second {self.moment:.1f} at "
            f"{self.rate} Hz (correlation {self.correlation:.2f})"
        )


class SoundMatcher:
    """Compares series of numbers with one voice."""

    def __init__(self, voice: Float) -> None:
        """`voice`: float32[PERIOD * RATE]."""
        self.compared = 0
        """Parts of series so far."""
        self._count = PERIOD * _RATE
        spectrum = np.fft.rfft(voice)
        hertz = np.fft.rfftfreq(len(voice), 1 / RATE)
        power = np.abs(spectrum) ** 2
        width = int(_SMOOTH * PERIOD)
        mean = np.convolve(power, np.ones(width) / width, "same")
        keep = hertz <= _RATE / 2
        self._hertz = hertz[keep]
        self._weight = np.sqrt(1.0 / np.maximum(mean[keep], 1e-6 * mean.max()))
        self._weight[(self._hertz < _LOW) | (self._hertz > _HIGH)] = 0.0
        white = np.fft.irfft(spectrum[keep] * self._weight, self._count)
        white /= white.std()
        self._spectrum = np.fft.rfft(white.astype(np.float32))
        self._white = np.tile(white, 2).astype(np.float32)
        self._power = np.concatenate([[0.0], np.cumsum(np.tile(white**2, 2))])

    def __call__(self, values: npt.NDArray[np.float32]) -> SoundMatch | None:
        """The best match of a series, float32[N]; None where there is none."""
        best: SoundMatch | None = None
        for start, length in self._parts(values):
            self.compared += 1
            part = values[start : start + length]
            for rate in RATES:
                most = int(_LONGEST * rate)
                if length < _SHORTEST * rate:
                    break
                found = self._compare(part[:most], rate, start)
                if found and (best is None or found.correlation > best.correlation):
                    best = found
            if best is not None:
                break
        return best

    def _parts(self, values: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
        """(start, samples) of the parts that are compared."""
        found: list[tuple[float, int, int]] = []
        whole = True
        for length in _SEGMENTS:
            if len(values) < length:
                if whole:
                    found += _ranked(values[None, :], [0])
                break
            whole = False
            starts = list(range(0, len(values) - length + 1, length // 2))
            view = np.lib.stride_tricks.sliding_window_view(values, length)[starts]
            found += _ranked(view, starts)[:_MOST]
        return [(start, length) for _, start, length in sorted(found)]

    def _compare(self, part: npt.NDArray[np.float32], rate: int, start: int) -> SoundMatch | None:
        samples = self._whitened(part, rate)
        count = len(samples)
        size = float(np.linalg.norm(samples))
        if size <= 0 or count >= self._count:
            return None
        padded = np.zeros(self._count, np.float32)
        padded[:count] = samples / size
        found = np.fft.irfft(np.conj(np.fft.rfft(padded)) * self._spectrum, self._count)
        power = self._power[count : count + self._count] - self._power[: self._count]
        found = np.abs(found) / np.sqrt(np.maximum(power, _MIN_POWER * count))
        place = int(found.argmax())
        if found[place] < _SCREEN:
            return None
        there = self._white[place : place + count]
        scale = size * float(np.sqrt(max(power[place], _MIN_POWER * count)))
        moved = _moved(samples)
        nearest = moved[np.abs(moved @ there).argmax()]
        correlation = abs(float(nearest @ there)) / scale
        if correlation < MIN_SCORE:
            return None
        each = [
            abs(float(one @ other)) / (float(np.linalg.norm(one) * np.linalg.norm(other)) + 1e-9)
            for one, other in zip(
                np.array_split(nearest, _BLOCKS), np.array_split(there, _BLOCKS), strict=True
            )
        ]
        if correlation * sorted(each)[1] < MIN_SCORE:
            return None
        return SoundMatch(correlation, rate, start, len(part), place / _RATE)

    def _whitened(self, part: npt.NDArray[np.float32], rate: int) -> npt.NDArray[np.float32]:
        """The samples at `_RATE`, in the band, whitened."""
        spectrum = np.fft.rfft(_tapered(part))
        hertz = np.arange(len(spectrum)) * rate / len(part)
        count = round(len(part) * _RATE / rate)
        bins = count // 2 + 1
        kept = np.zeros(bins, np.complex128)
        least = min(bins, len(spectrum))
        weight = np.interp(hertz[:least], self._hertz, self._weight, right=0.0)
        kept[:least] = spectrum[:least] * weight
        return np.fft.irfft(kept, count).astype(np.float32)


def _tapered(part: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Without mean and trend and with soft ends, which would be clicks."""
    samples = part.astype(np.float64)
    line = np.linspace(-1.0, 1.0, len(samples))
    samples -= samples.mean()
    samples -= line * (line @ samples) / (line @ line)
    edge = max(2, len(samples) // 8)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    samples[:edge] *= rise
    samples[-edge:] *= rise[::-1]
    return samples


def _moved(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32[S, N]: the samples, float32[N], moved by each of `_SHIFTS`."""
    turns = np.outer(_SHIFTS, np.arange(len(samples) // 2 + 1)) / len(samples)
    moved = np.fft.rfft(samples) * np.exp(-2j * np.pi * turns)
    return np.fft.irfft(moved, len(samples), axis=1).astype(np.float32)


def _ranked(view: npt.NDArray[np.float32], starts: list[int]) -> list[tuple[float, int, int]]:
    """(flatness, start, samples) of the parts that may be sound, the most likely ones first;
    `view` float32[P, L]."""
    length = view.shape[1]
    window = np.hanning(length).astype(np.float32)
    found = []
    for low in range(0, len(view), 256):
        block = view[low : low + 256]
        block = block - block.mean(1, keepdims=True)
        power = np.abs(np.fft.rfft(block * window, axis=1)[:, 1:]) ** 2
        width = max(1, power.shape[1] // 256)
        power = power[:, : power.shape[1] // width * width]
        power = power.reshape(len(block), -1, width).mean(2)
        mean = power.mean(1)
        floor = 1e-9 * mean[:, None] + 1e-30
        flat = np.exp(np.log(power + floor).mean(1)) / (mean + 1e-30)
        loud = mean > 0
        for number in np.flatnonzero(loud & (flat < _MAX_FLATNESS)):
            found.append((float(flat[number]), starts[low + int(number)], length))
    return sorted(found)
