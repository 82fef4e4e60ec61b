"""Identity of a rendered person: shape, skin, hair, clothes, glasses; constant from picture to
picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.render import cover as covers
from tools.render import mesh, skin
from tools.render.extras import Glasses
from tools.render.mesh import CLOTH, HAIR, LASH, SCALP, SKIN, Floats, head


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Everything about a face that stays."""

    resting: Floats
    """float32[N, 3]: the resting head, from ICT-FaceKit's identity coefficients."""
    skin: Floats
    """float32[384, 384], see `skin.paint`."""
    tone: float
    """Reflectance of plain skin, linear, in [0.04, 0.6]."""
    albedo: Floats
    """float32[8] by material."""
    gloss: Floats
    eye: Floats
    """float32[5], see `shade.light`."""
    strands: Floats
    weave: Floats
    """float32[256, 256]: textures of hair and cloth."""
    lines: float
    """How strongly expressions draw lines, in [0, 1]."""
    cover: covers.Cover | None
    grid: Floats
    """float32[G, 3]: the shell of what covers the head; G is 0 where nothing does."""
    triangles: NDArray[np.int32]
    """int32[M, 3]: those of the head, then those of the shell that show."""
    solid: NDArray[np.int32]
    """The triangles that cast shadows."""
    corner: Floats
    """float32[M, 3, 2]."""
    material: NDArray[np.int8]
    """int8[M]."""
    fray: Floats
    """float32[N + G], `cover` of `raster.fill`."""
    sky: Floats
    """float32[N + G], ambient occlusion."""
    dress: Floats
    """float32[N + G]: above 0 where clothes cover the skin."""
    shoulders: float
    glasses: Glasses | None
    mask: float
    """Reflectance of a face mask, or 0."""


def person(rng: np.random.Generator, paint: Floats | None = None) -> Person:
    """Somebody new; `paint` reuses a skin (painting takes most of the time)."""
    tone = float(np.exp(rng.uniform(np.log(0.045), np.log(0.6))))
    hair = float(np.exp(rng.uniform(np.log(0.008), np.log(0.45 if rng.random() < 0.5 else 0.05))))
    albedo = np.zeros(8, np.float32)
    albedo[[SKIN, SCALP]] = tone
    albedo[LASH] = 0.03
    albedo[mesh.EYE] = rng.uniform(0.22, 0.45)
    albedo[mesh.TEETH] = rng.uniform(0.45, 0.8)
    albedo[mesh.GUM] = rng.uniform(0.08, 0.25)
    albedo[HAIR] = hair
    albedo[CLOTH] = np.exp(rng.uniform(np.log(0.01), np.log(0.8)))
    gloss = np.zeros(8, np.float32)
    gloss[[SKIN, SCALP]] = rng.uniform(0.0, 0.09)
    gloss[[mesh.EYE, HAIR, mesh.TEETH]] = 0.8, 0.3 * hair, 0.2
    iris = float(np.exp(rng.uniform(np.log(0.015), np.log(0.14))))
    pupil, rim = float(rng.uniform(0.16, 0.24)), float(rng.uniform(0.43, 0.49))
    cover = covers.sample(rng)
    resting = head().resting(np.clip(rng.standard_normal(100), -2.2, 2.2).astype(np.float32))
    h = head()
    grid, fray = np.zeros((0, 3), np.float32), np.ones(len(resting), np.float32)
    fray[_lashes()] = 0.4
    triangles, corner, material = h.triangles, h.corner, h.material
    if cover is not None:
        grid, amount = covers.shell(cover, resting)
        extra, texture = covers.topology()
        keep = np.flatnonzero(amount[extra].max(1) > 0)
        triangles = np.concatenate([triangles, extra[keep] + np.int32(len(resting))])
        corner = np.concatenate([corner, texture[keep]])
        kind = np.full(len(keep), HAIR if cover.soft else CLOTH, np.int8)
        material, fray = np.append(material, kind), np.append(fray, amount)
    rest = np.ones(len(grid), np.float32)
    glasses = Glasses.sample(rng) if rng.random() < 0.18 else None
    return Person(
        resting,
        skin.paint(rng) if paint is None else paint,
        tone,
        albedo,
        gloss,
        np.array([pupil, rim, 0.012, iris, iris * rng.uniform(0.3, 0.8)], np.float32),
        _strands(rng),
        _weave(rng),
        float(rng.uniform(0.05, 0.6)),
        cover,
        grid,
        triangles,
        np.ascontiguousarray(triangles[material != LASH]),
        corner,
        material,
        fray,
        np.append(h.open_sky, 0.8 * rest),
        np.append(_dress_line(rng), -rest),
        float(rng.uniform(0.2, 0.8)),
        glasses,
        float(rng.uniform(0.3, 0.9)) if rng.random() < 0.04 else 0.0,
    )


def _strands(rng: np.random.Generator) -> Floats:
    side = 256
    fine = cv2.resize(rng.standard_normal((10, side)).astype(np.float32), (side, side))
    locks = cv2.resize(rng.standard_normal((6, 40)).astype(np.float32), (side, side))
    sway = 12 * np.sin(np.arange(side) / side * 2 * np.pi * rng.integers(1, 4))
    column = (np.arange(side)[None] + sway.astype(int)[:, None]) % side
    return np.exp(np.take_along_axis(0.3 * fine + 0.25 * locks, column, 1)).astype(np.float32)


def _weave(rng: np.random.Generator) -> Floats:
    side = 256
    out = 0.08 * skin.octaves(rng, 4, 3, side)
    if rng.random() < 0.3:
        y, x = np.mgrid[0:side, 0:side].astype(np.float32)
        angle, waves = rng.choice([0.0, np.pi / 2]), rng.integers(4, 24)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi * waves / side)
        out += np.float32(rng.uniform(0.1, 0.8)) * np.sign(wave)
    return np.exp(out).astype(np.float32)


def _dress_line(rng: np.random.Generator) -> Floats:
    """Round or V necks, now and then a polo neck."""
    x, y, z = head().neutral.T
    low = rng.uniform(-10.8, -9.8) if rng.random() < 0.1 else rng.uniform(-17.5, -12.5)
    line = low + rng.uniform(0.0, 0.9) * np.abs(x) + rng.uniform(0.0, 0.04) * x**2
    line = np.minimum(line + 0.3 * np.maximum(4.0 - z, 0.0), -9.6)
    return np.where(np.abs(y) < 90, line - y, -1.0).astype(np.float32)


@cache
def _lashes() -> NDArray[np.int32]:
    h = head()
    return np.unique(h.triangles[h.material == LASH])


def dress(points: Floats, who: Person) -> Floats:
    """Shoulders: wider and longer than the bust's."""
    out = points.copy()
    t = np.clip((-12.0 - points[:, 1]) / 7.0, 0.0, 1.0)
    out[:, 0] *= 1.0 + who.shoulders * t
    out[:, 1] -= 14.0 * t**3
    return out
