"""The distribution of sums of noise: what noise added to a number, or to a sum of them, can be.

Each published number is truth + noise + rounding. The noise is discrete Laplace, its scale b known
(`noise`); the rounding is uniform within what the published number can have been (`rounding`), and
where the noise is too narrow for that, its mean is allowed to be off by `slack`. The quantiles of a
weighted sum of such numbers are found

- from the product of their characteristic functions, inverted by FFT: exact on the integers where
  all weights are 1 and the sum is not spread over more than `_MOST_POINTS` of them; else on a grid
  finer than a hundredth of the standard deviation, answers rounded outwards by one step of it;
- by the Cornish-Fisher expansion where the excess kurtosis is below `NEARLY_NORMAL` (a hundred
  windows and more, of equal weights): next terms below one in a thousand of the deviation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from agent.desk.read.rounding import slack
from agent.desk.read.student import normal_quantile

_MOST_POINTS, _GRID = 1 << 14, 1 << 11
NEARLY_NORMAL = 0.03


@dataclass(frozen=True, slots=True)
class Parts:
    """Groups of equal numbers of a weighted sum; arrays of one length G, float64."""

    weight: np.ndarray
    scale: np.ndarray
    """b; 0: no noise."""
    noises: np.ndarray
    """Independent noises in the group, all its numbers together."""
    numbers: np.ndarray
    """Numbers in the group; each is rounded once."""
    half: np.ndarray
    """How far from a published number it can have been before it was rounded."""

    def selected(self, mask: np.ndarray) -> Parts:
        return Parts(*(getattr(self, name)[mask] for name in self.__slots__))

    def reweighted(self, weight: np.ndarray) -> Parts:
        """The same numbers, weighted otherwise."""
        return Parts(weight, *(getattr(self, name) for name in self.__slots__[1:]))


@dataclass(frozen=True, slots=True)
class Moments:
    """Of sums of noise and rounding, float64[G]: of each group, for a weight of 1."""

    variance: np.ndarray
    fourth: np.ndarray
    """Fourth cumulant."""
    slack: np.ndarray
    """The mean, else 0, may be off by as much."""

    def weighted(self, weight: np.ndarray) -> tuple[float, float, float]:
        """Variance, fourth cumulant and slack of the whole sum."""
        return (
            float(np.sum(weight**2 * self.variance)),
            float(np.sum(weight**4 * self.fourth)),
            float(np.sum(np.abs(weight) * self.slack)),
        )


def moments(parts: Parts) -> Moments:
    """Unnoised numbers count with the whole of their rounding as slack."""
    noised = parts.scale > 0
    p = np.exp(-1 / np.where(noised, parts.scale, 1.0))
    second = np.where(noised, 2 * p / (1 - p) ** 2, 0.0)
    # 2 p (1 + 10 p + p^2) / (1 - p)^4: of a difference of two geometric numbers
    fourth = np.where(noised, 2 * p * (1 + 10 * p + p * p) / (1 - p) ** 4, 0.0)
    count = 2 * parts.half + 1
    uniform = np.where(noised, (count**2 - 1) / 12, 0.0)
    uniform_fourth = np.where(noised, -(count**4 - 1) / 120, 0.0)
    off = np.array([slack(b, int(2 * h)) for b, h in zip(parts.scale, parts.half, strict=True)])
    return Moments(
        second * parts.noises + uniform * parts.numbers,
        fourth * parts.noises + uniform_fourth * parts.numbers,
        off * parts.numbers,
    )


def quantiles(parts: Parts, below: float, above: float) -> tuple[float, float]:
    """The range that the sum of noise less rounding leaves with at most the probability `below` on
    its lower side and `above` on its upper one; probabilities in [0, 1), 0 gives infinity.

    Published sum = truth + e with e in that range, so truth lies in [sum - high, sum - low].
    """
    variance, fourth, off = moments(parts).weighted(parts.weight)
    if variance == 0:
        return -off, off
    kurtosis = fourth / variance**2
    if abs(kurtosis) < NEARLY_NORMAL:
        deviation = math.sqrt(variance)
        low = deviation * cornish_fisher(below, kurtosis)
        high = -deviation * cornish_fisher(above, kurtosis)
        if np.all(parts.weight == 1):  # the sum is an integer
            low, high = low - 0.5, high + 0.5
        return low - off, high + off
    key = tuple(np.column_stack([getattr(parts, n) for n in parts.__slots__]).ravel().tolist())
    low, high = _by_fft(key, below, above)
    return low - off, high + off


def cornish_fisher(probability: float, kurtosis: float) -> float:
    z = normal_quantile(probability)
    return z if math.isinf(z) else z + (z**3 - 3 * z) * kurtosis / 24


@lru_cache(maxsize=20_000)
def _by_fft(key: tuple[float, ...], below: float, above: float) -> tuple[float, float]:
    x, mass, step = _masses(key)
    lower, upper = np.cumsum(mass), np.cumsum(mass[::-1])[::-1]
    # the first point that leaves more than `below` under it, the last with more than `above` over
    low = x[np.searchsorted(lower, below, side="right")] if below > 0 else -math.inf
    high = x[len(x) - 1 - np.searchsorted(upper[::-1], above, side="right")] if above > 0 else (
        math.inf
    )  # fmt: skip
    outward = 0.0 if step == 1.0 else step
    return float(low) - outward, float(high) + outward


def _masses(key: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, float]:
    """Points, their probabilities, and the distance between points."""
    parts = Parts(*np.array(key).reshape(-1, len(Parts.__slots__)).T)
    variance = moments(parts).weighted(parts.weight)[0]
    noised = parts.selected(parts.scale > 0)
    widest = float(np.max(np.abs(noised.weight) * noised.scale))
    reach = 12 * math.sqrt(variance) + 40 * widest + float(np.max(np.abs(noised.weight)))
    reach += float(np.max(2 * noised.half * np.abs(noised.weight)))
    whole = bool(np.all(noised.weight == 1)) and 2 * reach <= _MOST_POINTS
    points = 1 << max(6, math.ceil(math.log2(2 * reach))) if whole else _GRID
    step = 1.0 if whole else 2 * reach / points
    t = 2 * np.pi * np.fft.rfftfreq(points, step)
    ends = _rounding_on_integers(noised, t) if whole else _rounding_on_a_grid(noised, t)
    scales, of = np.unique(np.column_stack([noised.weight, noised.scale]), axis=0,
                           return_inverse=True)  # fmt: skip
    log = np.zeros(len(t))
    for (w, b), noises in zip(scales, np.bincount(of.reshape(-1), noised.noises), strict=True):
        p = math.exp(-1 / b)
        log -= noises * np.log1p(2 * p / (1 - p) ** 2 * (1 - np.cos(w * t)))
    mass = np.fft.irfft(np.exp(log) * ends, points)
    mass = np.clip(np.fft.fftshift(mass), 0.0, None)
    return (np.arange(points) - points // 2) * step, mass / mass.sum(), step


def _rounding_on_integers(noised: Parts, t: np.ndarray) -> np.ndarray:
    """Characteristic function of what rounding took away: uniform on -half .. half for each."""
    phi = np.ones(len(t))
    halves, of = np.unique(noised.half, return_inverse=True)
    for half, numbers in zip(halves, np.bincount(of.reshape(-1), noised.numbers), strict=True):
        if half > 0:
            count = 2 * half + 1
            sine = np.where(t == 0, 1.0, np.sin(t / 2))
            phi *= np.where(t == 0, 1.0, np.sin(count * t / 2) / (count * sine)) ** int(numbers)
    return phi


def _rounding_on_a_grid(noised: Parts, t: np.ndarray) -> np.ndarray:
    """The same as if it were normal, with half an integer more to each side: weighted sums lie on
    no lattice. Normal tails are the wider ones."""
    count = 2 * noised.half + 1
    variance = float(np.sum(noised.weight**2 * noised.numbers * count**2 / 12))
    shape: np.ndarray = np.exp(-0.5 * variance * t**2)
    return shape
