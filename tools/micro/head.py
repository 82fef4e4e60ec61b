"""Head pose over time, and perspective projection of the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.micro.generator_config import GeneratorConfig
from tools.micro.movements import ease, waves
from tools.micro.people import Person

Array = NDArray[np.float64]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """The head relative to a frontal one."""

    angles: Array
    """float64[T, 3]: pitch, yaw, roll, radians."""
    shift: Array
    """float64[T, 3]: IOD, camera axes."""
    spans: list[Span]
    """Nods and turns, seconds."""


def move(
    rng: np.random.Generator,
    config: GeneratorConfig,
    times: Array,
    seconds: float,
    speech: list[Span],
) -> Motion:
    """Slow motion, tremor, nods, turns to somewhere else, and a bob while talking."""
    pitch, yaw, roll = (
        np.radians(
            config.head_angle * size * _slow(rng, config, times)
            + config.tremor * waves(rng, times, 8, 1.0, 6.0)
        )
        for size in (0.65, 1.0, 0.5)
    )
    yaw = yaw + np.radians(rng.normal(0.0, config.head_angle))
    pitch = pitch + np.radians(rng.normal(0.0, 0.65 * config.head_angle))
    shift = np.stack(
        [
            config.head_shift * size * _slow(rng, config, times)
            + 0.012 * config.tremor * waves(rng, times, 8, 0.8, 5.0)
            for size in (1.0, 0.7, 1.6)
        ],
        axis=1,
    )
    bob = np.radians(0.8) * min(config.head_angle / 5.0, 2.0) * waves(rng, times, 8, 0.7, 2.2)
    sway = np.radians(0.6) * min(config.head_angle / 5.0, 2.0) * waves(rng, times, 8, 0.5, 1.8)
    talking = np.zeros(len(times))
    for begin, end in speech:
        talking += ease((times - begin + 0.2) / 0.4) * ease((end + 0.2 - times) / 0.4)
    pitch, yaw = pitch + talking * bob, yaw + talking * sway

    spans: list[Span] = []
    for begin in rng.uniform(0.0, seconds, rng.poisson(config.nod_rate * seconds / 60)):
        speed, cycles = rng.uniform(0.9, 2.4), rng.integers(1, 5)
        size = np.radians(rng.uniform(1.5, 6.0)) * rng.choice([-1.0, 1.0])
        end = float(begin + cycles / speed)
        inside = ease((times - begin) / 0.15) * ease((end - times) / 0.15)
        wave = size * inside * np.sin(2 * np.pi * speed * (times - begin))
        if rng.uniform() < 0.7:
            pitch = pitch + wave
        else:
            yaw = yaw + 1.5 * wave
        spans.append((float(begin), end))
    for begin in rng.uniform(0.0, seconds, rng.poisson(config.turn_rate * seconds / 60)):
        length = float(rng.uniform(0.3, 1.4))
        step = ease((times - begin) / length)
        if rng.uniform() < 0.4:  # looks away and comes back
            back = begin + length + rng.uniform(0.2, 3.0)
            step = step - ease((times - back) / (length * 1.1))
            spans.append((float(back), float(back + 1.1 * length)))
        spread = np.radians(1.3 * config.head_angle)
        d_pitch, d_yaw, d_roll = rng.normal(0.0, spread, 3) * (0.5, 1.0, 0.35)
        pitch, yaw, roll = pitch + d_pitch * step, yaw + d_yaw * step, roll + d_roll * step
        shift = shift + step[:, None] * rng.normal(0.0, 0.8 * config.head_shift, 3)
        spans.append((float(begin), float(begin + length)))
    limit = np.radians(38.0)
    angles = np.stack([limit * np.tanh(a / limit) for a in (pitch, yaw, roll)], axis=1)
    return Motion(angles, shift, sorted(spans))


def project(config: GeneratorConfig, person: Person, face: Array, motion: Motion) -> Array:
    """Landmarks in the picture, float64[T, 68, 2] pixels, of float64[T, 68, 3] in the face's axes.

    A pinhole camera at the person's distance. The jaw's points are the visible contour: they slide
    over the skin as the head turns.
    """
    yaw = motion.angles[:, 1]
    slack = np.clip((person.shape[:17, 2] + 0.2) / 0.6, 0.0, 1.0)
    face = face.copy()
    face[:, :17, 0] += config.contour_slide * yaw[:, None] * slack
    face[:, :17, 2] += 0.5 * config.contour_slide * np.abs(yaw)[:, None] * slack
    cos, sin = np.cos(motion.angles).T, np.sin(motion.angles).T
    zero, one = np.zeros(len(yaw)), np.ones(len(yaw))
    about_x = _matrix(one, zero, zero, zero, cos[0], -sin[0], zero, sin[0], cos[0])
    about_y = _matrix(cos[1], zero, sin[1], zero, one, zero, -sin[1], zero, cos[1])
    about_z = _matrix(cos[2], -sin[2], zero, sin[2], cos[2], zero, zero, zero, one)
    # The head turns about a point between the ears.
    pivot = np.array([0.0, 0.35, 0.75])
    turn = about_z @ about_x @ about_y
    local = face - pivot
    # Written out: many products of 3x3 matrices are slow in NumPy.
    x, y, z = (
        turn[:, k, :1] * local[..., 0]
        + turn[:, k, 1:2] * local[..., 1]
        + turn[:, k, 2:] * local[..., 2]
        + (pivot[k] + motion.shift[:, k, None])
        for k in range(3)
    )
    scale = person.iod * person.distance / np.maximum(z + person.distance, 1.0)
    return np.stack([person.centre[0] + scale * x, person.centre[1] + scale * y], axis=-1)


def _slow(rng: np.random.Generator, config: GeneratorConfig, times: Array) -> Array:
    return waves(rng, times, 8, 0.03 * config.head_speed, 0.5 * config.head_speed)


def _matrix(*entries: Array) -> Array:
    return np.stack(entries, axis=1).reshape(-1, 3, 3)
