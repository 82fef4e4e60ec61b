"""From a face to its expression: eight classes, valence and arousal, action units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Expression, Float, Grey, Infer
from agent.vision.faces.align import MEAN_SHAPE, CropSpec, cut
from agent.vision.kernels.calibrate import softmax_at_temperature, subtract_baseline
from agent.vision.kernels.geometry import fit_similarity

_EQUAL = np.ones(len(MEAN_SHAPE), np.float32)


class ExpressionClassifier:
    """Reads one aligned grey crop.

    Card: models/expression/CARD.md. Valence and arousal are the expectation of published
    coordinates per class under the class probabilities, not a measurement of their own.
    """

    def __init__(self, infer: Infer, parameters: Mapping[str, Any]) -> None:
        """`parameters`: the model's own, from the manifest (temperature, unsure_below, …)."""
        self._infer = infer
        self._crop = CropSpec(
            size=48, iod=float(parameters["crop_iod"]), centre_y=float(parameters["crop_centre_y"])
        )
        self._target = self._crop.place(MEAN_SHAPE)
        self._temperature = float(parameters["temperature"])
        self._unsure_below = float(parameters["unsure_below"])
        self._valence = np.array(parameters["valence"], np.float32)
        self._arousal = np.array(parameters["arousal"], np.float32)
        assert len(self._valence) == len(self._arousal) == len(EXPRESSIONS)

    def __call__(self, luma: Grey, points: Float) -> Expression:
        """Expression of the face with these landmarks float32[68, 2] in uint8[H, W]."""
        matrix = fit_similarity(points, self._target, _EQUAL)
        return self.read_crop(cut(luma, matrix, self._crop.size))

    def read_crop(self, crop: Grey) -> Expression:
        """Expression of a crop uint8[48, 48] framed like FER pictures."""
        answer = self._infer(crop)
        probabilities = np.empty(len(EXPRESSIONS), np.float32)
        highest, valence, arousal = softmax_at_temperature(
            answer["logits"].reshape(-1),
            self._temperature,
            self._valence,
            self._arousal,
            probabilities,
        )
        return Expression(
            probabilities,
            highest < self._unsure_below,
            valence,
            arousal,
            answer["action_units"].reshape(-1).clip(0.0, 1.0),
        )


class NeutralBaseline:
    """How a face's action units read when it rests, learnt while it is watched.

    People differ at rest (hooded lids read as AU07, full lips as AU18). The mean over answers,
    each weighted by its probability of being neutral, starts at zero with the weight of `prior`
    answers, so that the first answers are hardly changed.
    """

    def __init__(self, prior: float = 5.0) -> None:
        self._sum = np.zeros(len(ACTION_UNITS), np.float32)
        self._weight = prior

    def subtract(self, answer: Expression) -> Expression:
        """The answer relative to this face's own rest; also learns from it."""
        units = np.empty(len(ACTION_UNITS), np.float32)
        self._weight = subtract_baseline(
            answer.action_units, answer.probabilities.item(0), self._sum, self._weight, units
        )
        return Expression(
            answer.probabilities, answer.unsure, answer.valence, answer.arousal, units
        )
