"""Expression classification: eight classes, valence and arousal, action units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Expression, Float, Grey, Infer
from agent.kernels.calibrate import softmax_at_temperature, subtract_baseline
from agent.kernels.geometry import fit_similarity
from agent.vision.expression.visible import visible
from agent.vision.faces.align import MEAN_SHAPE, CropSpec, cut

STILL_SCALES = (0.94, 1.06)
"""Further enlargements at which a still is looked at."""


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
            visible(crop),
        )

    def judge(self, probabilities: Float, action_units: Float) -> Expression:
        """What probabilities float32[8] say that come from several readings of a face."""
        return Expression(
            probabilities,
            float(probabilities.max()) < self._unsure_below,
            float(probabilities @ self._valence),
            float(probabilities @ self._arousal),
            action_units,
        )

    def still(self, luma: Grey, points: Float) -> Expression:
        """As a call, for four times the work: the mean over the crop, its mirror image, and a
        slightly wider and a closer one. Video averages over time instead."""
        matrix = fit_similarity(points, self._target)
        size = self._crop.size
        further = [cut(luma, _enlarged(matrix, scale, size), size) for scale in STILL_SCALES]
        return self._mean(cut(luma, matrix, size), further)

    def still_crop(self, crop: Grey) -> Expression:
        """The same of a crop uint8[48, 48], whose edge pixels go on where it is made smaller."""
        further = [
            cv2.warpAffine(
                crop,
                _enlarged(np.eye(2, 3, dtype=np.float32), scale, len(crop)),
                crop.shape[::-1],
                borderMode=cv2.BORDER_REPLICATE,
            )
            for scale in STILL_SCALES
        ]
        return self._mean(crop, [np.asarray(view, np.uint8) for view in further])

    def _mean(self, crop: Grey, further: list[Grey]) -> Expression:
        views = [crop, np.ascontiguousarray(crop[:, ::-1]), *further]
        read = [self.classify_crop(view) for view in views]
        probabilities = np.stack([each.probabilities for each in read]).mean(0)
        units = np.stack([each.action_units for each in read]).mean(0)
        return Expression(
            probabilities.astype(np.float32),
            bool(probabilities.max() < self._unsure_below),
            float(np.mean([each.valence for each in read])),
            float(np.mean([each.arousal for each in read])),
            units.astype(np.float32),
        )


def _enlarged(matrix: Float, scale: float, size: int) -> Float:
    """A matrix float32[2, 3] into a crop of this size, enlarged about the crop's centre."""
    middle = (size - 1) / 2
    out = (scale * matrix).astype(np.float32)
    out[:, 2] += np.float32((1.0 - scale) * middle)
    return out


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
            expression.visible,
        )
