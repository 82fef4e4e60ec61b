"""A line of sounds as samples."""

from __future__ import annotations

import numpy as np

from agent.base.types import Float
from tools.demo.voice.manner import Manner, Voice
from tools.demo.voice.score import STEP, score
from tools.demo.voice.synthesis import Doubles, glottis, resonate

RATE = 16000
"""Samples per second."""
_OVER = 3
"""Samples are made at a multiple of it: pulses have edges."""
_FRICATION = 3.0
"""Amplitude of noise against the root mean square of the voice, at a score's full frication."""


def speak(line: str, voice: Voice, manner: Manner, seed: int) -> Float:
    """float32[S], mono, `RATE`, at `manner.level`; the same for the same seed.

    `line`: ARPAbet, see `score.parse`. Raises KeyError for a symbol that is none.
    """
    rng = np.random.default_rng(seed)
    plan = score(line, voice, manner)
    rate = RATE * _OVER
    step = round(STEP * rate)
    count = len(plan.pitch) * step
    sound = np.empty(count)
    glottis(
        plan.pitch * _flutter(rng, len(plan.pitch)),
        plan.voicing,
        plan.aspiration,
        rng.standard_normal(count),
        rng.standard_normal(4096),
        manner.open_quotient,
        manner.tilt,
        manner.breath,
        manner.jitter,
        manner.shimmer,
        step,
        rate,
        sound,
    )
    resonate(sound, plan.formants, plan.widths, False, step, rate)
    hiss = rng.standard_normal(count) * np.repeat(plan.frication, step)
    centre, width = plan.place[:, :1] * np.sqrt(voice.tract), plan.place[:, 1:]
    resonate(hiss, np.ascontiguousarray(centre), np.ascontiguousarray(width), True, step, rate)
    voiced = np.repeat(plan.voicing > 0.3, step)
    hiss *= _FRICATION * (np.sqrt(np.mean(sound[voiced] ** 2)) if voiced.any() else 1.0)
    whole = _decimated(sound + hiss)
    spoken = whole[np.abs(whole) > 0.05 * np.abs(whole).max()]
    gain = 10 ** (manner.level / 20) / np.sqrt(np.mean(spoken**2))
    return np.asarray(whole * gain, np.float32)


def seconds(line: str, voice: Voice, manner: Manner) -> float:
    """How long `speak` takes for it."""
    return len(score(line, voice, manner).pitch) * STEP


def _flutter(rng: np.random.Generator, count: int) -> Doubles:
    """float64[T], about 1: the slow drift of a held pitch (Klatt & Klatt 1990)."""
    time = np.arange(count) * STEP
    phases = rng.uniform(0, 2 * np.pi, 3)
    waves = [
        np.sin(2 * np.pi * f * time + p) for f, p in zip((12.7, 7.1, 4.7), phases, strict=True)
    ]
    return np.asarray(1.0 + 0.008 * np.sum(waves, 0))


def _decimated(sound: Doubles) -> Doubles:
    """Every third sample after a low pass just under half of `RATE`."""
    taps = np.arange(-72, 73)
    low = np.sinc(taps * 0.94 / _OVER) * 0.94 / _OVER * np.blackman(len(taps))
    return np.convolve(sound, low, "same")[::_OVER]
