"""How the two networks' logits are joined, fitted on training speakers whom neither heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from agent.base.types import TONES, Float

Array = NDArray[np.float64]
KEPT_RIGHT = 0.75
"""Share of right answers among those that are not unsure."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Logits = spectrum's * weights[0] + prosody's * weights[1] + bias, of tones, arousal, valence."""

    weights: Array
    """float64[2, 6]."""
    bias: Array
    """float64[6]."""

    def __call__(self, logits: Float) -> Array:
        """float64[N, 6] of both networks' float32[2, N, 6]."""
        return np.asarray((logits * self.weights[:, None]).sum(0) + self.bias)


def fit(
    logits: Float, tone: NDArray[np.int64], high: NDArray[np.int64], valence: Float, weight: Array
) -> Joined:
    """Least cross entropy of tones, arousal and valence, each apart.

    Parameters
    ----------
    logits
        float32[2, N, 6].
    tone, high
        int64[N]; -1 unknown.
    valence
        float32[N], in [-1, 1].
    weight
        float64[N], of each row; classes are balanced on top of it.
    """
    weights, bias = np.zeros((2, 6)), np.zeros(6)
    known = tone >= 0
    each = _balanced(tone[known], weight[known])
    truth = np.eye(len(TONES))[tone[known]]
    part = logits[:, known, :4].astype(np.float64)

    def tones(x: Array) -> float:
        z = x[0] * part[0] + x[1] * part[1] + x[2:]
        z -= z.max(1, keepdims=True)
        log = z - np.log(np.exp(z).sum(1, keepdims=True))
        return float(-(each[:, None] * truth * log).sum() + 0.02 * (x[2:] ** 2).sum())

    found = minimize(
        tones, [0.5, 0.5, 0, 0, 0, 0], bounds=[(0, 5)] * 2 + [(-3, 3)] * 4, method="L-BFGS-B"
    ).x
    weights[:, :4], bias[:4] = found[:2, None], found[2:]
    known = high >= 0
    weights[:, 4], bias[4] = _binary(
        logits[:, known, 4], high[known].astype(float), _balanced(high[known], weight[known])
    )
    weights[:, 5], bias[5] = _binary(logits[:, :, 5], (valence + 1.0) / 2.0, weight / weight.sum())
    return Joined(weights, bias)


def _binary(logits: Float, truth: Array, each: Array) -> tuple[Array, float]:
    part = logits.astype(np.float64)

    def cost(x: Array) -> float:
        z = x[0] * part[0] + x[1] * part[1] + x[2]
        return float((each * (np.logaddexp(0, z) - truth * z)).sum())

    found = minimize(cost, [0.5, 0.5, 0], bounds=[(0, 5)] * 2 + [(-3, 3)], method="L-BFGS-B").x
    return found[:2], float(found[2])


def _balanced(kinds: NDArray[np.int64], weight: Array) -> Array:
    out = weight.astype(np.float64).copy()
    for kind in np.unique(kinds):
        out[kinds == kind] /= out[kinds == kind].sum()
    return out / out.sum()


def probabilities(logits: Array) -> Array:
    """float64[N, 4] of calibrated logits float64[N, 6]."""
    z = np.exp(logits[:, :4] - logits[:, :4].max(1, keepdims=True))
    return np.asarray(z / z.sum(1, keepdims=True))


def threshold(shares: Array, tone: NDArray[np.int64]) -> float:
    """The least confidence above which `KEPT_RIGHT` of the answers to known tones are right."""
    known = tone >= 0
    sure, right = shares[known].max(1), shares[known].argmax(1) == tone[known]
    for edge in np.arange(0.25, 0.9, 0.01):
        kept = sure >= edge
        if kept.any() and right[kept].mean() >= KEPT_RIGHT:
            return round(float(edge), 2)
    return 0.9
