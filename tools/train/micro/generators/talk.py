"""Three ways of talking, and what else a mouth does: chewing, swallowing, laughing.

Each returns strengths by movement, float64[T], IOD. Visemes with coarticulation as dominance
functions (Cohen & Massaro 1993); targets that a sluggish muscle does not quite reach (undershoot,
Lindblom 1963); a jaw that oscillates at the rate of syllables (MacNeilage 1998).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tools.train.micro.generators.signals import gate, second_order, waves

Array = NDArray[np.float64]
Span = tuple[float, float]
Strengths = dict[str, Array]
Talk = Callable[[np.random.Generator, Array, Span], Strengths]

_VISEMES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.20, {"AU26": 1.0, "AU25": 0.3}),  # a
    (0.14, {"AU26": 0.5, "AU20": 0.35, "AU25": 0.3}),  # e
    (0.14, {"AU26": 0.2, "AU20": 0.6, "AU25": 0.3}),  # i
    (0.10, {"AU26": 0.45, "AU18": 0.6}),  # o
    (0.08, {"AU26": 0.15, "AU18": 1.0}),  # u
    (0.10, {"AU24": 0.5}),  # p, b, m
    (0.06, {"AU10": 0.25, "AU17": 0.25}),  # f, v
    (0.18, {"AU26": 0.15, "AU25": 0.3}),  # t, d, s, n
)
_CHANCES = np.array([chance for chance, _ in _VISEMES])
_ARTICULATORS = ("AU10", "AU17", "AU18", "AU20", "AU24", "AU25", "AU26")


def dominance(rng: np.random.Generator, times: Array, span: Span) -> Strengths:
    """Visemes blended by negative exponentials of the distance in time."""
    size, rate = rng.uniform(0.02, 0.09), rng.uniform(8.0, 15.0)
    decay = rng.uniform(12.0, 30.0)
    inside = np.flatnonzero((times > span[0] - 0.4) & (times < span[1] + 0.4))
    out = {name: np.zeros(len(times)) for name in _ARTICULATORS}
    if not len(inside):
        return out
    now = times[inside]
    weight, total = np.full(len(now), 0.02), {n: np.zeros(len(now)) for n in _ARTICULATORS}
    at = span[0]
    while at < span[1]:
        if rng.random() < 0.04:  # a pause
            length, viseme = rng.uniform(0.15, 0.7), {}
        else:
            length = float(np.exp(rng.normal(0.0, 0.3))) / rate
            viseme = _VISEMES[int(rng.choice(len(_VISEMES), p=_CHANCES))][1]
        middle = at + 0.5 * length
        strong = rng.uniform(0.5, 1.0) * np.exp(
            -decay * np.maximum(np.abs(now - middle) - 0.3 * length, 0.0)
        )
        weight = weight + strong
        stress = rng.uniform(0.4, 1.2)
        for name, share in viseme.items():
            total[name] += strong * share * stress
        at += length
    quiet = gate(now, span[0] - 0.15, span[1] + 0.15, 0.15)
    for name, value in total.items():
        out[name][inside] = size * quiet * value / weight
    return out


def undershoot(rng: np.random.Generator, times: Array, span: Span) -> Strengths:
    """Steps between targets through a critically damped filter."""
    size, rate, tau = rng.uniform(0.02, 0.10), rng.uniform(7.0, 14.0), rng.uniform(0.02, 0.06)
    drive = np.zeros((len(times), len(_ARTICULATORS)))
    at = span[0]
    while at < span[1]:
        length = float(np.exp(rng.normal(0.0, 0.4))) / rate
        if rng.random() < 0.05:
            at += rng.uniform(0.15, 0.6)
            continue
        viseme = _VISEMES[int(rng.choice(len(_VISEMES), p=_CHANCES))][1]
        first, last = np.searchsorted(times, (at, min(at + length, span[1])))
        for name, share in viseme.items():
            drive[first:last, _ARTICULATORS.index(name)] = share * rng.uniform(0.5, 1.1)
        at += length
    step = float(np.median(np.diff(times)))
    smooth = size * second_order(drive, step, tau)
    return {name: smooth[:, k] for k, name in enumerate(_ARTICULATORS)}


def oscillation(rng: np.random.Generator, times: Array, span: Span) -> Strengths:
    """The jaw at the rate of syllables, lips slowly rounder or wider, with phrases and stress."""
    size, rate = rng.uniform(0.015, 0.07), rng.uniform(2.5, 6.0)
    phase = 2 * np.pi * rate * (times + 0.06 * waves(rng, times, 0.5, 2.5, 0.5))
    stress = np.clip(0.55 + 0.4 * waves(rng, times, 0.4, 2.5, 0.3), 0.0, 1.6)
    quiet = gate(times, *span, rng.uniform(0.05, 0.3))
    jaw = size * quiet * stress * (0.5 - 0.5 * np.cos(phase)) ** rng.uniform(0.7, 1.5)
    shape = waves(rng, times, 0.8, 4.0, 0.3)
    wide = 0.5 * size * quiet * shape
    press = 0.5 * size * quiet * np.clip(waves(rng, times, 1.5, 5.0, 0.2) - 0.8, 0.0, 2.0)
    return {
        "AU26": jaw,
        "AU25": 0.3 * jaw,
        "AU20": np.maximum(wide, 0.0),
        "AU18": np.maximum(-wide, 0.0),
        "AU24": press,
    }


def prosody(rng: np.random.Generator, times: Array, span: Span, size: float) -> Strengths:
    """What brows and cheeks do along with the voice: slow, small."""
    quiet = gate(times, *span, 0.3)
    brow = size * quiet * waves(rng, times, 0.15, 1.2, 0.8)
    cheek = 0.4 * size * quiet * waves(rng, times, 0.3, 2.0, 0.6)
    share = rng.dirichlet([1.0, 1.0, 1.0])
    return {
        "AU01": share[0] * brow, "AU02": share[1] * brow, "AU04": -share[2] * brow,
        "AU06": cheek, "AU12": rng.normal() * cheek,
    }  # fmt: skip


def chewing(rng: np.random.Generator, times: Array, span: Span) -> Strengths:
    """The jaw up and down once or twice a second, lips closed, cheeks along."""
    rate, size = rng.uniform(0.9, 2.2), rng.uniform(0.01, 0.06)
    phase = 2 * np.pi * rate * (times + 0.05 * waves(rng, times, 0.2, 1.0, 0.5))
    jaw = size * gate(times, *span, 0.3) * (0.5 - 0.5 * np.cos(phase))
    side = rng.normal(0.0, 0.2)
    return {"AU26": jaw, "AU24": 0.3 * jaw, "AU14": side * jaw, "AU17": 0.2 * jaw}


def swallowing(rng: np.random.Generator, times: Array, start: float) -> tuple[Span, Strengths]:
    """Lips pressed and chin raised, slower than any micro-expression."""
    length = rng.uniform(0.75, 1.3)
    inside = np.clip((times - start) / length, 0.0, 1.0)
    value = rng.uniform(0.008, 0.025) * np.sin(np.pi * inside) ** 2
    return (start, start + length), {"AU24": 0.6 * value, "AU17": value}


def laughing(rng: np.random.Generator, times: Array, span: Span) -> tuple[Strengths, Array]:
    """A smile that shakes at four to six a second; also how the head shakes along, unit size."""
    size, rate = rng.uniform(0.04, 0.12), rng.uniform(3.8, 6.0)
    inside = gate(times, *span, min(0.35, 0.3 * (span[1] - span[0])))
    inside = inside**2 * (3.0 - 2.0 * inside)
    shake = np.sin(2 * np.pi * rate * (times + 0.02 * waves(rng, times, 0.5, 2.0, 0.5)))
    depth = rng.uniform(0.02, 0.15)
    smile = size * inside * (1.0 + depth * shake)
    jaw = 0.4 * size * inside * (0.6 + depth * shake) * (rng.random() < 0.7)
    return {"AU12": smile, "AU06": 0.4 * smile, "AU26": jaw}, np.asarray(inside * shake)


TALKS: dict[str, Talk] = {
    "dominance": dominance,
    "undershoot": undershoot,
    "oscillation": oscillation,
}
