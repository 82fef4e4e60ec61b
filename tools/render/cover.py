"""Hair, caps, scarves and hoods, as a shell around the skull.

The shell is a grid of azimuth (round the vertical axis, 0 in front) and rows from the crown down.
Its points ride on the skin beneath, so that they follow every identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tools.render.mesh import SCALP, SKIN, Floats, Rows, head

CENTRE = np.array([0.0, 5.0, 0.0], np.float32)
ROUND, DOWN, LOW = 72, 34, 12
"""Columns; rows over the skull; rows hanging below it."""
ELEVATIONS = np.radians(np.linspace(90, -52, DOWN))
STYLES = ("bald", "short", "medium", "long", "cap", "scarf")


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """How the head is covered."""

    style: str
    line: Floats
    """float32[73]: elevation in radians down to which each azimuth is covered."""
    thickness: Floats
    """float32[46, 73], cm."""
    drop: float
    """How far hair hangs below the ears, cm."""
    soft: bool
    """Frayed edges (hair) or clean ones (cloth)."""


@cache
def topology() -> tuple[Rows, Floats]:
    """Triangles int32[T, 3] of the shell's grid, outwards, and their corners float32[T, 3, 2]."""
    rows, columns = DOWN + LOW, ROUND + 1
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b = number[:-1, :-1], number[:-1, 1:]
    c, d = number[1:, :-1], number[1:, 1:]
    triangles = np.concatenate(
        [np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)]
    ).astype(np.int32)
    u, v = np.meshgrid(np.arange(columns) / ROUND, np.arange(rows) / rows)
    grid = np.stack([u, v * 0.7], -1).reshape(-1, 2).astype(np.float32)
    return triangles, grid[triangles]


@cache
def _below() -> tuple[Rows, Floats, Floats]:
    """Nearest skin of each shell point int32[G, 3], its direction and the azimuths."""
    azimuth = np.linspace(-np.pi, np.pi, ROUND + 1)
    e, a = np.meshgrid(ELEVATIONS, azimuth, indexing="ij")
    way = np.stack([np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)], -1).reshape(-1, 3)
    h = head()
    outer = np.unique(h.triangles[(h.material == SKIN) | (h.material == SCALP)])
    at = h.neutral[outer] - CENTRE
    ears = (np.abs(at[:, 0]) > 7.4) & (h.neutral[outer][:, 1] < 6)
    inner = (np.abs(at[:, 0]) < 5) & (at[:, 2] > 7)  # nostrils and mouth have depth
    keep = ~ears & (h.neutral[outer][:, 1] > -13) & ~(inner & (h.open_sky[outer] < 0.5))
    outer, at = outer[keep], at[keep]
    unit = at / np.linalg.norm(at, axis=1, keepdims=True)
    nearest = np.empty((len(way), 3), np.int32)
    for k, direction in enumerate(way):
        nearest[k] = outer[np.argpartition(-(unit @ direction), 3)[:3]]
    return nearest, way.astype(np.float32), azimuth.astype(np.float32)


