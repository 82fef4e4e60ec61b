"""Attacks on a day's published numbers, and how well any attack can do."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from tools.bench.worlds.day import Days
from tools.bench.worlds.visitors import Layout, Numbers

Scores = NDArray[np.float64]

_RIDGE = 0.1
"""Of the features' variance 1, so that those that say nothing weigh little."""
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Auc:
    """Area under the receiver operating characteristic, with its 95 % interval."""

    value: float
    low: float
    high: float


def bound(epsilon: float) -> float:
    """The largest area that any test between two worlds can have that are epsilon apart, delta 0.

    Its true and false positive rates satisfy t <= e^epsilon f and 1 - f <= e^epsilon (1 - t)
    (Kairouz, Oh & Viswanath, ICML 2015, theorem 2.1; as a trade-off function: Dong, Roth & Su, JRSS
    B 84, 2022, proposition 3). These lines meet at f = 1 / (1 + e^epsilon), t = e^epsilon f, which
    is 1 - f; the area below them is f t / 2 up to there and (1 - f) (1 + t) / 2 beyond, together t.
    Randomised response reaches it.
    """
    return 1 / (1 + exp(-epsilon))


def auc(without: Scores, with_: Scores) -> Auc:
    """Of scores that should be larger in the second world; interval by DeLong, DeLong &
    Clarke-Pearson (Biometrics 44, 1988)."""
    above, below = _share_below(with_, without), 1 - _share_below(without, with_)
    value = float(above.mean())
    spread = sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    return Auc(value, max(0.0, value - _Z * spread), min(1.0, value + _Z * spread))


def _share_below(scores: Scores, among: Scores) -> Scores:
    """For each score the share of `among` that is less, ties counted half."""
    ordered = np.sort(among)
    less, not_more = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return (less + not_more) / (2 * len(among))


def features(days: Days, shape: Layout, presence: NDArray[np.int32]) -> NDArray[np.float64]:
    """[days, features] of what was published: which windows, how many windows together, visits by
    window, the sum of every number over the day, and over the windows in which the person may have
    been. `presence`: visits of the person by window, which this attacker knows."""
    numbers = days.values.astype(np.float64)
    return np.concatenate(
        [
            days.published,
            days.windows,
            numbers[:, :, 0],
            numbers.sum(1),
            np.einsum("dwn,dw->dn", numbers, _covered(days, presence)),
            days.published.sum(1, keepdims=True),
        ],
        axis=1,
    )


def _covered(days: Days, presence: NDArray[np.int32]) -> NDArray[np.int64]:
    """[days, windows]: the person's visits in the windows that are published together."""
    total = np.concatenate([[0], np.cumsum(presence)])
    ends = np.arange(1, len(presence) + 1)
    return np.where(days.published, total[ends] - total[ends - days.windows], 0)


def linear(without: NDArray[np.float64], with_: NDArray[np.float64]) -> tuple[Scores, Scores]:
    """Fisher's discriminant with a ridge, learnt from the first half of the days of both worlds;
    scores of the other half."""
    half = len(without) // 2
    learnt = np.concatenate([without[:half], with_[:half]])
    middle, spread = learnt.mean(0), learnt.std(0) + 1e-9
    one, other = (each[:half] - middle for each in (without, with_))
    one, other = one / spread, other / spread
    scatter = (one - one.mean(0)).T @ (one - one.mean(0))
    scatter += (other - other.mean(0)).T @ (other - other.mean(0))
    scatter = scatter / (2 * half) + _RIDGE * np.eye(scatter.shape[0])
    weights = np.linalg.solve(scatter, other.mean(0) - one.mean(0)) / spread
    return (without[half:] - middle) @ weights, (with_[half:] - middle) @ weights


def likelihood(
    days: Days, shape: Layout, others: Numbers, target: Numbers, presence: NDArray[np.int32]
) -> Scores:
    """The log-likelihood ratio of the person's presence for an attacker who knows the exact numbers
    of all others, and who the person is: differential privacy's own adversary.

    `others`: [days, windows, size]. `target`: [size], of one visit. Of the published numbers
    themselves; that a window was withheld is taken as saying nothing, and the number of visits of
    several windows as the sum of their noise whatever kept them waiting.
    """
    before = np.concatenate([np.zeros_like(others[:, :1]), np.cumsum(others, axis=1)], axis=1)
    day, window = np.nonzero(days.published)
    merged = days.windows[day, window]
    without = before[day, window + 1] - before[day, window + 1 - merged]
    added = _covered(days, presence)[day, window][:, None] * target
    seen = days.values[day, window]
    ratio = (np.abs(seen - without) - np.abs(seen - without - added)) / shape.scales
    ratio[:, 0] = _of_visits(seen[:, 0] - without[:, 0], added[:, 0], merged, shape.scales[0])
    if "micro" in shape.places:
        micro = shape.places["micro"]
        ratio[~days.micro[day, window], micro] = 0
        ratio[:, micro.stop - 5 : micro.stop - 1] = 0  # not published
    scores: Scores = np.bincount(day, ratio.sum(1), minlength=len(days.published)).astype(float)
    return scores


def _of_visits(noise: Numbers, added: Numbers, merged: Numbers, scale: float) -> Scores:
    """Log-likelihood ratios of noised numbers of visits, whose noise is a sum of `merged` draws."""
    ratio = np.zeros(len(noise))
    for number in np.unique(merged):
        log, zero = _log_sum(int(number), scale)
        of = merged == number
        places = np.clip(np.stack([noise[of] - added[of], noise[of]]) + zero, 0, len(log) - 1)
        ratio[of] = log[places[0]] - log[places[1]]
    return ratio


def _log_sum(number: int, scale: float) -> tuple[Scores, int]:
    """Log-probabilities of the sum of a number of draws, and the place of 0 among them."""
    reach = int(scale * (60 + 15 * sqrt(number))) + 1
    q = exp(-1 / scale)
    one = (1 - q) / (1 + q) * q ** np.abs(np.arange(-reach, reach + 1))
    size = 2 * reach + 1
    total = np.fft.irfft(np.fft.rfft(np.fft.ifftshift(one)) ** number, size)
    return np.log(np.maximum(np.fft.fftshift(total), 1e-15)), reach
