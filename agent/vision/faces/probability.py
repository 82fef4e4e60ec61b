"""Calibrated probability that a place shows a face, from the detector and the landmark network.

A covered mouth leaves the landmark network in doubt and small size the detector; together they
know more than a threshold on each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from agent.base.errors import ModelError
from agent.inference.manifest import ADVICE

_SUREST = 6.0
"""Logits beyond count as this: a saturated output says no more."""


class FaceProbability:
    """Logistic regression on logits (Platt 1999).

    Parameters
    ----------
    weights : sequence of float
        One per detector score, one for the landmark network's presence, and the constant.
    above : float
        Probability from which a place counts as a face, in (0, 1).
    """

    def __init__(self, weights: Sequence[float], above: float) -> None:
        self._scores = tuple(weights[:-2])
        self._presence, self._constant = weights[-2:]
        self.above = above

    @classmethod
    def of(cls, parameters: Mapping[str, Any], name: str) -> FaceProbability:
        """From `<name>_weights` and `<name>_above` of the detector's entry in the manifest.

        Raises `ModelError` where it has none.
        """
        try:
            return cls(parameters[f"{name}_weights"], float(parameters[f"{name}_above"]))
        except (KeyError, TypeError, ValueError):
            raise ModelError(
                f"The detector's entry in manifest.toml lacks {name}_weights or {name}_above. "
                f"{ADVICE}"
            ) from None

    def least_presence(self, *logits: float) -> float:
        """Logit of the presence from which a place with these logits of the detector counts as a
        face; minus infinity where any presence will do."""
        if self._presence <= 0.0:
            return -math.inf
        known = self._constant - logit(self.above)
        for weight, score in zip(self._scores, logits, strict=True):
            known += weight * min(max(score, -_SUREST), _SUREST)
        return -known / self._presence

    def __call__(self, presence: float, *logits: float) -> float:
        """The probability, from logits: the presence's, and the detector's in the order of the
        weights."""
        value = self._constant + self._presence * presence
        for weight, score in zip(self._scores, logits, strict=True):
            value += weight * min(max(score, -_SUREST), _SUREST)
        return 1.0 / (1.0 + math.exp(-min(max(value, -30.0), 30.0)))


class FilmJudge:
    """Which detections in a film begin a track, and which tracks are reported.

    A weak detection begins a track that is followed but not reported. The looks after it are what
    counts then: the first was chosen for its score (regression toward the mean).

    Parameters
    ----------
    first : FaceProbability
        Of a detection and its presence; from `first.above` on a track begins.
    sure_above : float
        Probability from which it is reported at once.
    later : FaceProbability
        Of a track, from the means of what follows; from `later.above` on it is reported.
    """

    def __init__(self, first: FaceProbability, sure_above: float, later: FaceProbability) -> None:
        self._first = first
        self._sure_above = sure_above
        self._later = later

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> FilmJudge:
        """From `track_*` and `film_*` of the detector's entry in the manifest.

        Raises `ModelError` where it has none.
        """
        first, later = (FaceProbability.of(parameters, name) for name in ("track", "film"))
        return cls(first, float(parameters.get("track_sure_above", first.above)), later)

    def begins(self, presence: float, score: float) -> bool:
        """Whether a detection of this score and presence, probabilities, is followed."""
        return self._first(logit(presence), logit(score)) >= self._first.above

    def least_presence(self, score: float) -> float:
        """Logit of the presence from which a detection of this score is followed."""
        return self._first.least_presence(logit(score))

    def is_sure(self, presence: float, score: float) -> bool:
        """Whether it is reported at once."""
        return self._first(logit(presence), logit(score)) >= self._sure_above

    def bears_out(self, presence: float, score: float) -> bool:
        """Whether a track is reported: mean logits of its presence and of the looks after the one
        that began it."""
        return self._later(presence, score) >= self._later.above


def logit(probability: float) -> float:
    """Within +-6."""
    least = 1.0 / (1.0 + math.exp(_SUREST))
    share = min(max(probability, least), 1.0 - least)
    return math.log(share / (1.0 - share))
