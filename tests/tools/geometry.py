"""A coarse head in the format of ICT-FaceKit's pack, so that the renderer runs without that pack.

An ellipsoid with the face's 68 points on it, eyeballs behind it and the face space's names; the
lids, brows, the mouth's corners and the jaw move when their expressions are raised.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.vision.faces.align import MEAN_SHAPE
from tools.render import cover, mesh, person, scene, skin
from tools.render.units import UNITS

Array = NDArray[np.float64]
MIDDLE, RADII = np.array([0.0, 0.5, 0.0]), np.array([7.6, 10.5, 9.5])
EYES_APART, EYE_HEIGHT = 9.2, 3.4
"""Outer corners, and their height, cm: where the skin's painter expects them."""
WHOLE = (
    *("jawOpen", "mouthPucker", "mouthShrugLower", "mouthRollLower", "mouthRollUpper"),
    *("mouthLeft", "mouthRight", "mouthClose", "mouthFunnel", "mouthShrugUpper"),
)
SIDED = sorted(
    {name for parts in UNITS.values() for name in parts if name not in WHOLE}
    | {f"eyeLook{way}" for way in ("In", "Out", "Up", "Down")}
)
_OWN = (*WHOLE, *(name + side for name in SIDED for side in ("_L", "_R")))
NAMES = (*_OWN, *(f"unused{k}" for k in range(57 - len(_OWN))))
"""As many as the face space has."""
MOVES: dict[str, tuple[tuple[int, ...], tuple[float, float, float], float]] = {
    "mouthSmile_L": ((54,), (0.8, 0.5, -0.4), 1.2),
    "mouthSmile_R": ((48,), (-0.8, 0.5, -0.4), 1.2),
    "eyeBlink_L": ((43, 44), (0.0, -0.5, 0.0), 0.3),
    "eyeBlink_R": ((37, 38), (0.0, -0.5, 0.0), 0.3),
    "browInnerUp_L": ((22, 23), (0.0, 0.5, 0.0), 0.9),
    "browInnerUp_R": ((20, 21), (0.0, 0.5, 0.0), 0.9),
    "browOuterUp_L": ((24, 25, 26), (0.0, 0.5, 0.0), 0.9),
    "browOuterUp_R": ((17, 18, 19), (0.0, 0.5, 0.0), 0.9),
    "jawOpen": ((8, 57), (0.0, -1.5, 0.0), 2.0),
}
"""Points, displacement in cm, and how far from them it reaches."""


def ellipsoid(
    middle: Array, radii: Array, around: int, down: int
) -> tuple[Array, NDArray[np.int64], Array]:
    """Points [N, 3], triangles [M, 3] outwards, and each point's place on the map [N, 2]."""
    u, v = np.meshgrid(np.linspace(0, 1, around + 1), np.linspace(0.01, 0.99, down))
    azimuth, height = (2 * u - 1) * np.pi, (v - 0.5) * np.pi
    way = [np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)]
    points = middle + radii * np.stack(way, -1).reshape(-1, 3)
    number = np.arange(u.size).reshape(u.shape)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    halves = (np.stack([a, b, c], -1), np.stack([b, d, c], -1))
    triangles = np.concatenate([half.reshape(-1, 3) for half in halves])
    return points, triangles, np.stack([0.02 + 0.96 * u, v], -1).reshape(-1, 2)


def write(folder: Path) -> None:
    """The pack, below `folder` as below $FLEETING_PACKS."""
    points, triangles, place = ellipsoid(MIDDLE, RADII, 128, 96)
    material = np.where(points[triangles].mean(1)[:, 2] > -3.0, 0, 1)
    marks: list[int] = []
    for x, y in MEAN_SHAPE * (EYES_APART, -EYES_APART) + (0.0, EYE_HEIGHT):
        away = np.hypot(points[:, 0] - x, points[:, 1] - y) + 99.0 * (points[:, 2] < 0)
        away[marks] = np.inf
        marks.append(int(away.argmin()))
        flat = np.clip((np.array([x, y]) - MIDDLE[:2]) / RADII[:2], -0.98, 0.98)
        depth = RADII[2] * np.sqrt(max(1.0 - (flat**2).sum(), 0.02))
        points[marks[-1]] = (*(MIDDLE[:2] + flat * RADII[:2]), depth)
    for kind, side in ((2, 3.0), (3, -3.0)):
        ball, own, where = ellipsoid(np.array([side, EYE_HEIGHT, 7.0]), np.full(3, 1.0), 12, 8)
        triangles = np.concatenate([triangles, own + len(points)])
        points, place = np.concatenate([points, ball]), np.concatenate([place, where])
        material = np.append(material, np.full(len(own), kind))
    moved = np.zeros((len(NAMES), len(points), 3), np.float16)
    for name, (centres, shift, reach) in MOVES.items():
        away = np.min([((points - points[marks[k]]) ** 2).sum(1) for k in centres], axis=0)
        share = np.exp(-away / (2 * reach**2))
        moved[NAMES.index(name)] = (share * (share > 0.02))[:, None] * np.array(shift)
    pack = folder / "render"
    pack.mkdir(parents=True)
    np.savez(folder / "faces.npz", nothing=np.zeros(1))
    np.savez(
        pack / "ict_facekit.npz",
        materials=np.array(["M_Face", "M_BackHead", "M_ScleraLeft", "M_ScleraRight"]),
        face_material=material,
        neutral=points.astype(np.float32),
        faces=triangles,
        vt=place.astype(np.float32),
        faces_vt=triangles,
        id_delta=np.zeros((100, len(points), 3), np.float16),
        expr_delta=moved,
        expr_names=np.array(NAMES),
    )
    (pack / "vertex_indices.json").write_text(json.dumps({"idx_to_landmark_verts": marks}))


@contextmanager
def installed(folder: Path) -> Iterator[Path]:
    """The renderer draws this head."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEETING_PACKS", str(folder))
        _forget()
        yield folder
    _forget()


def _forget() -> None:
    """What the renderer remembers of a head."""
    for module in (cover, mesh, person, scene, skin):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
