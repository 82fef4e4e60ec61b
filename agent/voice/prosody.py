"""A stretch of speech as one vector: functionals of its frames.

Follows eGeMAPS (Eyben et al. 2016, "The Geneva Minimalistic Acoustic Parameter Set", IEEE
Transactions on Affective Computing 7(2)) in what is measured and how it is summed up; differs in
the pitch tracker (Boersma 1993), in bands in place of formants, and in perturbation within frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import SOUND_RATE as RATE
from agent.base.types import Float
from agent.voice.frames import Frames
from agent.voice.sound import HOP

_PER_SECOND = RATE / HOP
_SEMITONE_BASE = 27.5
"""Hz, as in eGeMAPS."""
_QUALITY = (
    "alpha ratio", "Hammarberg index", "slope 0-500 Hz", "slope 500-1500 Hz", "centre of band 1",
    "centre of band 2", "centre of band 3", "level of band 1", "level of band 2",
    "level of band 3", "H1-H2", "H1-A3",
)  # fmt: skip
_CEPSTRA = tuple(f"MFCC {i}" for i in range(1, 5))
_COURSE = (
    "mean", "variation", "20th percentile", "median", "80th percentile", "range",
    "rising slope", "rising slope's s.d.", "falling slope", "falling slope's s.d.",
)  # fmt: skip
NAMES: tuple[str, ...] = (
    *(f"loudness, {name}" for name in _COURSE),
    "loudness peaks per second",
    *(f"pitch, {name}" for name in _COURSE),
    *(f"{name}, {part}" for name in ("harmonicity", "jitter", "shimmer")
      for part in ("mean", "variation")),
    *(f"{name}, voiced, {part}" for name in (*_QUALITY, "flux", *_CEPSTRA)
      for part in ("mean", "s.d.")),
    *(f"{name}, unvoiced, mean" for name in (*_QUALITY[:4], "flux")),
    *(f"{name}, {part}" for name in ("flux", *_CEPSTRA) for part in ("mean", "s.d.")),
    "voiced stretches per second", "voiced stretch, mean", "voiced stretch, s.d.",
    "unvoiced stretch, mean", "unvoiced stretch, s.d.", "voiced share",
)  # fmt: skip
"""Of the values of `functionals`, in order."""


def functionals(frames: Frames, spoken: NDArray[np.bool_] | None = None) -> Float:
    """float32[len(NAMES)] of a stretch of a second or more; 0 for what it does not show.

    Parameters
    ----------
    frames
        The stretch.
    spoken : bool[N]
        Frames with speech; None: all. The others count as neither voiced nor unvoiced.
    """
    pitch = frames.pitch()
    inside = np.ones(len(frames), bool) if spoken is None else spoken
    voiced, unvoiced = inside & (pitch > 0), inside & (pitch <= 0)
    semitones = 12 * np.log2(np.maximum(pitch, 1.0) / _SEMITONE_BASE)
    flux = _flux(frames)
    spectral = np.column_stack([frames.quality, flux, frames.cepstra[:, :4]])
    values = [
        *_course(frames.loudness[inside], relative=True),
        _peaks(frames.loudness, inside),
        *_course(semitones[voiced], relative=False),
    ]
    for each in (_decibels(frames.harmonicity), frames.jitter, frames.shimmer):
        values += _mean_and_spread(each[voiced])
    for column in spectral.T:
        values += _mean_and_spread(column[voiced])
    values += [_mean_and_spread(spectral[unvoiced, k])[0] for k in (0, 1, 2, 3, 12)]
    for column in spectral[:, 12:].T:
        values += _mean_and_spread(column[inside])
    values += _rhythm(voiced, unvoiced, inside)
    return np.nan_to_num(np.array(values, np.float32), posinf=0.0, neginf=0.0)


def _decibels(harmonicity: Float) -> Float:
    share = np.clip(harmonicity, 1e-3, 1 - 1e-3)
    return np.asarray(10 * np.log10(share / (1 - share)), np.float32)


def _flux(frames: Frames) -> Float:
    """float32[N]: change of the shape of the mel bands from one frame to the next."""
    shape = np.exp(frames.bands / 2)
    shape /= np.linalg.norm(shape, axis=1, keepdims=True) + 1e-12
    change = np.zeros(len(frames), np.float32)
    if len(frames) > 1:
        change[1:] = np.linalg.norm(np.diff(shape, axis=0), axis=1)
    return change


def _mean_and_spread(values: Float) -> list[float]:
    known = values[np.isfinite(values)]
    return [float(known.mean()), float(known.std())] if len(known) else [0.0, 0.0]


def _course(values: Float, relative: bool) -> list[float]:
    """Ten statistics of a curve; `relative`: its spread over its mean."""
    if len(values) < 2:
        return [0.0] * len(_COURSE)
    low, middle, high = np.percentile(values, (20, 50, 80))
    mean, spread = float(values.mean()), float(values.std())
    steps = np.diff(values) * _PER_SECOND
    rising, falling = steps[steps > 0], steps[steps < 0]
    out = [mean, spread / max(mean, 1e-6) if relative else spread, low, middle, high, high - low]
    for part in (rising, falling):
        out += _mean_and_spread(np.asarray(part, np.float32))
    return [float(value) for value in out]


def _peaks(loudness: Float, inside: NDArray[np.bool_]) -> float:
    """Peaks of the smoothed loudness per second: about the rate of syllables."""
    if inside.sum() < 10:
        return 0.0
    smooth = np.convolve(loudness, np.hanning(11) / np.hanning(11).sum(), "same")
    middle = smooth[1:-1]
    peak = (middle > smooth[:-2]) & (middle >= smooth[2:]) & inside[1:-1]
    peak &= middle > 0.3 * np.percentile(smooth[inside], 90)
    return float(peak.sum() / inside.sum() * _PER_SECOND)


def _rhythm(
    voiced: NDArray[np.bool_], unvoiced: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> list[float]:
    seconds = max(inside.sum() / _PER_SECOND, 1e-6)
    loud, quiet = _runs(voiced), _runs(unvoiced)
    return [len(loud) / seconds, *_mean_and_spread(loud), *_mean_and_spread(quiet),
            float(voiced.sum() / max(inside.sum(), 1))]  # fmt: skip


def _runs(flags: NDArray[np.bool_]) -> Float:
    """Lengths of the stretches where `flags` hold, seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return np.asarray((edges[1::2] - edges[::2]) / _PER_SECOND, np.float32)
