"""Accuracy, temperature scaling and calibration error of expression outputs. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Float
from tools.common.bootstrap import Array, Draws, Resampler

BINS = 15
KEPT_ACCURACY = 0.90
"""`unsure_below` is the lowest threshold at which the answers kept are right this often."""
WEAK_CORRELATION = 0.6


def softmax(logits: Float) -> Float:
    """Along the last axis."""
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(odds / odds.sum(-1, keepdims=True), np.float32)


def accuracy(logits: Float, votes: NDArray[np.uint8]) -> dict[str, Any]:
    """Top-1 against the majority, also where more than five voters agree; recall per class."""
    truth, said = votes[:, :8].argmax(1), logits.argmax(1)
    clear = votes[:, :8].max(1) > 5
    recall = {}
    for k, name in enumerate(EXPRESSIONS):
        rows = truth == k
        recall[name] = {
            "pictures": int(rows.sum()),
            "recall": rounded((said[rows] == k).mean()) if rows.any() else None,
            "precision": rounded((truth[said == k] == k).mean()) if (said == k).any() else None,
        }
    return {
        "pictures": len(truth),
        "top1": rounded((said == truth).mean()),
        "balanced": rounded(np.mean([(said[truth == k] == k).mean() for k in np.unique(truth)])),
        "clear_pictures": int(clear.sum()),
        "clear_top1": rounded((said == truth)[clear].mean()),
        "per_class": recall,
    }


def fit_temperature(logits: Float, truth: NDArray[Any]) -> float:
    """The temperature of least negative log-likelihood (Guo et al. 2017, arXiv:1706.04599)."""
    grid = np.exp(np.linspace(np.log(0.3), np.log(3.0), 231))
    rows = np.arange(len(truth))
    losses = [-np.log(softmax(logits / t)[rows, truth] + 1e-9).mean() for t in grid]
    return rounded(grid[int(np.argmin(losses))])


def calibration_error(drawn: Resampler, sure: Float, right: NDArray[np.bool_]) -> Draws:
    """Expected calibration error over equal-width bins (Guo et al. 2017, arXiv:1706.04599).

    Few answers in a bin make the figure too large rather than too small, resampled ones more so.
    """
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.zeros((len(sure), BINS + 1))
    gaps[np.arange(len(sure)), place] = sure - right
    gaps[:, BINS] = 1.0

    def error(sums: Array) -> Array:
        return np.asarray(np.abs(sums[:, :BINS]).sum(1) / sums[:, BINS])

    return drawn.statistic(gaps, error)


def expected_calibration_error(probabilities: Float, truth: NDArray[Any]) -> float:
    """The same of float32[N, 8] against the right classes."""
    sure, right = probabilities.max(1), probabilities.argmax(1) == truth
    return rounded(calibration_error(Resampler(range(len(truth))), sure, right).value)


def choose_threshold(probabilities: Float, truth: NDArray[Any]) -> float:
    """Lowest confidence at which the answers kept are right `KEPT_ACCURACY` of the time."""
    sure, right = probabilities.max(1), probabilities.argmax(1) == truth
    for threshold in np.arange(0.2, 0.96, 0.005):
        rows = sure >= threshold
        if rows.any() and right[rows].mean() >= KEPT_ACCURACY:
            return rounded(float(threshold))
    raise SystemExit(
        f"No threshold below 0.96 makes the kept answers right {KEPT_ACCURACY:.0%} of the time: "
        "the network is too weak to ship. Train longer (--minutes)."
    )


def units_against_teacher(units: Float, teacher_units: Float) -> dict[str, dict[str, float | bool]]:
    """Per unit of float32[N, 12]: correlation, mean absolute error, the teacher's own spread."""
    table: dict[str, dict[str, float | bool]] = {}
    for k, name in enumerate(ACTION_UNITS):
        ours, teacher = units[:, k], teacher_units[:, k]
        steady = min(float(ours.std()), float(teacher.std())) < 1e-6
        r = 0.0 if steady else float(np.corrcoef(ours, teacher)[0, 1])
        table[name] = {
            "correlation": rounded(r),
            "mean_absolute_error": rounded(np.abs(ours - teacher).mean()),
            "teacher_std": rounded(teacher.std()),
            "weak": r < WEAK_CORRELATION,
        }
    return table


def kept(probabilities: Float, truth: NDArray[Any], threshold: float) -> dict[str, float]:
    """Share of the answers at or above the threshold, and how many of those are right."""
    sure = probabilities.max(1) >= threshold
    right = probabilities.argmax(1) == truth
    return {"kept": rounded(sure.mean()), "kept_accuracy": rounded(right[sure].mean())}


def rounded(value: Any) -> float:
    """To four places, for the figures file."""
    return round(float(value), 4)
