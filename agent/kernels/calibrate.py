"""Softmax and baseline correction of expression outputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]


@kernel()
def softmax_at_temperature(
    logits: Float, temperature: float, valence: Float, arousal: Float, probabilities: Float
) -> tuple[float, float, float]:  # pragma: no cover
    """Softmax with temperature, and expected valence and arousal (Guo et al., ICML 2017).

    Parameters
    ----------
    logits : float32[K]
    temperature : float
        Above 0; divides the logits.
    valence, arousal : float32[K]
        Coordinates of the classes.
    probabilities : float32[K]
        Overwritten; sums to 1.

    Returns
    -------
    highest probability, expected valence, expected arousal
    """
    top = logits[0]
    for k in range(1, logits.shape[0]):
        top = max(top, logits[k])
    total = 0.0
    for k in range(logits.shape[0]):
        odds = np.exp((logits[k] - top) / temperature)
        probabilities[k] = odds
        total += odds
    highest = 0.0
    v = 0.0
    a = 0.0
    for k in range(logits.shape[0]):
        share = probabilities[k] / total
        probabilities[k] = share
        highest = max(highest, share)
        v += share * valence[k]
        a += share * arousal[k]
    return highest, v, a


@kernel()
def subtract_baseline(
    units: Float, neutral: float, sums: Float, weight: float, out: Float
) -> float:  # pragma: no cover
    """Update a face's resting baseline and subtract it from action unit intensities.

    Parameters
    ----------
    units : float32[U]
        Intensities in [0, 1].
    neutral : float
        Probability of the neutral class; its square is the weight of this sample.
    sums : float32[U]
        Updated: weighted sum of the samples so far.
    weight : float
        Sum of their weights, above 0.
    out : float32[U]
        Overwritten: 0 at rest, 1 at full intensity.

    Returns
    -------
    float
        The new sum of weights.
    """
    weight += neutral * neutral
    for k in range(units.shape[0]):
        sums[k] += neutral * neutral * units[k]
        base = sums[k] / weight
        out[k] = min(max((units[k] - base) / max(1.0 - base, 0.1), 0.0), 1.0)
    return weight
