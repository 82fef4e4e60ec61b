"""How the two networks' logits are joined, fitted on training speakers whom neither heard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import TONES, Float
from agent.voice.tone import joint

Array = NDArray[np.float64]
KEPT_RIGHT = 0.75
"""Share of right answers among those that are not unsure."""
_SCALES = np.geomspace(0.1, 2.0, 40)
_PARTS = np.linspace(0.2, 0.8, 7)


def fit(
    logits: Float, tone: NDArray[np.int64], high: NDArray[np.int64], valence: Float, weight: Array
) -> Float:
    """Weights float32[2, 3] of least cross entropy for `agent.voice.tone.joint`.

    Only the networks' parts and the steepness are fitted. A threshold would be too: but where the
    few speakers at hand need it depends on them, and it made others worse.

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
    known, told = tone >= 0, high >= 0
    truths = (
        (known, np.eye(len(TONES))[tone[known]], balanced(tone[known], weight[known])),
        (told, high[told].astype(float), balanced(high[told], weight[told])),
        (np.ones(len(tone), bool), (valence + 1.0) / 2.0, weight / weight.sum()),
    )
    out = np.zeros((2, 3), np.float32)
    for k, (rows, truth, each) in enumerate(truths):
        best = np.inf
        for part in _PARTS:
            unit = np.full((2, 3), [[part], [1 - part]], np.float32)
            found = joint(logits[:, rows], unit).astype(float)
            found = found[:, : len(TONES)] if k == 0 else found[:, 3 + k]
            for scale in _SCALES:
                cost = _cost(found * scale, truth, each)
                if cost < best:
                    best, out[:, k] = cost, (part * scale, (1 - part) * scale)
    return out


def _cost(logits: Array, truth: Array, each: Array) -> float:
    """Weighted cross entropy of tones float64[N, 4], or of one yes or no float64[N]."""
    if logits.ndim == 1:
        return float((each * (np.logaddexp(0, logits) - truth * logits)).sum())
    return float(-(each[:, None] * truth * np.log(shares(logits) + 1e-12)).sum())


def balanced(kinds: NDArray[np.int64], weight: Array) -> Array:
    """The weights with all kinds alike, summing to 1."""
    out = weight.astype(np.float64).copy()
    for kind in np.unique(kinds):
        out[kinds == kind] /= out[kinds == kind].sum()
    return np.asarray(out / out.sum())


def shares(logits: NDArray[np.floating]) -> Array:
    """Softmax of float[N, 4]."""
    z = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(z / z.sum(1, keepdims=True), np.float64)


def threshold(probabilities: Array, tone: NDArray[np.int64]) -> float:
    """The least confidence above which `KEPT_RIGHT` of the answers to known tones are right."""
    known = tone >= 0
    sure = probabilities[known].max(1)
    right = probabilities[known].argmax(1) == tone[known]
    for edge in np.arange(0.25, 0.9, 0.01):
        kept = sure >= edge
        if kept.any() and right[kept].mean() >= KEPT_RIGHT:
            return round(float(edge), 2)
    return 0.9
