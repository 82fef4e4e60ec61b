"""What each 10 ms of sound says: loudness, pitch, voice quality, timbre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from agent.base.types import SOUND_RATE as RATE
from agent.base.types import Float
from agent.kernels.periods import perturbation
from agent.kernels.pitch import pitch_candidates, pitch_path
from agent.kernels.spectrum import band_powers, voice_quality
from agent.voice.sound import BIN, FRAME, HOP, TRANSFORM, mel_bands

LOWEST, HIGHEST = 70.0, 500.0
"""Hz between which a voice's pitch is looked for."""
_LAGS = int(RATE / LOWEST) + 3
_CANDIDATES = 4
_OCTAVE_COST, _OCTAVE_JUMP, _VOICING_CHANGE = 0.02, 0.35, 0.14
_VOICED = 0.45
"""Strength of the unvoiced candidate."""
_SILENT = 0.03
"""Of the loudest frame's amplitude, below which a frame is hardly voiced."""
_BANDS = 26
DECIBELS = np.float32(10.0 / np.log(10.0))
"""In a unit of the natural logarithm of a power, as of `Frames.bands`."""
_CEPSTRA = 13
_WINDOW = np.hanning(FRAME + 1)[:FRAME].astype(np.float32)
_MEL_FIRST, _MEL_WEIGHTS = mel_bands(_BANDS, 20.0, 8000.0)
_COSINES = (
    np.cos(np.pi / _BANDS * (np.arange(_BANDS) + 0.5)[:, None] * np.arange(1, _CEPSTRA))
    * np.sqrt(2.0 / _BANDS)
).astype(np.float32)
_FLOOR = 1e-12
"""Of a power: far below the noise of a quiet recording, so that gain makes no difference."""
_LOUDNESS_POWER = 0.33
"""Zwicker's law as in eGeMAPS."""


def _equal_loudness(hertz: Float) -> Float:
    """Weight of a band in perceived loudness (Hermansky 1990), at its middle."""
    w = (2 * np.pi * hertz) ** 2
    weight = (w + 56.8e6) * w**2 / ((w + 6.3e6) ** 2 * (w + 0.38e9))
    return np.asarray(weight / weight.max(), np.float32)


_MIDDLES = (_MEL_FIRST + (_MEL_WEIGHTS > 0).sum(1) / 2).astype(np.float32) * np.float32(BIN)
_LOUDNESS = _equal_loudness(_MIDDLES)
_WINDOW_LAGS = np.correlate(
    np.concatenate([_WINDOW, np.zeros(_LAGS, np.float32)]), _WINDOW, "valid"
)[:_LAGS].astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Low-level descriptors of N frames, 100 per second; parts may be joined in order."""

    loudness: Float
    """float32[N], summed over bands, to the power of 0.33."""
    level: Float
    """float32[N], dB below full scale."""
    frequency: Float
    """float32[N, 4], candidates of the pitch, Hz."""
    strength: Float
    """float32[N, 4]."""
    harmonicity: Float
    """float32[N], in [0, 1]: share of the power that is periodic."""
    jitter: Float
    """float32[N], NaN where unvoiced."""
    shimmer: Float
    """float32[N], NaN where unvoiced."""
    quality: Float
    """float32[N, 12], see `kernels.spectrum.voice_quality`."""
    bands: Float
    """float32[N, 26], natural logarithm of the mel bands' power."""
    cepstra: Float
    """float32[N, 12], mel-frequency cepstral coefficients 1 to 12."""

    def __len__(self) -> int:
        return len(self.level)

    @classmethod
    def joined(cls, parts: Sequence[Frames]) -> Frames:
        """One or more parts, in order."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __getitem__(self, part: slice) -> Frames:
        return Frames(*(getattr(self, each.name)[part] for each in fields(self)))

    def amplified(self, decibels: float, floor: float) -> Frames:
        """The frames of the same sound at another gain, with no band below `floor`, dB."""
        gain = np.float32(decibels)
        bands = np.maximum(self.bands + gain / DECIBELS, np.float32(floor) / DECIBELS)
        return replace(
            self,
            loudness=self.loudness * np.float32(10.0 ** (_LOUDNESS_POWER * decibels / 10.0)),
            level=self.level + gain,
            bands=bands,
            cepstra=bands @ _COSINES,
        )

    def coloured(self, change: Float) -> Frames:
        """The frames with another spectrum: log powers float32[26] added to the bands. Measures of
        voice quality, which look at single harmonics, stay."""
        bands = self.bands + change.astype(np.float32)
        return replace(self, bands=bands, cepstra=bands @ _COSINES)

    def pitch(self) -> Float:
        """The best path over all frames, float32[N], Hz; 0 where unvoiced."""
        out = np.zeros(len(self), np.float32)
        if len(self):
            peak = float(self.level.max())
            quiet = 10.0 ** ((self.level - peak) / 20.0)
            unvoiced = _VOICED + np.maximum(0.0, 2.0 - quiet / (_SILENT / (1.0 + _VOICED)))
            pitch_path(
                self.frequency,
                self.strength,
                unvoiced.astype(np.float32),
                _OCTAVE_JUMP,
                _VOICING_CHANGE,
                out,
            )
        return out


def measure(samples: Float) -> Frames:
    """Every whole frame of `samples` float32[S]: (S - FRAME) // HOP + 1 of them.

    Frames do not depend on each other, so a stream may hand over one chunk after the other, each
    with the FRAME - HOP samples before it.
    """
    count = max((len(samples) - FRAME) // HOP + 1, 0)
    view = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] if count else samples
    frames = np.ascontiguousarray(view[:count]).reshape(count, FRAME)
    frames = frames - frames.mean(1, keepdims=True, dtype=np.float32)
    spectrum = np.fft.rfft(frames * _WINDOW, TRANSFORM)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    correlation = np.fft.irfft(power)[:, :_LAGS].astype(np.float32)
    frequency = np.empty((count, _CANDIDATES), np.float32)
    strength = np.empty((count, _CANDIDATES), np.float32)
    harmonicity = np.empty(count, np.float32)
    pitch_candidates(
        correlation, _WINDOW_LAGS, RATE, LOWEST, HIGHEST, _OCTAVE_COST, frequency, strength,
        harmonicity,
    )  # fmt: skip
    voiced = np.where(harmonicity >= _VOICED, frequency[:, 0], 0.0).astype(np.float32)
    jitter, shimmer = np.empty(count, np.float32), np.empty(count, np.float32)
    perturbation(frames, voiced, RATE, jitter, shimmer)
    power /= np.float32(_WINDOW.sum() ** 2 / 4)
    quality = np.empty((count, 12), np.float32)
    voice_quality(power, BIN, voiced, quality)
    bands = np.empty((count, _BANDS), np.float32)
    band_powers(power, _MEL_FIRST, _MEL_WEIGHTS, bands)
    loudness = ((bands * _LOUDNESS) ** np.float32(_LOUDNESS_POWER)).sum(1)
    bands = np.log(bands + np.float32(_FLOOR))
    level = 10.0 * np.log10((frames**2).mean(1) + _FLOOR)
    return Frames(
        loudness, level.astype(np.float32), frequency, strength, harmonicity, jitter, shimmer,
        quality, bands, bands @ _COSINES,
    )  # fmt: skip
