"""Training samples of the spotter: network inputs and targets from landmark tracks.

The inputs are made by the agent's own `FaceStream`, so training and device see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import MICRO_ACTION_UNITS
from agent.vision.micro.outputs import KINDS, LOOK_AHEAD, encode
from agent.vision.micro.stream import INPUTS, LONGEST_GAP, STEP, FaceStream
from tools.micro.movements import Event

Array = NDArray[np.float64]
Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A track with everything that happens in it."""

    timestamps: Array
    landmarks: Float
    confidence: Float
    micro: list[Event]
    kinds: Mapping[str, list[tuple[float, float]]]
    """Spans of other movements by kind, seconds; a kind is absent where nobody knows."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One track as T steps."""

    inputs: Float
    """float32[T, 38]."""
    heat: Float
    """float32[T]: 1 at each centre, falling off over a tenth of the duration; `LOOK_AHEAD` late,
    as everything here."""
    shape: Float
    """float32[T, 4]: centre, duration, amplitude, apex as `agent.vision.micro.outputs` has them."""
    units: Float
    """float32[T, 16]."""
    near: Float
    """float32[T]: 1 where `shape` and `units` count."""
    kinds: Float
    """float32[T, 5]; NaN where nobody knows."""

    def crop(self, start: int, length: int) -> tuple[Float, ...]:
        """All arrays from `start` on."""
        part = slice(start, start + length)
        arrays = (self.inputs, self.heat, self.shape, self.units, self.near, self.kinds)
        return tuple(array[part].astype(np.float32) for array in arrays)


def steps_of(material: Material) -> tuple[Array, Float]:
    """Times float64[T] and network inputs float32[T, 38] of a track."""
    stream = FaceStream()
    times: list[Array] = []
    inputs: list[Float] = []
    rows = zip(material.timestamps.tolist(), material.landmarks, material.confidence, strict=True)
    for time, points, confidence in rows:
        if stream.started and time - stream.last > LONGEST_GAP:
            stream = FaceStream()
        done = stream.push(time, points, float(confidence))
        if done < 0:
            done = stream.tick(time)
        if done:
            times.append(stream.times[:done].copy())
            inputs.append(stream.inputs[:done].copy())
    if not times:
        return np.empty(0), np.empty((0, INPUTS), np.float32)
    return np.concatenate(times), np.concatenate(inputs)


def sample(material: Material) -> Sample:
    """Inputs and truth of one track."""
    times, inputs = steps_of(material)
    count = len(times)
    heat = np.zeros(count, np.float32)
    shape = np.zeros((count, 4), np.float32)
    units = np.zeros((count, len(MICRO_ACTION_UNITS)), np.float32)
    near = np.zeros(count, np.float32)
    kinds = np.zeros((count, len(KINDS)), np.float32)
    spoken = times - LOOK_AHEAD * STEP
    """Targets by output."""
    for event in material.micro:
        centre = (event.onset + event.offset) / 2
        duration = event.offset - event.onset
        away = (centre - spoken) / STEP
        width = max(1.0, 0.1 * duration / STEP)
        heat = np.maximum(heat, np.exp(-0.5 * (away / width) ** 2).astype(np.float32))
        if count and np.abs(away).min() <= 0.6:
            heat[np.abs(away).argmin()] = 1.0
        close = np.abs(away) <= max(2.0, 0.2 * duration / STEP)
        shape[close] = encode(spoken[close], event.onset, event.apex, event.offset, event.amplitude)
        near[close] = 1.0
        for unit in event.units:
            if unit in MICRO_ACTION_UNITS:
                units[close, MICRO_ACTION_UNITS.index(unit)] = 1.0
    for row, kind in enumerate(KINDS):
        if kind not in material.kinds:
            kinds[:, row] = np.nan
        for start, end in material.kinds.get(kind, []):
            kinds[(spoken >= start) & (spoken <= end), row] = 1.0
    return Sample(inputs, heat, shape, units, near, kinds)


def red_noise(rng: np.random.Generator, material: Material, size: float) -> Material:
    """The track with smooth noise on top, as flow and a moving head leave it in real video.

    `size`: standard deviation, IOD. Correlated over a fifth of the face and .1 to .5 s; smoother in
    time than any AR(1).
    """
    count = len(material.timestamps)
    eyes = material.landmarks[:, 45] - material.landmarks[:, 36]
    iod = float(np.median(np.linalg.norm(eyes, axis=1)))
    flat = material.landmarks[count // 2] / iod
    apart = ((flat[:, None] - flat[None]) ** 2).sum(2)
    root = np.linalg.cholesky(
        np.exp(-apart / (2 * rng.uniform(0.1, 0.35) ** 2)) + 1e-4 * np.eye(68)
    )
    gap = float(np.median(np.diff(material.timestamps))) if count > 1 else STEP
    keep = float(np.exp(-gap / rng.uniform(0.04, 0.25)))
    noise = rng.standard_normal((count, 136)).astype(np.float32)
    for _ in range(2):
        for k in range(1, count):
            noise[k] = keep * noise[k - 1] + (1 - keep) * noise[k]
    noise = (root.astype(np.float32) @ noise.reshape(count, 68, 2)).astype(np.float32)
    noise *= np.float32(size * iod / max(float(noise.std()), 1e-9))
    return Material(
        material.timestamps,
        material.landmarks + noise,
        material.confidence,
        material.micro,
        material.kinds,
    )


def as_tracked(rng: np.random.Generator, material: Material) -> Material:
    """The track with blinks as a landmark network shows them.

    The lids close only in part, and the other points move along by up to a few per cent, those that
    hold the head's pose among them: by a smooth random field, the track's own.
    """
    points = material.landmarks.astype(np.float64)
    times = material.timestamps
    eyes = np.median(points[:, 45] - points[:, 36], axis=0)
    iod = float(np.hypot(*eyes))
    flat = points[len(points) // 2] / iod
    apart = ((flat[:, None] - flat[None]) ** 2).sum(2)
    root = np.linalg.cholesky(np.exp(-apart / (2 * rng.uniform(0.2, 0.5) ** 2)) + 1e-4 * np.eye(68))
    size = np.exp(rng.uniform(np.log(0.002), np.log(0.015)))
    own = root @ rng.normal(size=(68, 2))
    upward = np.array([eyes[1], -eyes[0]]) / iod
    held = rng.uniform(0.0, 0.08)
    for start, end in material.kinds.get("blink", []):
        share = np.clip((times - start) / (end - start), 0.0, 1.0)
        closing = (0.5 - 0.5 * np.cos(2 * np.pi * share**0.75)) * iod
        field = size * (own + 0.25 * root @ rng.normal(size=(68, 2)))
        field[[37, 38, 43, 44]] += held * upward
        moved = closing > 0
        points[moved] += closing[moved, None, None] * field
    return Material(
        times, points.astype(np.float32), material.confidence, material.micro, material.kinds
    )