def sample(rng: np.random.Generator, style: str | None = None) -> Cover | None:
    """A cover at random; None leaves the head bald."""
    kind = style or str(rng.choice(STYLES, p=[0.07, 0.33, 0.2, 0.26, 0.07, 0.07]))
    if kind == "bald":
        return None
    azimuth = _below()[2]
    turn = np.degrees(np.abs(azimuth))
    wobble = np.interp(azimuth, np.linspace(-np.pi, np.pi, 13), rng.normal(0, 2.5, 13))
    front, temple = rng.uniform(33, 52), rng.uniform(14, 34)
    ear, nape = rng.uniform(-20, 6), rng.uniform(-42, -25)
    drop, soft = 0.0, True
    base = rng.uniform(0.3, 1.3)
    if kind in ("medium", "long"):
        base, nape = rng.uniform(0.6, 2.0), -52.0
        drop = rng.uniform(0.5, 5.0) if kind == "medium" else rng.uniform(6.0, 17.0)
        ear = rng.uniform(-60, -10)
    if (kind != "short" and rng.random() < 0.3) or rng.random() < 0.12:
        front, temple = rng.uniform(10, 30), rng.uniform(0, 22)  # a fringe
    if kind == "cap":
        front, temple, ear, nape = rng.uniform(18, 36), rng.uniform(15, 30), 12.0, -10.0
        base, wobble, soft = rng.uniform(0.4, 1.2), wobble * 0.2, False
    if kind == "scarf":
        front, temple, ear, nape = rng.uniform(28, 46), rng.uniform(18, 34), -58.0, -60.0
        base, drop, wobble, soft = rng.uniform(0.4, 1.0), 14.0, wobble * 0.3, False
    at_ear = 62.0 if kind == "scarf" else rng.uniform(72, 88)
    line = np.interp(
        turn,
        [0, 35, at_ear - 14, at_ear, at_ear + 22, 180],
        [front, (front + temple) / 2 + 3, temple, ear, max(nape, ear - 12), nape],
    )
    parting = rng.normal(0, 0.5)
    grid = np.full((DOWN + LOW, ROUND + 1), base)
    grid += 0.25 * base * np.sin(azimuth * rng.integers(2, 6) + rng.uniform(0, 6))[None]
    top = np.concatenate([np.maximum(np.sin(ELEVATIONS), 0), np.zeros(LOW)])
    grid += top[:, None] * rng.uniform(0.0, 1.6) * (1 + 0.4 * np.sin(azimuth + parting))[None]
    if soft:
        grid *= 1 + 0.12 * rng.standard_normal(grid.shape)
        grid[:, -1] = grid[:, 0]
    return Cover(
        kind, np.radians(line + wobble).astype(np.float32), grid.astype(np.float32), drop, soft
    )


def shell(cover: Cover, vertices: Floats) -> tuple[Floats, Floats]:
    """Points float32[G, 3] round the head's `vertices`, and their cover float32[G]."""
    nearest, way, _ = _below()
    radius = ((vertices[nearest] - CENTRE) * way[:, None]).sum(2).max(1)
    radius = radius.reshape(DOWN, ROUND + 1)
    direction = way.reshape(DOWN, ROUND + 1, 3)
    margin = ELEVATIONS[:, None] - cover.line[None]
    fray = 0.16 if cover.soft else 0.02
    amount = np.clip(margin / fray * 0.5 + 0.5, 0.0, None)
    if not cover.soft:
        amount = np.where(margin > 0, 2.0, 0.0)
    near_edge = np.clip(margin / 0.35 + 0.25, 0.0, 1.0)
    upper = CENTRE + direction * (radius + 0.1 + cover.thickness[:DOWN] * near_edge)[..., None]
    # hair that hangs falls straight from where the skull is widest
    hang = cover.drop > 0
    points = np.empty((DOWN + LOW, ROUND + 1, 3), np.float32)
    points[:DOWN] = upper
    full = np.zeros((DOWN + LOW, ROUND + 1), np.float32)
    full[:DOWN] = amount
    if hang:
        widest = int(np.argmin(np.abs(ELEVATIONS - np.radians(5))))
        reach = np.hypot(upper[widest, :, 0], upper[widest, :, 2])
        flat = np.stack([direction[widest, :, 0], direction[widest, :, 2]], 1)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        for row in range(widest + 1, DOWN + LOW):
            t = (row - widest) / (DOWN + LOW - 1 - widest)
            out = reach * (1.0 - 0.1 * t) + 0.4 * np.sin(3.0 * t)
            points[row, :, 0], points[row, :, 2] = flat[:, 0] * out, flat[:, 1] * out
            points[row, :, 1] = upper[widest, :, 1] - t * (cover.drop + 9.0)
            full[row] = np.minimum(full[widest], amount[widest]) * 1.2
            side = cover.line < np.radians(-8)
            full[row] = np.where(side, 2.0, 0.0)
            if cover.soft:
                full[row] *= np.clip(4.0 * (1.02 - t), 0.0, 1.0)
    else:
        points[DOWN:] = upper[-1]
    return points.reshape(-1, 3), full.reshape(-1)
