"""Corruptions of landmarks by light, tracker and camera: noise, jumps, lost frames, jitter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.micro.generator_config import GeneratorConfig
from tools.micro.movements import ease
from tools.micro.people import Person, smooth_fields, spatial_root

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Bias:
    """Displacement of the landmarks that is not the face's; IOD."""

    offset: Array
    """float64[T, 68, 2]."""
    doubt: Array
    """float64[T]: what the tracker's confidence loses."""
    light: list[float]
    """Times of illumination steps, seconds."""
    restarts: list[float]
    glitches: list[float]


def landmark_noise(
    rng: np.random.Generator, config: GeneratorConfig, person: Person, count: int, fps: float
) -> NDArray[np.float32]:
    """Unit noise float32[count, 68, 2]: white, correlated over the face, and slow in time."""
    root = spatial_root(person.shape, config.spatial_reach)
    noise = rng.standard_normal((count, 68, 2), np.float32)
    noise *= np.float32(np.sqrt(config.white))
    across = rng.standard_normal((2 * count, 68), np.float32)
    across = across @ (np.sqrt(config.spatial) * root.T).astype(np.float32)
    noise += across.reshape(count, 2, 68).transpose(0, 2, 1)
    # AR(1) whose correlation does not depend on the frame rate.
    keep = float(np.exp(-1.0 / (fps * config.slow_time)))
    slow = rng.standard_normal((count, 136), np.float32)
    slow[1:] *= np.float32(np.sqrt(1.0 - keep**2))
    for k in range(1, count):
        slow[k] += keep * slow[k - 1]
    noise += np.float32(np.sqrt(config.slow)) * slow.reshape(count, 68, 2)
    if config.contour_noise != 1.0:
        noise[:, :17] *= config.contour_noise
    return noise


def bias(
    rng: np.random.Generator,
    rng_tracker: np.random.Generator,
    config: GeneratorConfig,
    person: Person,
    times: Array,
    seconds: float,
) -> Bias:
    """Illumination steps, jumps of the tracker, single wrong frames."""
    offset = np.zeros((len(times), 68, 2))
    doubt = np.zeros(len(times))
    minutes = seconds / 60
    light = np.sort(rng.uniform(0.0, seconds, rng.poisson(config.light_rate * minutes)))
    for at in light:
        field = config.light_bias * smooth_fields(rng, person.shape, 1, 0.3)[0]
        step = ease((times - at) / rng.uniform(0.02, 0.35))
        if rng.uniform() < 0.25:  # a shadow passes
            step = step - ease((times - at - rng.uniform(0.3, 2.5)) / rng.uniform(0.05, 0.35))
        offset += step[:, None, None] * field

    rng = rng_tracker
    restarts = np.sort(rng.uniform(0.0, seconds, rng.poisson(config.restart_rate * minutes)))
    for at in restarts:
        field = config.restart_jump * smooth_fields(rng, person.shape, 1, 0.35)[0]
        field += rng.normal(0.0, config.restart_jump, 2)
        field += rng.normal(0.0, config.restart_jump) * person.shape[:, :2]
        first = np.searchsorted(times, at)
        offset[first:] += field
        dip = rng.uniform() < 0.6
        until = np.searchsorted(times, at + rng.uniform(0.05, 0.3))
        doubt[first:until] += rng.uniform(0.1, 0.6) * dip
    glitches = np.sort(rng.uniform(0.0, seconds, rng.poisson(config.glitch_rate * minutes)))
    for at in glitches:
        frame = min(int(np.searchsorted(times, at)), len(times) - 1)
        wrong = config.glitch_size * rng.uniform(0.5, 1.5)
        field = 0.7 * smooth_fields(rng, person.shape, 1, 0.3)[0] + rng.normal(0.0, 0.7, 2)
        if rng.uniform() < 0.5:  # one region alone
            chosen = (slice(17, 27), slice(36, 48), slice(48, 68))[int(rng.integers(3))]
            part = np.zeros((68, 2))
            part[chosen] = field[chosen]
            field = part
        offset[frame] += wrong * field
        doubt[frame] += rng.uniform(0.1, 0.5) * (rng.uniform() < 0.5)
    return Bias(offset, doubt, light.tolist(), restarts.tolist(), glitches.tolist())


def clock(
    rng: np.random.Generator, config: GeneratorConfig, count: int, fps: float
) -> tuple[Array, Array]:
    """When frames were taken and when they say they were, both float64[count], rising seconds."""
    spread = min(config.jitter, 0.12 / fps)
    taken = np.arange(count) / fps + np.clip(rng.normal(0.0, spread, count), -0.3 / fps, 0.3 / fps)
    error = np.clip(rng.normal(0.0, 0.5 * spread, count), -0.15 / fps, 0.15 / fps)
    return taken, taken + error


def losses(
    rng: np.random.Generator, config: GeneratorConfig, times: Array, seconds: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which frames arrive and in which of them the face is seen, both bool[T]."""
    bursts = rng.poisson(config.burst_rate * seconds / 60)
    starts = rng.uniform(0.0, seconds, bursts)
    lengths = rng.uniform(0.07, 0.3, bursts)
    missing = rng.uniform(size=bursts) < 0.5
    arrives = rng.uniform(size=len(times)) >= config.drop
    seen = np.ones(len(times), bool)
    for start, length, gone in zip(starts, lengths, missing, strict=True):
        inside = (times >= start) & (times < start + length)
        (arrives if gone else seen)[inside] = False
    return arrives, seen
