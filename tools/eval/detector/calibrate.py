"""The calibrated probability of a face and its threshold, fitted on held-out pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.eval.detector.evidence import Double, Evidence

FOLDS = 5
RIDGE = 1e-3
"""Penalty on weights, mean log-likelihood per squared standardised weight."""
TAIL = 0.1
"""Share of the pictures without faces, the strongest, that the tail is fitted on."""
DECIMALS = 4
Answers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Places of pictures with faces and of pictures without."""

    scenes: Sequence[Evidence]
    answers: Sequence[Answers]
    """1 a face, 0 none, -1 not to be judged."""
    blanks: Sequence[Evidence]
    unit: Sequence[int]
    """Per blank: the picture that it is, or is a part or turned copy of. Scenes count from 0,
    blanks that are no part of a scene from len(scenes)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Weights, and the logits that fits without the very picture give."""

    weights: tuple[float, ...]
    """One per value of `Evidence`, and the constant."""
    scenes: list[Double]
    """float64[N] per scene, cross-validated over pictures."""
    blanks: list[Double]


def fit(sample: Sample) -> Fit:
    """Logistic regression; the pictures' logits by cross-validation over pictures."""
    parts = [*sample.scenes, *sample.blanks]
    units = [*range(len(sample.scenes)), *sample.unit]
    answers = [*sample.answers, *(np.zeros(len(each.boxes), np.int64) for each in sample.blanks)]
    values = np.concatenate([part.values for part in parts])
    unit = np.repeat(units, [len(part.boxes) for part in parts])
    answer = np.concatenate(answers)
    known = answer >= 0
    every = np.zeros(len(values))
    for fold in range(FOLDS):
        inside = unit % FOLDS == fold
        weights = logistic(values[known & ~inside], answer[known & ~inside])
        every[inside] = values[inside] @ weights[:-1] + weights[-1]
    ends = np.cumsum([len(part.boxes) for part in parts])[:-1]
    logits = np.split(every, ends)
    whole = logistic(values[known], answer[known])
    count = len(sample.scenes)
    return Fit(
        tuple(round(float(weight), DECIMALS) for weight in whole), logits[:count], logits[count:]
    )


def logistic(values: Double, answers: Answers) -> Double:
    """Weights float64[F + 1] (constant last) of a logistic regression, Newton's method."""
    mean, spread = values.mean(0), values.std(0) + 1e-9
    design = np.column_stack([(values - mean) / spread, np.ones(len(values))])
    penalty = RIDGE * len(values) * np.diag([1.0] * values.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        share = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (share - answers) + penalty @ weights
        bend = (design.T * (share * (1 - share) + 1e-9)) @ design + penalty
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    plain = weights[:-1] / spread
    return np.append(plain, weights[-1] - float(plain @ mean))


def tail_threshold(blanks: Sequence[Double], per_100: float) -> tuple[float, float]:
    """Logit that `per_100` of a hundred pictures without faces exceed, and the decay of the tail.

    The strongest place of each picture; beyond the share `TAIL` the excess is taken as exponential
    (Pickands 1975; the shape that a logit's tail has), which a few pictures more or less move far
    less than the count above one score.
    """
    strongest = np.sort([float(each.max()) for each in blanks if len(each)])[::-1]
    count = min(math.ceil(TAIL * len(blanks)), len(strongest) - 1)
    if count < 1:
        return 0.0, 0.0
    start = float(strongest[count])
    decay = float((strongest[:count] - start).mean())
    return start + decay * math.log(100 * count / (len(blanks) * per_100)), decay


def probability(value: float) -> float:
    """Of a logit, rounded to `DECIMALS`, inside (0, 1)."""
    least: float = 10.0**-DECIMALS
    return min(max(round(1 / (1 + math.exp(-value)), DECIMALS), least), 1 - least)


def calibration_error(fitted: Sequence[Double], answers: Sequence[Answers]) -> float:
    """Expected calibration error over ten equal bins (Naeini et al. 2015)."""
    logits, known = np.concatenate(list(fitted)), np.concatenate(list(answers))
    share, right = 1 / (1 + np.exp(-logits[known >= 0])), known[known >= 0] == 1
    bins = np.minimum((share * 10).astype(int), 9)
    off = [abs(share[bins == b].sum() - right[bins == b].sum()) for b in range(10)]
    return round(float(sum(off)) / max(len(share), 1), 4)


def report(sample: Sample, fitted: Fit, per_100: float) -> dict[str, Any]:
    """Weights, the threshold that `per_100` of a hundred pictures without faces pass, and how well
    all this is calibrated."""
    value, decay = tail_threshold(fitted.blanks, per_100)
    above = probability(value)
    limit = math.log(above / (1 - above))
    return {
        "weights": list(fitted.weights),
        "above": above,
        "tail_decay": round(decay, 3),
        "calibration_error": calibration_error(fitted.scenes, sample.answers),
        "pictures_without_faces": len(sample.blanks),
        "false_faces": sum(int((each >= limit).sum()) for each in fitted.blanks),
    }
