"""Classes of photographs from action units: a logistic rule learnt from prototypes.

The prototypes' units are exact; a teacher's units of a photograph are not, so the rule learns from
units with noise as large as the teacher's error. On photographs it says softly what blendshapes can
tell: smiles, raised brows, open mouths; of frowns they say little.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS, Float

NOISE = 0.12
"""S.d. of a unit's error; the teacher errs by about as much on shrunk pictures."""
ROUNDS, RATE = 400, 0.5
SHRINK = 1e-3
Rule = tuple[Float, Float]
"""Weights float32[12, 8] and biases float32[8]."""


def learnt(units: Float, classes: Float, weight: Float, seed: int = 0) -> Rule:
    """Multinomial logistic regression on noisy units by gradient descent.

    Parameters
    ----------
    units : float32[N, 12]
        Exact, in [0, 1].
    classes : float32[N, 8]
        Distributions.
    weight : float32[N]
        0 leaves a row out.
    """
    rng = np.random.default_rng(seed)
    slope = np.zeros((units.shape[1], len(EXPRESSIONS)))
    bias = np.zeros(len(EXPRESSIONS))
    memory: tuple[NDArray[Any], NDArray[Any]] = np.zeros_like(slope), np.zeros_like(bias)
    share = (weight / weight.sum())[:, None]
    for _ in range(ROUNDS):
        noisy = np.clip(units + rng.normal(0, NOISE, units.shape), 0, 1.2)
        gap = share * (_softmax(noisy @ slope + bias) - classes)
        memory = (
            0.9 * memory[0] + noisy.T @ gap + SHRINK * slope / len(EXPRESSIONS),
            0.9 * memory[1] + gap.sum(0),
        )
        slope -= RATE * memory[0]
        bias -= RATE * memory[1]
    return slope.astype(np.float32), bias.astype(np.float32)


def told(units: Float, rule: Rule) -> Float:
    """Class distributions float32[N, 8] of units float32[N, 12]."""
    return np.asarray(_softmax(units @ rule[0] + rule[1]), np.float32)


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(odds / odds.sum(1, keepdims=True))
