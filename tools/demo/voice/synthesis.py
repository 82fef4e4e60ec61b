"""Glottal pulses and resonators, sample by sample."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@njit(cache=True)
def glottis(
    pitch: Doubles,
    voicing: Doubles,
    aspiration: Doubles,
    noise: Doubles,
    deviates: Doubles,
    open_quotient: float,
    tilt: float,
    breath: float,
    jitter: float,
    shimmer: float,
    step: int,
    rate: int,
    out: Doubles,
) -> None:
    """Derivative of the glottal flow: pulses with a cubic open phase, and breath through them.

    Parameters
    ----------
    pitch, voicing, aspiration : float64[T]
        Hz and amplitudes, `step` samples apart.
    noise : float64[T * step]
        Standard normal.
    deviates : float64[P]
        Standard normal, two per period.
    tilt : Hz of a one-pole low pass, which rounds the closure.
    out : float64[T * step]

    Notes
    -----
    Flow a t^2 - b t^3 in the open phase (Klatt & Klatt 1990, KLGLOTT88), scaled so that the
    derivative is -1 at closure. Pulses begin between samples: no jitter but the planted one.
    """
    keep = math.exp(-2.0 * math.pi * tilt / rate)
    start, period, strength = 0.0, rate / pitch[0], 1.0
    smooth, used = 0.0, 0
    for n in range(len(out)):
        k = n // step
        while n - start >= period:
            start += period
            period = rate / pitch[k] * (1.0 + jitter * deviates[used % len(deviates)])
            strength = 1.0 + shimmer * deviates[(used + 1) % len(deviates)]
            used += 2
        x = (n - start) / (open_quotient * period)
        pulse, gate = 0.0, 0.35
        if x < 1.0:
            pulse, gate = x * (2.0 - 3.0 * x) * strength, 1.0
        if voicing[k] < 0.05:
            gate = 1.0
        smooth = keep * smooth + (1.0 - keep) * pulse * voicing[k]
        out[n] = smooth + noise[n] * gate * (breath * voicing[k] + aspiration[k])


@njit(cache=True)
def resonate(
    sound: Doubles, frequency: Doubles, bandwidth: Doubles, peak: bool, step: int, rate: int
) -> None:
    """Pass `sound` float64[T * step] through K resonators in series, in place.

    `frequency`, `bandwidth`: float64[T, K], Hz. Gain 1 at 0 Hz as in Klatt (1980), or with `peak`
    at the resonance.
    """
    for f in range(frequency.shape[1]):
        before, earlier = 0.0, 0.0
        gain, b, c = 0.0, 0.0, 0.0
        for n in range(len(sound)):
            if n % step == 0:
                k = n // step
                radius = math.exp(-math.pi * bandwidth[k, f] / rate)
                angle = 2.0 * math.pi * frequency[k, f] / rate
                b, c = 2.0 * radius * math.cos(angle), -radius * radius
                gain = 1.0 - b - c
                if peak:
                    square = 1.0 - 2.0 * radius * math.cos(2.0 * angle) + radius * radius
                    gain = (1.0 - radius) * math.sqrt(square)
            y = gain * sound[n] + b * before + c * earlier
            earlier, before = before, y
            sound[n] = y
