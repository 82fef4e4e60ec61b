"""From a line of sounds to the synthesiser's controls over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.demo.voice.manner import Manner, Voice
from tools.demo.voice.phones import Formants, Phone, phone
from tools.demo.voice.synthesis import Doubles

STEP = 0.001
"""Seconds between controls."""
_UPPER = (3400.0, 4500.0, 5600.0, 6700.0, 7800.0)
"""Hz: fourth to eighth formant, which speech leaves where they are."""
_WIDTHS = (90.0, 110.0, 170.0, 220.0, 300.0, 400.0, 500.0, 600.0)
_NEUTRAL = np.array([500.0, 1500.0, 2500.0])
"""Hz: a tract of one width."""
_PHRASE_RATE, _ACCENT_RATE = 3.0, 20.0
"""1/s, of the pitch's responses to commands (Fujisaki & Hirose 1984)."""
_GLIDE, _BURST = 0.025, 0.004
"""Seconds over which formants and frication change; half of the window."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One ARPAbet symbol of a line."""

    phone: Phone
    stress: bool


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Controls, T of them, `STEP` apart."""

    pitch: Doubles
    """float64[T], Hz."""
    voicing: Doubles
    aspiration: Doubles
    frication: Doubles
    """float64[T], amplitudes."""
    formants: Doubles
    widths: Doubles
    """float64[T, 8], Hz."""
    place: Doubles
    """float64[T, 2], Hz: centre and bandwidth of frication."""


@dataclass(slots=True)
class _Segment:
    seconds: float
    formants: Formants
    voicing: float = 0.0
    aspiration: float = 0.0
    frication: float = 0.0
    place: tuple[float, float] = (4000.0, 3000.0)
    accent: bool = False


def parse(line: str) -> list[Sound | None]:
    """ARPAbet symbols by spaces; 1 after a vowel stresses it; a comma is a pause (None).

    Raises KeyError for a symbol that is none."""
    return [
        None if symbol == "," else Sound(phone(symbol.rstrip("012")), symbol.endswith("1"))
        for symbol in line.split()
    ]


def score(line: str, voice: Voice, manner: Manner) -> Score:
    """Controls of one line in a tone of voice. Raises KeyError for what is no ARPAbet symbol."""
    segments = _segments(parse(line), manner)
    ends = np.cumsum([each.seconds for each in segments])
    count = round(float(ends[-1]) / STEP)
    at = np.minimum(np.searchsorted(ends, (np.arange(count) + 0.5) * STEP), len(segments) - 1)

    def course(values: Sequence[object], seconds: float) -> Doubles:
        return _smooth(np.array(values, np.float64)[at], seconds)

    spoken = np.array([each.formants for each in segments], np.float64)
    spoken[:, 0] *= manner.first_formant
    spoken += (_NEUTRAL - spoken) * manner.reduction
    factor = voice.tract * manner.formants
    formants = np.empty((count, len(_WIDTHS)))
    formants[:, :3] = _smooth(spoken[at], _GLIDE) * factor
    formants[:, 3:] = np.array(_UPPER) * voice.tract
    voicing = course([each.voicing for each in segments], manner.onset)
    aspiration = course([each.aspiration for each in segments], manner.onset)
    widths = np.tile(np.array(_WIDTHS) * voice.tract, (count, 1))
    # an open glottis damps the first formant most
    widths[:, 0] *= 1.0 + 2.0 * (manner.open_quotient - 0.4) + 3.0 * (aspiration > voicing)
    accents = [
        (float(end - each.seconds), float(end))
        for each, end in zip(segments, ends, strict=True)
        if each.accent
    ]
    return Score(
        voice.pitch * 2 ** (_contour(count, accents, manner) / 12),
        voicing,
        aspiration,
        course([each.frication for each in segments], _BURST),
        formants,
        widths,
        course([each.place for each in segments], _BURST),
    )


def _contour(count: int, accents: list[tuple[float, float]], manner: Manner) -> Doubles:
    """Semitones above the speaker's pitch: phrase and accent commands through their responses."""
    time: Doubles = np.arange(count, dtype=np.float64) * STEP
    t = time + 0.15
    # scaled to a peak of 1
    out = manner.pitch + manner.phrase * _PHRASE_RATE * t * np.exp(1.0 - _PHRASE_RATE * t)
    for index, (start, end) in enumerate(accents):
        last = index == len(accents) - 1
        size = manner.accent * (1.15 if index % 2 == 0 else 0.8)
        out += size * (_response(time - start + 0.06) - _response(time - end + 0.02))
        if last:
            out += manner.final * _response((time - end + 0.08) / 2)
    return np.asarray(out)


def _response(time: Doubles) -> Doubles:
    t = np.maximum(time, 0.0) * _ACCENT_RATE
    return np.asarray(1.0 - (1.0 + t) * np.exp(-t))


def _segments(line: list[Sound | None], manner: Manner) -> list[_Segment]:
    loud = 10 ** (manner.stress / 20)
    vowels = [i for i, each in enumerate(line) if each and each.phone.manner == "vowel"]
    out: list[_Segment] = [_Segment(0.03, (500, 1500, 2500))]
    for index, each in enumerate(line):
        following = next((s for s in line[index + 1 :] if s), None)
        if each is None:
            out.append(_Segment(manner.pause, out[-1].formants))
            continue
        before_pause = index + 2 < len(line) and line[index + 1] is None
        long = 1.5 if index in vowels[-1:] or before_pause else 1.0
        seconds = each.phone.seconds * (1.45 if each.stress else 1.0) * long / manner.rate
        out += _spoken(each.phone, following, seconds, loud if each.stress else 1.0, each.stress)
    out.append(_Segment(0.06, out[-1].formants))
    return out


def _spoken(
    one: Phone, following: Sound | None, seconds: float, loud: float, stress: bool
) -> list[_Segment]:
    centre, width, gain = one.noise
    place = (centre, width)
    ahead = following.phone.formants if following else one.formants
    if one.manner == "vowel":
        if one.glide is None:
            return [_Segment(seconds, one.formants, loud, accent=stress)]
        return [
            _Segment(seconds * 0.55, one.formants, loud, accent=stress),
            _Segment(seconds * 0.45, one.glide, loud * 0.85),
        ]
    if one.manner == "breath":
        return [_Segment(seconds, ahead, 0.0, 0.12)]
    if one.manner in ("glide", "nasal"):
        return [_Segment(seconds, one.formants, 0.6 if one.manner == "glide" else 0.4)]
    if one.manner == "fricative":
        return [_Segment(seconds, one.formants, 0.4 if one.voiced else 0.0, 0.0, gain, place)]
    closed = _Segment(seconds * 0.7, one.formants, 0.12 if one.voiced else 0.0, place=place)
    burst = _Segment(0.012, one.formants, 0.1 if one.voiced else 0.0, 0.02, gain, place)
    if one.voiced:
        return [closed, burst]
    vowel = following is not None and following.phone.manner in ("vowel", "glide")
    return [closed, burst, _Segment(0.035 if vowel else 0.015, ahead, 0.0, 0.08, 0.02, place)]


def _smooth(values: Doubles, seconds: float) -> Doubles:
    """Along the first axis, by a Hann window."""
    window = np.hanning(round(seconds / STEP) * 2 + 1)
    window /= window.sum()
    half = len(window) // 2
    columns = values.reshape(len(values), -1)
    padded = np.pad(columns, ((half, half), (0, 0)), mode="edge")
    out = np.stack([np.convolve(column, window, "valid") for column in padded.T], 1)
    return np.asarray(out.reshape(values.shape))
