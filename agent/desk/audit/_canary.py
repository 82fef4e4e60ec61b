"""What the audit says to the agent: a voice and a chat line that no other run has.

The voice is synthesised: harmonics under moving formants (Klatt 1980) with a wandering pitch, and
noise, in syllables of random length. It repeats, so that a video of any length can carry it and the
search for it costs the same.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

RATE = 16_000
"""Samples per second of the voice."""
PERIOD = 8
"""Seconds after which it repeats: whole numbers of 10-ms frames, and of samples at every rate."""
WORDS = 6
_SYLLABLES = 6
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_TOP = 6800.0
"""Hz of the highest harmonic."""
_STRENGTHS = np.array([1.0, 0.8, 0.5, 0.3])
"""Of the formants."""
_CONTROL = 80
"""Samples between the values of pitch and formants."""


@dataclass(frozen=True, slots=True, eq=False)
class Canary:
    """One run's voice and words."""

    sound: Float
    """float32[PERIOD * RATE], mono, full scale +-1; it follows on itself."""
    words: tuple[str, ...]
    """Of twelve small letters each; in no language."""

    @property
    def line(self) -> str:
        """An utterance in English that holds the words, so that its sentiment is read."""
        one, two, three, four, five, six = self.words
        return (
            f"the {one} was really good and i love the {two} but {three} is not bad, "
            f"thank you {four} for a wonderful {five} and the best {six}"
        )


def make(seed: int | None = None) -> Canary:
    """Another canary for each seed; None: a random one."""
    rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
    words = tuple(
        "".join(
            _CONSONANTS[rng.integers(len(_CONSONANTS))] + _VOWELS[rng.integers(len(_VOWELS))]
            for _ in range(_SYLLABLES)
        )
        for _ in range(WORDS)
    )
    return Canary(_voice(rng), words)


def _voice(rng: np.random.Generator) -> Float:
    count = PERIOD * RATE
    steps = count // _CONTROL
    pitch = np.full(steps, 0.0)
    loud, breath, hiss = np.zeros(steps), np.zeros(steps), np.zeros(steps)
    formants = np.zeros((steps, 4))
    speaker = rng.uniform(100, 210)
    size = rng.uniform(0.92, 1.18)
    at = 0
    while at < steps:
        length = int(rng.uniform(0.13, 0.30) * RATE / _CONTROL)
        end = min(at + length, steps)
        span = end - at
        shape = np.sin(np.pi * (np.arange(span) + 0.5) / span) ** 0.6
        loud[at:end] = shape * rng.uniform(0.5, 1.0)
        glide = np.linspace(rng.uniform(0.85, 1.2), rng.uniform(0.8, 1.15), span)
        pitch[at:end] = speaker * glide
        start = np.array([rng.uniform(280, 800), rng.uniform(900, 2300), rng.uniform(2300, 3100)])
        stop = start * rng.uniform(0.8, 1.25, 3)
        path = np.linspace(start, stop, span) * size
        formants[at:end] = np.column_stack([path, np.full(span, 3600 * size)])
        if rng.random() < 0.5:  # a fricative before the vowel
            sound = min(span // 3, int(0.08 * RATE / _CONTROL))
            hiss[at : at + sound] = rng.uniform(0.2, 0.5)
            loud[at : at + sound] *= 0.1
        breath[at:end] = 0.05 * shape
        pause = rng.choice([0.0, 0.02, 0.06, 0.25], p=[0.3, 0.3, 0.3, 0.1])
        at = end + int(pause * RATE / _CONTROL)
    pitch[pitch == 0] = speaker
    # nobody's pitch is steady, and no two periods are alike
    pitch *= 1 + 0.02 * rng.standard_normal(steps).cumsum().clip(-4, 4) / 4
    pitch *= 1 + 0.01 * rng.standard_normal(steps)
    formants[formants == 0] = 500.0
    return _rendered(rng, pitch, formants, loud, breath, hiss)


def _rendered(
    rng: np.random.Generator,
    pitch: npt.NDArray[np.float64],
    formants: npt.NDArray[np.float64],
    loud: npt.NDArray[np.float64],
    breath: npt.NDArray[np.float64],
    hiss: npt.NDArray[np.float64],
) -> Float:
    """Sound of the values at each control step."""
    count = PERIOD * RATE
    ticks, samples = np.arange(len(pitch)) * _CONTROL, np.arange(count)

    def fine(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.interp(samples, ticks, values)

    phase = 2 * np.pi * np.cumsum(fine(pitch)) / RATE
    phase *= round(phase[-1] / (2 * np.pi)) * 2 * np.pi / phase[-1]  # whole turns
    sound: npt.NDArray[np.float64] = np.zeros(count)
    widths = np.array([80.0, 110.0, 160.0, 250.0])
    for number in range(1, int(_TOP / pitch.min()) + 1):
        tones = number * pitch
        gain = (1.0 / (1.0 + ((tones[:, None] - formants) / widths) ** 2)) @ _STRENGTHS
        gain = np.where(tones < _TOP, (gain + 0.02) / number**0.5, 0.0) * loud
        if gain.max() > 1e-3:
            sound = sound + fine(gain) * np.sin(number * phase)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    spectrum *= 1 / (1 + ((hertz - 4500) / 2000) ** 2)
    sharp = np.fft.irfft(spectrum, count)
    sound += fine(hiss) * sharp / sharp.std() * 0.5
    sound += (fine(breath) + 0.001) * rng.standard_normal(count)
    return np.asarray(0.6 * sound / np.abs(sound).max(), np.float32)
