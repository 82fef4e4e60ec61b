"""Procedural skin textures: brows, lips, moles, beards, freckles and wrinkles.

A skin is a picture of relative reflectance in the head's texture space: 1 is plain skin. Every
region is a function of where a texel lies on the resting face (`Head.place`, cm), so that no
photograph takes part.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.render.mesh import TEXTURE, Floats, head

Values = NDArray[np.floating[Any]]

WRINKLES = ("forehead", "frown", "nose", "fold", "crow", "chin")
"""Lines that expressions deepen, in the order of `wrinkles`; see `tools.render.units`."""


def noise(rng: np.random.Generator, cells: int, side: int = TEXTURE) -> Floats:
    """Smooth noise float32[side, side], mean 0, deviation about 1, `cells` bumps across."""
    coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    fine = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine * 1.4, np.float32)


def octaves(rng: np.random.Generator, cells: int, count: int, side: int = TEXTURE) -> Floats:
    """Sum of `count` octaves of noise, each half as strong and twice as fine."""
    total = np.zeros((side, side), np.float32)
    for k in range(count):
        total += noise(rng, min(cells * 2**k, side // 2), side) * np.float32(0.5**k)
    return total


def bump(distance: Values, width: float) -> Floats:
    """1 at distance 0, 0 beyond about two widths."""
    return np.asarray(np.exp(-0.5 * np.square(distance / width)), np.float32)


def step(value: Values, low: float, high: float) -> Floats:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


@cache
def _position() -> tuple[Floats, Floats, Floats]:
    """x, y, z of each texel, 99 where there is no skin."""
    place = np.nan_to_num(head().place, nan=99.0)
    return place[..., 0], place[..., 1], place[..., 2]


@cache
def lips() -> Floats:
    """float32[384, 384]: 1 on the lips."""
    x, y, z = _position()
    outline = head().neutral[head().landmarks[48:60]]
    upper, lower = outline[:7], np.concatenate([outline[6:], outline[:1]])[::-1]
    top = np.interp(x, upper[:, 0], upper[:, 1])
    low = np.interp(x, lower[:, 0], lower[:, 1])
    inside = np.minimum(top - y, y - low)
    inside[(np.abs(x) > 2.5) | (z < 8.0)] = -1.0
    return step(inside.astype(np.float32), -0.06, 0.1)


@cache
def wrinkles() -> Floats:
    """float32[6, 384, 384] in [0, 1]: how much each kind of line darkens a texel at full strength.

    Forehead lines (frontalis), frown lines (corrugator), lines over the nose's root (levator labii
    superioris alaeque nasi), nasolabial folds (zygomaticus), crow's feet (orbicularis oculi), chin
    dimples (mentalis).
    """
    x, y, z = _position()
    side = np.abs(x)
    front = step(z, 5.0, 8.0)
    sway = 0.15 * np.sin(1.3 * side)
    forehead: Values = np.sum(
        [
            bump(y - height - sway, 0.1) * bump(np.maximum(side - 3.2, 0), 0.9)
            for height in (7.1, 7.9, 8.7)
        ],
        axis=0,
    )
    frown = bump(side - 0.85 - 0.1 * (y - 5.0), 0.12) * bump(
        np.maximum(np.abs(y - 5.2) - 0.5, 0), 0.3
    )
    nose = bump(y - 3.2 - 0.25 * side, 0.09) + bump(y - 3.7 - 0.25 * side, 0.09)
    nose = nose * bump(side, 0.7)
    # from beside the nostril to outside the mouth corner
    along = np.clip((-1.0 - y) / 3.4, 0.0, 1.0)
    fold = bump(side - (1.75 + 1.75 * along**0.8), 0.16) * step(-y, 0.7, 1.4) * step(y, -4.8, -3.6)
    angle = np.arctan2(y - 3.4, side - 4.6)
    reach = np.hypot(y - 3.4, side - 4.6)
    crow: Values = np.sum(
        [bump((angle - a) * reach, 0.09) for a in (-0.5, -0.15, 0.2, 0.5)], axis=0
    )
    crow = crow * step(reach, 0.3, 0.6) * step(-reach, -1.7, -0.9) * step(side, 4.5, 4.8)
    chin = np.abs(np.sin(5.1 * x) * np.sin(4.3 * y)) * bump(np.hypot(x / 1.4, (y + 6.2) / 0.8), 0.8)
    lines = np.stack([forehead, frown, nose, fold, crow, chin]) * front
    return np.ascontiguousarray(np.clip(lines, 0.0, 1.0), np.float32)


def paint(rng: np.random.Generator) -> Floats:
    """One skin float32[384, 384]."""
    x, y, z = _position()
    side = np.abs(x)
    front = step(z, 3.5, 7.5)
    skin = 1.0 + np.float32(rng.uniform(0.01, 0.05)) * octaves(rng, 7, 4)
    skin += np.float32(rng.uniform(0.005, 0.03)) * noise(rng, 110)
    # blood under thin skin: cheeks, nose, eyelids; shade under the eyes
    skin *= 1.0 - rng.uniform(0.0, 0.12) * bump(np.hypot(side - 4.2, (y - 0.3) / 1.2), 1.6) * front
    skin *= 1.0 - rng.uniform(0.0, 0.1) * bump(np.hypot(x, y - 0.4), 1.0) * front
    skin *= 1.0 - rng.uniform(0.0, 0.25) * bump(np.hypot((side - 3.0) / 1.5, y - 2.6), 0.6) * front
    skin *= 1.0 - rng.uniform(0.0, 0.3) * bump(np.hypot((side - 3.1) / 1.8, y - 4.2), 0.45) * front
    skin *= 1.0 - _freckles(rng) * front
    skin *= 1.0 - (rng.uniform(0.0, 0.55) * lips() * (1 + 0.12 * noise(rng, 60)))
    skin = _beard(rng, skin)
    age = max(rng.normal(0.1, 0.25), 0.0)
    for line in wrinkles()[[0, 1, 3, 4]]:
        skin *= 1.0 - min(age * rng.uniform(0.0, 0.5), 0.4) * line
    skin *= 1.0 - rng.uniform(0.3, 0.85) * _brows(rng)
    if rng.random() < 0.35:  # eyeliner, or strong lashes
        around = np.hypot((side - 3.15) / 1.42, (y - 3.45) / 0.5)
        skin *= 1.0 - rng.uniform(0.1, 0.6) * bump(around - 1.05, 0.13) * front
    return np.ascontiguousarray(np.clip(skin, 0.02, 1.6), np.float32)


def _brows(rng: np.random.Generator) -> Floats:
    """Cover of both brows: a tapering band below the brow points, broken into hairs."""
    x, y, z = _position()
    side = np.abs(x)
    upper = head().neutral[head().landmarks[22:27]].astype(np.float64)
    start, end = rng.uniform(0.7, 1.6), rng.uniform(5.2, 6.2)
    top = np.interp(side, upper[:, 0], upper[:, 1] + rng.normal(0, 0.08, 5)) + 0.08
    thick = rng.uniform(0.45, 1.15) * np.interp(
        side, [start, start + 0.8, 3.6, end], [0.8, 1, 0.85, 0.2]
    )
    depth = (top - y) / thick
    band = step(depth.astype(np.float32), -0.12, 0.15) * step(
        (1.0 - depth).astype(np.float32), -0.15, 0.3
    )
    band *= step(side, start - 0.25, start + 0.3) * step(-side, -end - 0.1, -end + 0.6)
    band *= (z > 5.0) & (y > 3.0)
    slant = noise(rng, 170) + 0.5 * noise(rng, 110)
    density = rng.uniform(0.5, 1.2)
    return np.clip(band * (density + 0.22 * slant), 0.0, 1.0).astype(np.float32)


def _freckles(rng: np.random.Generator) -> Floats:
    x, y, _ = _position()
    spots = np.zeros((TEXTURE, TEXTURE), np.float32)
    if rng.random() < 0.3:
        raw = noise(rng, int(rng.integers(90, 170)))
        around = bump(np.hypot(x / 4.5, (y - 1.5) / 2.2), 0.8)
        spots = step(raw, 1.3, 2.0) * around * np.float32(rng.uniform(0.1, 0.4))
    for _ in range(int(rng.poisson(1.5))):  # moles
        middle = rng.uniform([-6.0, -7.0], [6.0, 10.0])
        size = rng.uniform(0.08, 0.2)
        spots = np.maximum(
            spots, rng.uniform(0.2, 0.7) * bump(np.hypot(x - middle[0], y - middle[1]), size)
        )
    return spots


def _beard(rng: np.random.Generator, skin: Floats) -> Floats:
    """Stubble to full beard, a moustache, or nothing."""
    x, y, z = _position()
    side = np.abs(x)
    kind = rng.random()
    if kind < 0.55:
        return skin
    line = np.interp(side, [0.0, 2.2, 3.4, 5.5, 7.5], [-4.7, -4.6, -3.4, -1.6, 2.5])
    lower = step((line - y).astype(np.float32), -0.3, 0.7) * step(y, -11.5, -8.5)
    lower *= step(z, -1.5, 1.0)
    moustache = step(-y, 1.25, 1.6) * step(y, -3.6, -2.6) * step(-side, -2.9, -2.2) * (z > 8)
    goatee = lower * bump(np.maximum(side - 2.0, 0), 0.4)
    area = {0: np.maximum(lower, moustache), 1: moustache, 2: np.maximum(goatee, moustache)}[
        int(rng.choice(3, p=[0.65, 0.15, 0.2]))
    ]
    area = area * (1.0 - lips())
    strength = rng.uniform(0.1, 0.4) if kind < 0.8 else rng.uniform(0.4, 0.85)
    hairs = np.clip(0.8 + 0.3 * noise(rng, 150) + 0.2 * noise(rng, 40), 0.0, 1.2)
    return np.asarray(skin * (1.0 - strength * np.clip(area * hairs, 0.0, 1.0)), np.float32)
