"""Expression classification: eight classes, valence and arousal, action units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Expression, Float, Grey, Infer
from agent.vision.faces.align import MEAN_SHAPE, CropSpec, cut
from agent.vision.kernels.calibrate import softmax_at_temperature, subtract_baseline
from agent.vision.kernels.geometry import fit_similarity


class ExpressionClassifier:
    """Expression classifier on an aligned grey crop.

    Card: models/expression/CARD.md. Valence and arousal are expectations of published class
    coordinates under the class probabilities, not separate outputs.
    """

    def __init__(self, infer: Infer, parameters: Mapping[str, Any]) -> None:
        """`parameters`: those of the model's manifest entry (temperature, unsure_below, …)."""
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
        matrix = fit_similarity(points, self._target)
        return self.classify_crop(cut(luma, matrix, self._crop.size))

    def classify_crop(self, crop: Grey) -> Expression:
        """Expression of a crop uint8[48, 48] framed like FER images."""
        outputs = self._infer(crop)
        probabilities = np.empty(len(EXPRESSIONS), np.float32)
        highest, valence, arousal = softmax_at_temperature(
            outputs["logits"].reshape(-1),
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
            np.minimum(np.maximum(outputs["action_units"].reshape(-1), 0.0), 1.0),
        )


class NeutralBaseline:
    """A face's action units at rest, estimated while it is tracked.

    Faces differ at rest (hooded lids resemble AU07, full lips AU18). The baseline is the mean over
    frames weighted by the squared probability of neutral, with a zero prior of weight 5.
    """

    def __init__(self) -> None:
        self._sum = np.zeros(len(ACTION_UNITS), np.float32)
        self._weight = 5.0

    def subtract(self, expression: Expression) -> Expression:
        """Update the baseline, then return the expression relative to it."""
        units = np.empty(len(ACTION_UNITS), np.float32)
        self._weight = subtract_baseline(
            expression.action_units,
            expression.probabilities.item(0),
            self._sum,
            self._weight,
            units,
        )
        return Expression(
            expression.probabilities,
            expression.unsure,
            expression.valence,
            expression.arousal,
            units,
        )
