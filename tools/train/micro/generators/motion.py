"""Head motion by three models: sums of waves, keyframes, and a random walk held by springs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.train.micro.generators.courses import ease
from tools.train.micro.generators.signals import gate, second_order, spline, waves

Array = NDArray[np.float64]
Span = tuple[float, float]


@dataclass(slots=True, eq=False)
class Motion:
    """The head over time."""

    angles: Array
    """float64[T, 3]: pitch, yaw, roll, radians."""
    shift: Array
    """float64[T, 3], IOD, camera axes."""
    spans: list[Span]
    """Nods and turns."""


Model = Callable[[np.random.Generator, Array, float], Motion]
_SIZES = np.array([0.65, 1.0, 0.5])


def wandering(rng: np.random.Generator, times: Array, strong: float) -> Motion:
    """Slow waves, breathing, tremor; turns to somewhere else."""
    angle = np.radians(rng.uniform(1.0, 8.0)) * strong
    tremor = np.radians(rng.uniform(0.01, 0.12))
    angles = np.stack(
        [
            size * angle * waves(rng, times, 0.02, rng.uniform(0.3, 0.8), 0.75)
            + tremor * waves(rng, times, 1.0, 7.0, 0.5)
            for size in _SIZES
        ],
        1,
    )
    breath = np.radians(rng.uniform(0.0, 0.5)) * waves(rng, times, 0.2, 0.35, 0.0)
    angles[:, 0] += breath
    shift = np.stack(
        [
            strong * rng.uniform(0.02, 0.25) * waves(rng, times, 0.03, 0.6, 0.75)
            + 0.001 * waves(rng, times, 1.0, 6.0, 0.3)
            for _ in range(3)
        ],
        1,
    )
    return Motion(angles + _rest(rng), shift, [])


def keyframes(rng: np.random.Generator, times: Array, strong: float) -> Motion:
    """From pose to pose with rests between, as people look around."""
    spread, gap = np.radians(rng.uniform(1.0, 9.0)) * strong, rng.uniform(0.5, 2.5)
    angles = np.stack(
        [spline(rng, times, (0.4 * gap, 2.0 * gap), size * spread) for size in _SIZES], 1
    )
    wide = rng.uniform(0.02, 0.2) * strong
    shift = np.stack([spline(rng, times, (gap, 3.0 * gap), wide) for _ in range(3)], 1)
    return Motion(angles + _rest(rng), shift, [])


def springs(rng: np.random.Generator, times: Array, strong: float) -> Motion:
    """A random force on a damped head that drifts back to where it looks."""
    step = float(np.median(np.diff(times)))
    tau = rng.uniform(0.15, 0.6)
    force = rng.standard_normal((len(times), 6))
    smooth = second_order(force, step, tau)
    smooth = smooth - second_order(smooth, step, 6.0)
    smooth /= np.maximum(smooth.std(0), 1e-9)
    angles = smooth[:, :3] * _SIZES * np.radians(rng.uniform(0.8, 6.0)) * strong
    shift = smooth[:, 3:] * rng.uniform(0.02, 0.15) * strong
    return Motion(angles + _rest(rng), shift, [])


def gestures(rng: np.random.Generator, times: Array, motion: Motion, strong: float) -> None:
    """Nods, shakes, tilts, quick looks aside; added in place."""
    seconds = float(times[-1])
    for _ in range(rng.poisson(rng.uniform(0.5, 4.0) * strong * seconds / 60)):
        start, rate = rng.uniform(0.0, seconds), rng.uniform(0.8, 3.0)
        cycles = rng.uniform(0.5, 4.0)
        end = start + cycles / rate
        axis = int(rng.choice(3, p=[0.65, 0.25, 0.10]))
        since = np.maximum(times - start, 0.0)
        fade = np.exp(-since / rng.uniform(0.3, 3.0)) * gate(times, start, end, 0.15)
        wave = (
            np.sin(2 * np.pi * rate * since)
            if rng.random() < 0.6
            else (0.5 - 0.5 * np.cos(2 * np.pi * rate * since))
        )
        size = np.radians(np.exp(rng.uniform(np.log(0.8), np.log(16.0))))
        motion.angles[:, axis] += rng.choice([-1.0, 1.0]) * size * fade * wave
        motion.shift[:, 1] += 0.4 * size * fade * wave * (axis == 0)
        motion.spans.append((start, end))
    # there and back about as fast as a micro-expression
    for _ in range(rng.poisson(rng.uniform(0.0, 8.0) * strong * seconds / 60)):
        start, length = rng.uniform(0.0, seconds), rng.uniform(0.2, 1.0)
        share = np.clip((times - start) / length, 0.0, 1.0) ** rng.uniform(0.7, 1.4)
        pulse = np.sin(np.pi * share) ** 2
        size = np.exp(rng.uniform(np.log(0.5), np.log(8.0)))
        motion.angles += np.radians(size * rng.normal(0.0, 1.0, 3)) * pulse[:, None]
        motion.shift += 0.01 * size * rng.normal(0.0, 1.0, 3) * pulse[:, None]
        if size > 1.5:
            motion.spans.append((start, start + length))
    for _ in range(rng.poisson(rng.uniform(0.5, 4.0) * strong * seconds / 60)):
        start, length = rng.uniform(0.0, seconds), rng.uniform(0.2, 1.4)
        step = ease((times - start) / length)
        if rng.random() < 0.5:
            back = start + length + rng.uniform(0.05, 2.5)
            step = step - ease((times - back) / (1.1 * length))
            motion.spans.append((back, back + 1.1 * length))
        motion.angles += step[:, None] * np.radians(rng.normal(0.0, 7.0, 3)) * _SIZES
        motion.shift += step[:, None] * rng.normal(0.0, 0.08, 3)
        motion.spans.append((start, start + length))


def _rest(rng: np.random.Generator) -> Array:
    return np.asarray(np.radians(rng.normal(0.0, 5.0, 3)) * _SIZES)


MOTIONS: dict[str, Model] = {"wandering": wandering, "keyframes": keyframes, "springs": springs}
