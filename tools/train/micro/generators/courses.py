"""Time courses of facial movements as tables over their labelled duration: 0 onset, 1 offset.

Coders see a movement begin and end a little above its true start and below its peak, so families
without compact support are labelled where they cross a small share of the peak.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_FINE = 401


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Intensity over labelled time; zero before the table, its last value fades after it."""

    at: Array
    """float64[N], rising; 0 is the labelled onset, 1 the offset."""
    value: Array
    """float64[N], largest 1."""

    @property
    def apex(self) -> float:
        """Where it is largest."""
        return float(self.at[self.value.argmax()])

    def __call__(self, times: Array, onset: float, offset: float) -> Array:
        """Intensity float64[T] of a movement between `onset` and `offset`, seconds."""
        return np.interp((times - onset) / (offset - onset), self.at, self.value, 0.0, 0.0)


Family = Callable[[np.random.Generator], Course]


def raised_cosine(rng: np.random.Generator) -> Course:
    """Half a cosine up, half a cosine down, apex anywhere in the middle."""
    apex = float(np.clip(rng.normal(0.516, 0.15), 0.2, 0.8))
    u = np.linspace(0.0, 1.0, _FINE)
    share = np.where(u < apex, u / apex, (1.0 - u) / (1.0 - apex))
    return Course(u, 0.5 - 0.5 * np.cos(np.pi * share))


def plateau(rng: np.random.Generator) -> Course:
    """Minimum-jerk ramps (Flash & Hogan 1985) around a hold of up to half the duration, which may
    sag."""
    hold = rng.uniform(0.0, 0.5)
    rise = (1.0 - hold) * float(np.clip(rng.normal(0.47, 0.12), 0.2, 0.8))
    u = np.linspace(0.0, 1.0, _FINE)
    sag = 1.0 - rng.uniform(0.0, 0.3) * np.clip((u - rise) / max(hold, 0.01), 0.0, 1.0)
    value = ease(u / rise) * ease((1.0 - u) / (1.0 - hold - rise)) * sag
    return Course(u, value / value.max())


def gamma(rng: np.random.Generator) -> Course:
    """Fast onset, slow offset: t^k exp(-t), labelled at a share of the peak."""
    power = np.exp(rng.uniform(np.log(1.5), np.log(9.0)))
    t = np.linspace(0.0, 5.0, 4 * _FINE)
    value = t**power * np.exp(power * (1.0 - t))
    return _labelled(rng, t, value)


def muscle_twitch(rng: np.random.Generator) -> Course:
    """A rectangular burst through a critically damped second-order muscle."""
    burst = rng.uniform(0.8, 6.0)
    t = np.linspace(0.0, burst + 10.0, 4 * _FINE)

    def step(x: Array) -> Array:
        x = np.maximum(x, 0.0)
        return 1.0 - (1.0 + x) * np.exp(-x)

    return _labelled(rng, t, step(t) - step(t - burst))


def bell(rng: np.random.Generator) -> Course:
    """Two halves of normal curves of different width."""
    apex = float(rng.uniform(0.3, 0.7))
    t = np.linspace(-1.5, 2.5, 4 * _FINE) - apex
    value = np.exp(-3.0 * (t / np.where(t < 0, apex, 1.0 - apex)) ** 2)
    return _labelled(rng, t, value)


def double(rng: np.random.Generator) -> Course:
    """Two peaks in one movement, the valley between them above half of the lower."""
    u = np.linspace(0.0, 1.0, _FINE)
    first, second = rng.uniform(0.28, 0.38), rng.uniform(0.6, 0.72)
    sizes = (1.0, rng.uniform(0.55, 0.95))
    if rng.random() < 0.5:
        sizes = sizes[::-1]
    value = sum(
        size * np.exp(-0.5 * ((u - at) / 0.14) ** 2)
        for at, size in zip((first, second), sizes, strict=True)
    )
    value = np.asarray(value) * ease(u / 0.2) * ease((1.0 - u) / 0.2)
    return Course(u, value / value.max())


def warped(rng: np.random.Generator) -> Course:
    """A raised cosine whose time runs unevenly."""
    base = raised_cosine(rng)
    knots = np.concatenate([[0.0], np.cumsum(rng.dirichlet(np.full(5, 6.0)))])
    knots[-1] = 1.0
    at = np.interp(base.at, np.linspace(0.0, 1.0, 6), knots)
    kernel = np.hanning(41) / np.hanning(41).sum()
    at = np.convolve(np.pad(at, 20, mode="reflect", reflect_type="odd"), kernel, "valid")
    at = np.maximum.accumulate(at) + np.linspace(0.0, 1e-6, len(at))
    return Course((at - at[0]) / (at[-1] - at[0]), base.value)


def with_residual(rng: np.random.Generator, course: Course, largest: float) -> Course:
    """The course, leaving up to `largest` of its peak behind, gone within a second or two."""
    left = rng.uniform(0.0, largest)
    peak = course.value.argmax()
    tail = np.linspace(0.02, 6.0, 60)
    value = course.value.copy()
    value[peak:] = left + (1.0 - left) * value[peak:]
    fade = left * np.exp(-tail / rng.uniform(0.8, 2.5))
    fade += (value[-1] - left) * np.exp(-tail / 0.05)
    return Course(np.concatenate([course.at, course.at[-1] + tail]), np.concatenate([value, fade]))


def held(rng: np.random.Generator, length: float) -> Course:
    """An ordinary expression of `length` seconds: rise, a hold that sags or grows, fall."""
    rise = min(rng.uniform(0.15, 0.8), 0.45 * length) / length
    fall = min(rng.uniform(0.2, 1.2), 0.5 * length) / length
    u = np.linspace(0.0, 1.0, _FINE)
    tilt = 1.0 + rng.uniform(-0.4, 0.2) * (u - rise)
    ripple = 1.0 + rng.uniform(0.0, 0.08) * np.sin(
        2 * np.pi * (rng.uniform(0.5, 2.5) * length * u + rng.random())
    )
    if rng.random() < 0.5:
        up, down = ease(u / rise), ease((1.0 - u) / fall)
    else:
        up = 0.5 - 0.5 * np.cos(np.pi * np.clip(u / rise, 0.0, 1.0))
        down = 0.5 - 0.5 * np.cos(np.pi * np.clip((1.0 - u) / fall, 0.0, 1.0))
    value = up * down * tilt * ripple
    return Course(u, value / value.max())


def pick(rng: np.random.Generator, families: Sequence[tuple[Family, float]]) -> Course:
    """A course of one of the families, by weight."""
    weights = np.array([weight for _, weight in families])
    return families[int(rng.choice(len(families), p=weights / weights.sum()))][0](rng)


def ease(share: Array) -> Array:
    """0 to 1, smooth at both ends: the minimum-jerk polynomial."""
    x = np.clip(share, 0.0, 1.0)
    return np.asarray(x**3 * (10.0 - 15.0 * x + 6.0 * x**2))


def _labelled(rng: np.random.Generator, t: Array, value: Array) -> Course:
    """The table rescaled so that it crosses 3 to 10 % of its peak at 0 and at 1."""
    value = value / value.max()
    inside = np.flatnonzero(value >= rng.uniform(0.03, 0.10))
    onset, offset = t[inside[0]], t[inside[-1]]
    return Course((t - onset) / (offset - onset), value)
