"""Calibrated probability that a place shows a face, from the detector and the landmark network.

A covered mouth leaves the landmark network in doubt and small size the detector; together they
know more than a threshold on each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from agent.base.errors import ModelError
from agent.vision.inference.manifest import ADVICE

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
    again_above, sure_above : float | None
        In a film: probability of two looks together, and of one, that settle it. None: `above`.
    """

    def __init__(
        self,
        weights: Sequence[float],
        above: float,
        again_above: float | None = None,
        sure_above: float | None = None,
    ) -> None:
        self._scores = tuple(weights[:-2])
        self._presence, self._constant = weights[-2:]
        self.above = above
        self.again_above = above if again_above is None else again_above
        self.sure_above = above if sure_above is None else sure_above

    @classmethod
    def of(cls, parameters: Mapping[str, Any], name: str) -> FaceProbability:
        """From `<name>_weights` and `<name>_above` (one to three numbers) of the detector's entry
        in the manifest. Raises `ModelError` where it has none.
        """
        try:
            above = parameters[f"{name}_above"]
            limits = above if isinstance(above, tuple) else (above,)
            return cls(parameters[f"{name}_weights"], *map(float, limits))
        except (KeyError, TypeError, ValueError):
            raise ModelError(
                f"The detector's entry in manifest.toml lacks {name}_weights or {name}_above. "
                f"{ADVICE}"
            ) from None

    def __call__(self, presence: float, *logits: float) -> float:
        """The probability; `logits` of the detector in the order of the weights."""
        value = self._constant + self._presence * logit(presence)
        for weight, score in zip(self._scores, logits, strict=True):
            value += weight * min(max(score, -_SUREST), _SUREST)
        return 1.0 / (1.0 + math.exp(-min(max(value, -30.0), 30.0)))


def logit(probability: float) -> float:
    """Within +-6."""
    least = 1.0 / (1.0 + math.exp(_SUREST))
    share = min(max(probability, least), 1.0 - least)
    return math.log(share / (1.0 - share))
