"""Micro-expressions to inject into pictures: schedule, amplitude and displacement fields.

The directions are anatomical estimates after the FACS manual (Ekman, Friesen & Hager 2002), of our
own hand; no data set states them. Durations and shares of the units follow the published codings
of CASME II, SAMM, SMIC and DFME (Yan et al. 2014; Davison et al. 2018; Li et al. 2013; Zhao et al.
2023): 0.2 to 0.5 s, the apex in the middle, most often AU04.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.vision.faces.align import FLIP

_MIDDLE = np.flatnonzero(np.arange(68) == FLIP)

Half = Mapping[int, tuple[float, float]]
HALVES: Mapping[str, Half] = {
    "AU01": {21: (0.0, -1.0), 20: (0.0, -0.75), 19: (0.0, -0.3)},
    "AU02": {17: (0.0, -0.8), 18: (0.0, -1.0), 19: (0.0, -0.75), 20: (0.0, -0.3)},
    "AU04": {21: (0.4, 0.9), 20: (0.32, 0.75), 19: (0.2, 0.45), 18: (0.1, 0.2)},
    "AU07": {40: (0.0, -1.0), 41: (0.0, -1.0), 37: (0.0, 0.35), 38: (0.0, 0.35)},
    "AU10": {
        50: (0.0, -1.0),
        49: (0.0, -0.6),
        51: (0.0, -0.8),
        61: (0.0, -0.8),
        62: (0.0, -0.65),
        31: (0.0, -0.25),
        32: (0.0, -0.15),
    },
    "AU12": {
        48: (-0.7, -0.7),
        60: (-0.6, -0.6),
        49: (-0.3, -0.3),
        59: (-0.3, -0.25),
        58: (-0.1, -0.05),
    },
    "AU14": {48: (-1.0, -0.05), 60: (-0.85, -0.05), 49: (-0.3, 0.0), 59: (-0.3, 0.0)},
    "AU15": {48: (-0.1, 1.0), 60: (-0.1, 0.85), 59: (0.0, 0.4), 49: (0.0, 0.25)},
}
"""What a unit does to the half of the face at the picture's left: (x, y) by landmark, x towards the
right, y down, in shares of the largest displacement."""

SHARES: Mapping[tuple[str, ...], float] = {
    ("AU04",): 0.26,
    ("AU04", "AU07"): 0.10,
    ("AU07",): 0.08,
    ("AU01", "AU02"): 0.14,
    ("AU12",): 0.16,
    ("AU14",): 0.12,
    ("AU15",): 0.07,
    ("AU10",): 0.07,
}
"""Share of each set of units."""
UPPER = frozenset({"AU01", "AU02", "AU04", "AU05", "AU07", "AU09"})
"""Units of brows, lids and nose: a moving mouth does not hide them."""
ONE_SIDED = 0.15
LIDS = 0.02
"""Inter-ocular distances: AU07 moves no lid further, or small eyes would close: a blink."""
LONGEST, SHORTEST = 0.5, 0.2
RIGID = np.array([27, 28, 29, 30, 36, 39, 42, 45])
"""Points that no injected unit moves."""


@dataclass(frozen=True, slots=True)
class Injection:
    """One movement with its truth."""

    onset: float
    apex: float
    offset: float
    """Seconds of the video."""
    units: tuple[str, ...]
    amplitude: float
    """Largest displacement of a landmark at the apex, inter-ocular distances."""
    side: str
    """both | left | right, sides of the picture."""

    def course(self, time: float) -> float:
        """Intensity at `time`, in [0, 1]: raised cosines up and down."""
        if not self.onset < time < self.offset:
            return 0.0
        if time <= self.apex:
            share = (time - self.onset) / (self.apex - self.onset)
        else:
            share = (self.offset - time) / (self.offset - self.apex)
        return float(0.5 - 0.5 * np.cos(np.pi * share))


def displacements(units: Sequence[str], side: str = "both") -> Float:
    """Displacement of landmarks float32[68, 2], x right, y down; the largest has length 1."""
    out = np.zeros((68, 2))
    for unit in units:
        half = np.zeros((68, 2))
        share = 0.5 if unit == "AU07" and len(units) > 1 else 1.0
        for point, (x, y) in HALVES[unit].items():
            half[point] = share * x, share * y
        other = half[FLIP] * (-1.0, 1.0)
        if side == "both":
            both = half + other
            both[_MIDDLE] /= 2.0
            out += both
        else:
            one = half if side == "left" else other
            one[_MIDDLE] /= 2.0
            out += one
    return np.asarray(out / np.hypot(out[:, 0], out[:, 1]).max(), np.float32)


def schedule(
    rng: np.random.Generator,
    seconds: float,
    amplitudes: Sequence[float],
    *,
    start: float = 3.0,
    gap: tuple[float, float] = (1.0, 3.0),
) -> list[Injection]:
    """Movements for a video of `seconds`, in order and apart by `gap` (offset to onset).

    Amplitudes (inter-ocular distances) take turns in random order, so that each comes as often.
    The first begins after `start`; the last ends half a second before the video does, or earlier.
    """
    sets = list(SHARES)
    share = np.array([SHARES[key] for key in sets])
    out: list[Injection] = []
    turn: list[float] = []
    onset = start + float(rng.uniform(0.0, 1.0))
    while True:
        length = float(np.clip(rng.normal(0.37, 0.09), SHORTEST, LONGEST))
        if onset + length > seconds - 0.5:
            return out
        turn = turn or list(rng.permutation(np.asarray(amplitudes)))
        side = "both"
        if rng.random() < ONE_SIDED:
            side = "left" if rng.random() < 0.5 else "right"
        apex = onset + length * float(np.clip(rng.normal(0.516, 0.1), 0.3, 0.7))
        units = sets[int(rng.choice(len(sets), p=share / share.sum()))]
        amplitude = float(turn.pop())
        if units == ("AU07",):
            amplitude = min(amplitude, LIDS)
        out.append(Injection(onset, apex, onset + length, units, amplitude, side))
        onset += length + float(rng.uniform(*gap))


def truth_of(injected: Sequence[Injection]) -> dict[str, NDArray[np.generic]]:
    """`truth` float64[M, 3] onset, apex, offset in seconds, with `units` str[M] (joined by +),
    `amplitude` float64[M] and `side` str[M]."""
    return {
        "truth": np.array([(p.onset, p.apex, p.offset) for p in injected]).reshape(-1, 3),
        "units": np.array(["+".join(p.units) for p in injected], dtype="U32"),
        "amplitude": np.array([p.amplitude for p in injected], np.float64),
        "side": np.array([p.side for p in injected], dtype="U8"),
    }
