"""Data augmentation of the spotter's inputs: mirroring, and movements no generator knows."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from agent.vision.micro.channels import (
    CHANNEL_NAMES,
    FACE_CHANNELS,
    REGIONS,
    VERTICAL,
    channel_weights,
)
from agent.vision.micro.stream import INPUTS

Float = NDArray[np.float32]


def mirrored(inputs: Float) -> Float:
    """Inputs float32[T, 38] of the face in a mirror."""
    return inputs[:, _SWAP] * _SIGN


def _mirror() -> tuple[NDArray[np.int64], Float]:
    swap = np.arange(INPUTS)
    sign = np.ones(INPUTS, np.float32)
    for row, name in enumerate(CHANNEL_NAMES):
        other = name.replace("left", "?").replace("right", "left").replace("?", "right")
        swap[row] = CHANNEL_NAMES.index(other)
        if name.endswith("_x"):
            sign[row] = -1.0
    yaw, roll, across = FACE_CHANNELS + 1, FACE_CHANNELS + 3, FACE_CHANNELS + 5
    sign[[yaw, roll, across]] = -1.0
    return swap, sign


_SWAP, _SIGN = _mirror()


def disturbed(rng: np.random.Generator, inputs: Float) -> Float:
    """Inputs float32[T, 38] with movements that are no micro-expressions, in directions that no
    generator knows: steps, jumps that fade, oscillations, single frames, slow swells, pulses of the
    whole face. Gains and levels of the channels vary, too."""
    inputs = inputs.copy()
    count = len(inputs)
    step = np.arange(count, dtype=np.float32)
    plain = 4.0 * np.sinh(inputs[:, :FACE_CHANNELS] / 4.0)
    plain *= np.exp(rng.normal(0.0, 0.15, FACE_CHANNELS)).astype(np.float32)
    if rng.random() < 0.5:
        plain += rng.normal(0.0, 1.0, FACE_CHANNELS).astype(np.float32)
    for _ in range(rng.integers(0, 4)):
        taking_part = rng.random(FACE_CHANNELS) < rng.uniform(0.05, 1.0)
        direction = rng.normal(0.0, 1.0, FACE_CHANNELS) * taking_part
        size = np.exp(rng.uniform(np.log(1.5), np.log(14.0)))
        start = rng.uniform(0.0, count)
        course = (_ramp, _fading, _oscillation, _glitch, _swell)[rng.integers(5)]
        plain += (size * course(rng, step - start)[:, None] * direction).astype(np.float32)
    if rng.random() < 0.5:
        plain += _flexes(rng, inputs, step)
    inputs[:, :FACE_CHANNELS] = 4.0 * np.arcsinh(plain / 4.0)
    return inputs


def _flexes(rng: np.random.Generator, inputs: Float, step: Float) -> Float:
    """Pulses of the whole face at once, float32[T, 21] in units of noise: a head that dips for a
    moment on a face that is not the template's. Micro-expressions are local."""
    region = np.searchsorted(REGIONS, np.arange(FACE_CHANNELS), side="right") - 1
    # per cent of the inter-ocular distance, see `agent.kernels.normalise`
    unit = 1.23 * np.exp(inputs[:, FACE_CHANNELS + 8 : FACE_CHANNELS + 12] - 1.5)[:, region]
    out = np.zeros((len(inputs), FACE_CHANNELS), np.float32)
    for _ in range(rng.integers(1, 4)):
        roots = _bends()
        field = roots[int(rng.integers(len(roots)))] @ rng.normal(size=(68, 2))
        direction = np.where(
            VERTICAL, channel_weights() @ field[:, 1], channel_weights() @ field[:, 0]
        )
        direction /= max(float(np.sqrt((direction**2).mean())), 1e-9)
        size = np.exp(rng.uniform(np.log(0.3), np.log(3.0)))
        length = rng.uniform(5.0, 30.0)
        share = np.clip((step - rng.uniform(0.0, len(inputs))) / length, 0.0, 1.0)
        pulse = np.sin(np.pi * share ** rng.uniform(0.7, 1.4)) ** 2
        out += (size * pulse[:, None] * direction / np.maximum(unit, 0.04)).astype(np.float32)
    return out


@cache
def _bends() -> tuple[Any, ...]:
    """Roots float64[68, 68] of covariances that hardly change over a face."""
    flat = MEAN_SHAPE_3D[:, :2].astype(np.float64)
    square = ((flat[:, None] - flat[None]) ** 2).sum(2)
    return tuple(
        np.linalg.cholesky(np.exp(-square / (2 * reach**2)) + 1e-6 * np.eye(68))
        for reach in (0.7, 1.0, 1.5)
    )


def mixed(rng: np.random.Generator, inputs: Float) -> Float:
    """Inputs float32[T, 38] with the channels of each region mixed at random, one for the row.

    A movement stays a bump in some direction; which one no generator can teach. Now and then a
    channel is lost.
    """
    inputs = inputs.copy()
    plain = 4.0 * np.sinh(inputs[:, :FACE_CHANNELS] / 4.0)
    strength = rng.uniform(0.0, 0.6)
    for first, end in pairwise(REGIONS.tolist()):
        size = end - first
        turn = np.eye(size) + strength * rng.normal(0.0, 1.0 / np.sqrt(size), (size, size))
        # channels stay as loud as their noise, in whose unit they are
        turn *= np.exp(rng.normal(0.0, 0.15)) / np.linalg.norm(turn, axis=0)
        plain[:, first:end] = plain[:, first:end] @ turn.astype(np.float32)
    if rng.random() < 0.15:
        plain[:, rng.integers(FACE_CHANNELS)] = rng.normal(0.0, 1.0, len(plain))
    inputs[:, :FACE_CHANNELS] = 4.0 * np.arcsinh(plain / 4.0)
    return inputs


def _ramp(rng: np.random.Generator, since: Float) -> Any:
    return np.clip(since / rng.uniform(0.5, 12.0), 0.0, 1.0)


def _fading(rng: np.random.Generator, since: Float) -> Any:
    return (since >= 0) * np.exp(-np.clip(since, 0.0, None) / rng.uniform(8.0, 90.0))


def _oscillation(rng: np.random.Generator, since: Float) -> Any:
    frequency = rng.uniform(0.8, 5.0) / 30.0
    length = rng.uniform(1.6, 7.0) / frequency
    fade = np.clip(since / 5.0, 0.0, 1.0) * np.clip((length - since) / 5.0, 0.0, 1.0)
    return np.sin(2 * np.pi * frequency * since) * fade


def _glitch(rng: np.random.Generator, since: Float) -> Any:
    return ((since >= 0) & (since < rng.integers(1, 3))).astype(np.float32)


def _swell(rng: np.random.Generator, since: Float) -> Any:
    share = np.clip(since / rng.uniform(22.0, 120.0), 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(2 * np.pi * share)
