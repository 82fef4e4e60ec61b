"""Estimation of the 68 facial landmarks (iBUG) from an initial guess of their place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agent.base.types import Float, Grey, Infer
from agent.kernels.geometry import extent, fit_similarity, landmarks_in_frame
from agent.vision.faces.align import FLIP, LANDMARK_CROP, MEAN_FIVE, MEAN_SHAPE, cut

_TARGET = LANDMARK_CROP.place(MEAN_SHAPE)
_TARGET_FIVE = LANDMARK_CROP.place(MEAN_FIVE)
_MIRROR = np.array([-1, 1], np.float32)
_ACROSS = np.array([(LANDMARK_CROP.size - 1) / LANDMARK_CROP.size, 0], np.float32)
"""A mirrored crop's points, in shares of its width, in the crop: `_MIRROR` times them and this."""

UNSURE_ERROR = math.log(0.045)
"""Logarithm of the expected error of a face's landmarks, inter-ocular distances, above which they
may lie on anything: a face upside down, which can be seen the wrong way up, brows for a mouth.
`python -m tools.eval sure` chooses it on half of the people and judges it on the other."""
FOREHEAD = 0.28
"""Extension of a box above the landmarks, which end at the brows, share of their height."""


@dataclass(slots=True, eq=False)
class LandmarkEstimate:
    """The network's landmarks and its input crop. Never modified (see `types`)."""

    points: Float
    """float32[68, 2], frame pixels."""
    presence: float
    """Probability that the crop showed a face, in [0, 1]."""
    crop: Grey
    """uint8[112, 112], aligned to the guess."""
    matrix: Float
    """float32[2, 3], frame to crop pixels."""
    log_spread: Float | None = None
    """float32[1, 68], logarithm of each point's expected error, inter-ocular distances; None where
    the model has no such output."""

    @property
    def is_sure(self) -> bool:
        """Whether the landmarks are where they seem to be; True where the model does not say."""
        spread = self.log_spread
        return spread is None or float(np.add.reduce(spread[0])) <= UNSURE_ERROR * 68

    @property
    def spread(self) -> Float | None:
        """float32[68], expected error of each point, frame pixels."""
        if self.log_spread is None:
            return None
        return np.exp(self.log_spread.reshape(68)) * np.float32(interocular(self.points))


class LandmarkEstimator:
    """Runs the landmark network on a crop aligned to a guess.

    Card: models/landmarks/CARD.md
    """

    def __init__(self, infer: Infer) -> None:
        self._infer = infer

    def __call__(self, luma: Grey, guess: Float) -> LandmarkEstimate:
        """Landmarks of the face at a guess.

        Parameters
        ----------
        luma : uint8[H, W]
        guess : float32[68, 2] or float32[5, 2]
            Previous landmarks or the detector's five keypoints, frame pixels.
        """
        return self.read(*self.place(luma, guess))

    def place(self, luma: Grey, guess: Float) -> tuple[Grey, Float]:
        """Crop uint8[112, 112] around a guess, as for a call, and its matrix float32[2, 3], frame
        to crop pixels."""
        matrix = crop_matrix(guess)
        return cut(luma, matrix, LANDMARK_CROP.size), matrix

    def read(self, crop: Grey, matrix: Float) -> LandmarkEstimate:
        """Landmarks of the face in a crop from `place`."""
        outputs = self._infer(crop)
        points = np.empty((68, 2), np.float32)
        presence = landmarks_in_frame(
            matrix, outputs["points"], outputs["presence"], LANDMARK_CROP.size, points
        )
        return LandmarkEstimate(points, presence, crop, matrix, outputs.get("spread"))

    def refine(self, luma: Grey, guess: Float, promising: float = 0.0) -> LandmarkEstimate:
        """Two passes, for a rough guess: the second crop is aligned to the first estimate. The
        first alone where its presence is below `promising`."""
        first = self(luma, guess)
        return first if first.presence < promising else self(luma, first.points)

    def refine_still(self, luma: Grey, guess: Float) -> LandmarkEstimate:
        """As `refine`, where time matters less: the second pass is `both_ways`."""
        return self.both_ways(luma, self(luma, guess).points)

    def both_ways(self, luma: Grey, guess: Float) -> LandmarkEstimate:
        """One pass over the crop and its mirror image; `guess` as for a call.

        Points, logit and logarithms are the means of both answers, which lie closer to the truth
        than either.
        """
        matrix = crop_matrix(guess)
        crop = cut(luma, matrix, LANDMARK_CROP.size)
        outputs = self._infer(crop)
        turned = self._infer(np.ascontiguousarray(crop[:, ::-1]))
        back = turned["points"].reshape(68, 2)[FLIP] * _MIRROR + _ACROSS
        mean = (outputs["points"] + back.reshape(outputs["points"].shape)) / 2
        logit = (outputs["presence"] + turned["presence"]) / 2
        points = np.empty((68, 2), np.float32)
        presence = landmarks_in_frame(
            matrix,
            np.asarray(mean, np.float32),
            np.asarray(logit, np.float32),
            LANDMARK_CROP.size,
            points,
        )
        spread = outputs.get("spread")
        if spread is not None:
            spread = np.asarray((spread + turned["spread"][:, FLIP]) / 2, np.float32)
        return LandmarkEstimate(points, presence, crop, matrix, spread)


def crop_matrix(guess: Float) -> Float:
    """Similarity float32[2, 3], frame to crop pixels, aligning 68 landmarks or five keypoints."""
    return fit_similarity(guess, _TARGET_FIVE if len(guess) == 5 else _TARGET)


def face_box(points: Float) -> Float:
    """Box float32[4] xyxy, forehead to chin, of landmarks float32[68, 2]."""
    box = extent(points)
    box[1] -= np.float32(FOREHEAD) * (box[3] - box[1])
    return box


def interocular(points: Float) -> float:
    """Distance between the outer eye corners, pixels."""
    across = points.item(45, 0) - points.item(36, 0)
    down = points.item(45, 1) - points.item(36, 1)
    return math.hypot(across, down)
