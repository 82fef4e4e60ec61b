"""Face, tone and words as one reading: late fusion of calibrated posteriors.

Log-linear pooling (Genest & Zidek 1986, Statistical Science 1(1)): log p = sum w_i log p_i -
(sum w_i - 1) log prior, up to normalisation. With weights of 1 it is Bayes' rule for channels that
are independent given the class; smaller weights admit that they are not, or not reliable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agent.base.types import SENTIMENTS, UNSURE, Float

_LEAST = 1e-3
"""Probability below which no channel is believed: one that errs must not veto the others."""
_OPPOSED = 0.6
"""Probability of opposite polarities from which two channels contradict each other."""
_HEARD = 0.5
"""Share of the largest weight from which a channel can contradict."""
_SURE = 0.5
"""Fused probability from which a class is named."""


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """What one channel says."""

    probabilities: Float
    """float32[3], calibrated, in the order of `SENTIMENTS`, sums to 1."""
    weight: float
    """>= 0: its reliability on held-back samples, times how much of it there was and how good."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the channels say together."""

    probabilities: Float
    """float32[3]."""
    label: str
    """One of `SENTIMENTS`, or `UNSURE`: no class is likely, or the channels contradict."""
    channels: tuple[str, ...]
    """Names of those that took part."""


def fuse(channels: Mapping[str, Channel], prior: Float) -> Reading | None:
    """All channels of weight above 0 as one; None where there is none.

    The largest weight counts as 1, so that one channel alone is passed on as it is.

    Parameters
    ----------
    prior : float32[3]
        Of the classes where the channels were calibrated, each above 0.
    """
    heard = {name: each for name, each in channels.items() if each.weight > 0}
    if not heard:
        return None
    largest = max(each.weight for each in heard.values())
    fused = pooled(
        [each.probabilities for each in heard.values()],
        [each.weight / largest for each in heard.values()],
        prior,
    )
    sure = float(fused.max()) >= _SURE and not _contradict(heard, largest)
    label = SENTIMENTS[int(fused.argmax())] if sure else UNSURE
    return Reading(fused, label, tuple(heard))


def pooled(said: Sequence[Float], weights: Sequence[float | Float], prior: Float) -> Float:
    """float32[..., 3] of the channels' float32[..., 3], each with its weight(s) in [0, 1]."""
    base = np.log(np.asarray(prior, np.float64))
    total = base
    for probabilities, weight in zip(said, weights, strict=True):
        share = np.maximum(np.asarray(probabilities, np.float64), _LEAST)
        total = total + np.asarray(weight)[..., None] * (
            np.log(share / share.sum(-1, keepdims=True)) - base
        )
    odds = np.exp(total - total.max(-1, keepdims=True))
    return np.asarray(odds / odds.sum(-1, keepdims=True), np.float32)


def _contradict(heard: Mapping[str, Channel], largest: float) -> bool:
    """Whether one weighty channel is sure of good and another of ill."""
    said = [each.probabilities for each in heard.values() if each.weight >= _HEARD * largest]
    return all(any(float(p[k]) >= _OPPOSED for p in said) for k in (0, 2))


PRIOR = np.full(3, 1 / 3, np.float32)
"""Before anything is seen, heard or read, no polarity is likelier than another."""
PRIORS = {
    "face": np.array([0.28, 0.43, 0.29], np.float32),
    "voice": np.array([0.46, 0.29, 0.25], np.float32),
    "words": np.array([0.39, 0.19, 0.42], np.float32),
}
"""float32[3] each: of the samples that each channel was calibrated on (`tools.eval fusion`)."""
RELIABILITY = {"face": 1.0, "voice": 1.5, "words": 1.2}
"""Weight of a channel of which there was enough and that is undisturbed, for which reading together
is least worse than the better channel when one is disturbed (`tools.eval fusion`)."""
EXPRESSION_TO_POLARITY = np.array(
    # neutral, happiness, surprise, sadness, anger, disgust, fear, contempt
    [[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]],
    np.float32,
)
"""float32[8, 3]. Surprise has no polarity of its own (Russell 1980)."""
TONE_TO_POLARITY = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]], np.float32)
"""float32[4, 3]: neutral, happy, angry, sad."""


def polarity(probabilities: Float, table: Float) -> Float:
    """float32[3] from a channel's own classes."""
    return np.asarray(probabilities @ table, np.float32)


def adjusted(probabilities: Float, prior: Float) -> Float:
    """Probabilities float32[..., 3] that hold where the classes are as frequent as `prior` says, as
    they are under `PRIOR` (Saerens et al. 2002, Neural Computation 14(1))."""
    odds = np.asarray(probabilities, np.float64) / prior * PRIOR
    return np.asarray(odds / np.maximum(odds.sum(-1, keepdims=True), 1e-12), np.float32)
