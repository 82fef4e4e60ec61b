"""Camera, landmark estimator and tracker: from a face in space to a track with its faults.

Settings are drawn for each track from wide priors: what one camera and one estimator do is no
law of another's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.train.micro.generators.courses import ease
from tools.train.micro.generators.motion import Motion
from tools.train.micro.generators.signals import (
    autoregressive,
    rotation,
    smooth_root,
    spread,
    waves,
)

Array = NDArray[np.float64]
Span = tuple[float, float]
_PIVOT = np.array([0.0, 0.35, 0.75])
"""The head turns about a point between the ears, IOD."""


def seen(rng: np.random.Generator, face: Array, motion: Motion, times: Array) -> Array:
    """Perspective picture float64[T, 68, 2], IOD, of float64[T, 68, 3] in the face's axes."""
    yaw = motion.angles[:, 1]
    face = face.copy()
    slide = rng.uniform(0.0, 0.3)
    slack = np.clip((face[0, :17, 2] + 0.2) / 0.6, 0.0, 1.0)
    face[:, :17, 0] += slide * yaw[:, None] * slack
    limit = np.radians(40.0)
    turn = rotation(*(limit * np.tanh(motion.angles.T / limit)))
    points = (face - _PIVOT) @ turn.transpose(0, 2, 1) + _PIVOT + motion.shift[:, None]
    distance = rng.uniform(4.5, 16.0)
    depth = np.maximum(points[..., 2] + distance, 1.0)
    flat = points[..., :2] * (distance / depth)[..., None]
    if rng.random() < 0.3:  # hand-held
        size = rng.uniform(0.001, 0.01)
        shake = np.stack([size * waves(rng, times, 1.0, 8.0, 0.5) for _ in range(2)], 1)
        angle = 0.5 * size * waves(rng, times, 1.0, 8.0, 0.5)
        cross = np.stack([-flat[..., 1], flat[..., 0]], 2)
        flat = flat + shake[:, None] + angle[:, None, None] * cross
    if rng.random() < 0.4:  # rolling shutter: lower rows are exposed later
        step = float(np.median(np.diff(times)))
        delay = rng.uniform(0.0, 0.02) * flat[..., 1:2] / 3.0
        flat = flat + delay * np.gradient(flat.mean(1), step, axis=0)[:, None]
    return np.asarray(flat)


def estimated(
    rng: np.random.Generator, flat: Array, shape: Array, motion: Motion, lids: Array
) -> Array:
    """What an estimator makes of it: drawn to its own mean face, biased by pose and by lids."""
    root = smooth_root(shape, rng.uniform(0.15, 0.5))
    turned = np.concatenate(
        [motion.angles - motion.angles.mean(0), motion.shift[:, 2:] - motion.shift[:, 2:].mean()],
        axis=1,
    )
    # measured on clips: up to a per cent of the eyes' distance at three degrees
    size = np.exp(rng.uniform(np.log(0.0004), np.log(0.02))) / np.radians(10.0)
    bias = size * spread(root, rng.normal(size=(4, 68, 2)))
    out = flat + np.tensordot(turned, bias, 1)
    if rng.random() < 0.5:
        square = turned[:, :3] ** 2 / np.radians(10.0)
        bias = 0.5 * size * spread(root, rng.normal(size=(3, 68, 2)))
        out = out + np.tensordot(square, bias, 1)
    # closing lids drag brows and everything else along, up or down
    drag = np.exp(rng.uniform(np.log(0.003), np.log(0.03))) * (root @ rng.normal(size=(68, 2)))
    drag[17:27, 1] += rng.choice([1.0, 1.0, -0.5]) * rng.uniform(0.01, 0.09)
    return np.asarray(out + lids[:, None, None] * drag)


def noise(rng: np.random.Generator, count: int, fps: float, shape: Array, size: float) -> Array:
    """Landmark noise float64[count, 68, 2] of sd `size`, IOD: white, over the face, in time."""
    shares = rng.dirichlet([3.3, 1.5, 1.2, 0.5])
    root = smooth_root(shape, rng.uniform(0.1, 0.5))
    white = rng.standard_normal((count, 68, 2))
    if rng.random() < 0.25:  # heavy tails
        white *= np.sqrt(3.0 / rng.chisquare(5.0, (count, 1, 1)))
    across = spread(root, rng.standard_normal((count, 68, 2)))
    keep, slower = np.exp(-1.0 / (fps * np.exp(rng.uniform(np.log(0.05), np.log(0.8), 2))))
    slow = autoregressive(rng, count, 136, float(keep)).reshape(count, 68, 2)
    both = autoregressive(rng, count, 136, float(slower)).reshape(count, 68, 2)
    both = spread(root, both)
    total = sum(
        np.sqrt(share) * part
        for share, part in zip(shares, (white, across, slow, both), strict=True)
    )
    uneven = np.exp(rng.uniform(0.0, 0.35) * rng.normal(size=(68, 1)))
    uneven[:17] *= rng.uniform(1.0, 2.0)
    return np.asarray(size * uneven * np.asarray(total))


@dataclass(slots=True, eq=False)
class Faults:
    """What light, codec and tracker add, IOD."""

    offset: Array
    doubt: Array
    jumps: list[Span]


def faults(
    rng: np.random.Generator, times: Array, shape: Array, size: float, strong: float
) -> Faults:
    """Illumination steps, passing shadows, codec flicker, re-initialisations, wrong frames.

    `size`: landmark noise, IOD.
    """
    count, seconds = len(times), float(times[-1])
    out = Faults(np.zeros((count, 68, 2)), np.zeros(count), [])
    root = smooth_root(shape, rng.uniform(0.2, 0.5))

    def smooth() -> Array:
        return np.asarray(root @ rng.normal(size=(68, 2)))

    def often(low: float, high: float) -> int:
        rate = np.exp(rng.uniform(np.log(low), np.log(high)))
        return int(rng.poisson(rate * strong * seconds / 60))

    light = np.exp(rng.uniform(np.log(0.0015), np.log(0.010)))
    for _ in range(often(0.3, 4.0)):
        at = rng.uniform(0.0, seconds)
        step = ease((times - at) / rng.uniform(0.02, 0.5))
        if rng.random() < 0.3:
            step = step - ease((times - at - rng.uniform(0.2, 2.5)) / rng.uniform(0.05, 0.4))
        field = smooth() if rng.random() < 0.7 else rng.normal(0.0, 0.6, (68, 2))
        out.offset += light * step[:, None, None] * field
    if rng.random() < 0.2:  # a codec's key frames
        period = rng.uniform(0.4, 2.5)
        key = np.floor((times + rng.uniform(0.0, period)) / period).astype(int)
        fields = np.stack([smooth() for _ in range(key[-1] + 1)])
        out.offset += rng.uniform(0.2, 1.0) * size * fields[key]
    jump = np.exp(rng.uniform(np.log(0.002), np.log(0.014)))
    for _ in range(often(0.2, 3.0)):
        at = rng.uniform(0.0, seconds)
        field = smooth() + rng.normal(0.0, 1.0, 2) + rng.normal(0.0, 1.0) * shape[:, :2]
        if rng.random() < 0.4:
            field = field + rng.normal(0.0, 0.6, (68, 2))
        since = np.maximum(times - at, 0.0)
        fade = np.exp(-since / rng.uniform(0.3, 6.0)) if rng.random() < 0.5 else 1.0
        out.offset += jump * ((times >= at) * fade)[:, None, None] * field
        until = (times >= at) & (times < at + rng.uniform(0.05, 0.3))
        out.doubt[until] += rng.uniform(0.1, 0.6) * (rng.random() < 0.5)
        out.jumps.append((at - 0.03, at + 0.1))
    wrong = np.exp(rng.uniform(np.log(0.008), np.log(0.08)))
    for _ in range(often(0.5, 5.0)):
        first = int(rng.integers(0, count))
        frames = slice(first, first + int(rng.choice([1, 1, 1, 2])))
        field = smooth() + rng.normal(0.0, 0.7, 2)
        if rng.random() < 0.4:
            part = (slice(17, 27), slice(36, 48), slice(48, 68), slice(0, 17))[rng.integers(4)]
            alone = np.zeros((68, 2))
            alone[part] = field[part]
            field = alone
        out.offset[frames] += wrong * field
        out.doubt[frames] += rng.uniform(0.0, 0.5) * (rng.random() < 0.5)
        out.jumps.append((times[first] - 0.03, times[first] + 0.1))
    if rng.random() < 0.3:
        for _ in range(often(1.0, 8.0)):
            _cover(rng, times, shape, out)
    return out


def _cover(rng: np.random.Generator, times: Array, shape: Array, out: Faults) -> None:
    """A hand, a cup, hair: landmarks beneath follow it for a moment, shakily."""
    start, length = rng.uniform(0.0, float(times[-1])), np.exp(rng.uniform(np.log(0.15), np.log(2)))
    inside = (times > start) & (times < start + length)
    centre = shape[rng.integers(68), :2]
    reach = rng.uniform(0.15, 0.5)
    near = np.exp(-((shape[:, :2] - centre) ** 2).sum(1) / (2 * reach**2))
    ramp = rng.uniform(0.05, 0.5) * length
    course = ease((times[inside] - start) / ramp) * ease((start + length - times[inside]) / ramp)
    size = np.exp(rng.uniform(np.log(0.008), np.log(0.15)))
    way = rng.normal(0.0, 1.0, 2) + np.outer(course, rng.normal(0.0, 0.5, 2))
    push = (size * course)[:, None, None] * near[:, None] * way[:, None]
    push += (
        rng.uniform(0.0, 0.15)
        * size
        * course[:, None, None]
        * near[:, None]
        * rng.normal(size=(len(course), 68, 2))
    )
    out.offset[inside] += push
    out.doubt[inside] += rng.choice([0.0, 0.3]) * course


def smoothed(rng: np.random.Generator, points: Array, fps: float) -> Array:
    """As a tracker smooths it: an exponential mean of up to 50 ms."""
    keep = float(np.exp(-1.0 / (fps * rng.uniform(0.01, 0.05))))
    out = points.copy()
    for k in range(1, len(out)):
        out[k] = keep * out[k - 1] + (1.0 - keep) * points[k]
    return out


def clock(rng: np.random.Generator, seconds: float, fps: float) -> tuple[Array, Array]:
    """When frames are taken, and what their stamps say; rising seconds."""
    count = round(seconds * fps)
    spread = rng.uniform(0.0, 0.08) / fps
    taken = np.arange(count) / fps + np.clip(rng.normal(0.0, spread, count), -0.3 / fps, 0.3 / fps)
    error = np.clip(rng.normal(0.0, 0.6 * spread, count), -0.15 / fps, 0.15 / fps)
    return taken, taken + error


def losses(rng: np.random.Generator, times: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Frames that arrive, and frames in which the face is seen, bool[T] each."""
    arrives = rng.random(len(times)) >= rng.choice([0.0, 0.01, 0.02, 0.05])
    found = np.ones(len(times), bool)
    for _ in range(rng.poisson(rng.uniform(0.0, 2.0) * float(times[-1]) / 60)):
        start, length = rng.uniform(0.0, float(times[-1])), rng.uniform(0.05, 0.35)
        inside = (times >= start) & (times < start + length)
        (arrives if rng.random() < 0.5 else found)[inside] = False
    found[0] = arrives[0] = True
    return arrives, found
