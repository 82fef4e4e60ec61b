"""The head: ICT-FaceKit's geometry (Li et al. 2020, arXiv:2004.00572; MIT), ready for drawing.

Frame of reference of all positions: centimetres, x to the right of a picture of the face, y up,
z towards the viewer. Only what can be seen is kept of the mesh.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.render.raster import blend, fill, normals, seen_from, shadow_map

Floats = NDArray[np.float32]
Rows = NDArray[np.int32]

SKIN, SCALP, LASH, EYE, TEETH, GUM, HAIR, CLOTH = range(8)
KEPT = {
    "M_Face": SKIN,
    "M_BackHead": SCALP,
    "M_EyeLashes": LASH,
    "M_ScleraLeft": EYE,
    "M_ScleraRight": EYE,
    "M_Teeth": TEETH,
    "M_GumsTongue": GUM,
}
TEXTURE = 384
"""Side of the skin's texture, texels."""
BROW_DROP = 0.5
"""Brow points lie this far below ICT-FaceKit's, cm: where brows are drawn, and photographs' are."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Static data of the head; N vertices, M triangles."""

    neutral: Floats
    """float32[N, 3]."""
    identity: Floats
    """float32[100, N * 3], one standard deviation each."""
    expression: Floats
    """float32[57, N * 3], full strength."""
    names: tuple[str, ...]
    """Of the 57 expressions, as ICT-FaceKit calls them (`jawOpen`, `mouthSmile_L` ...)."""
    triangles: Rows
    """int32[M, 3], outwards."""
    material: NDArray[np.int8]
    """int8[M], `SKIN` ... `GUM`."""
    corner: Floats
    """float32[M, 3, 2]: skin and lashes: texture coordinates; eyes: offset from the optical axis in
    eyeball radii."""
    open_sky: Floats
    """float32[N] in [0, 1]: share of directions from which light arrives (ambient occlusion)."""
    place: Floats
    """float32[384, 384, 3]: neutral position of each texel of the skin, NaN where there is none."""
    landmarks: Rows
    """int32[68], vertices of the iBUG points."""
    contour: tuple[Rows, ...]
    """Per jaw point 0-16, the vertices at its height that the silhouette may run through."""

    def resting(self, identity: Floats) -> Floats:
        """float32[N, 3] for identity coefficients float32[100]."""
        moved = self.neutral.reshape(-1) + identity @ self.identity
        return np.asarray(moved, np.float32).reshape(-1, 3)

    def moved(self, resting: Floats, expression: Floats) -> Floats:
        """float32[N, 3]: `resting` with expression coefficients float32[57]."""
        return np.asarray(
            blend(resting, self.expression, np.flatnonzero(expression), expression), np.float32
        )


@cache
def head() -> Head:
    """The head from the pack; SystemExit where there is none. A second or two, once."""
    folder = _folder()
    with np.load(folder / "ict_facekit.npz") as pack:
        data = {name: pack[name] for name in pack.files}
    points = json.loads((folder / "vertex_indices.json").read_text())["idx_to_landmark_verts"]
    names = list(data["materials"])
    code = np.array([KEPT.get(str(name), -1) for name in names], np.int8)[data["face_material"]]
    kept = (code >= 0) & ~_hidden(data["neutral"], data["faces"], code)
    old, places = np.unique(data["faces"][kept], return_inverse=True)
    triangles: Rows = np.ascontiguousarray(places.reshape(-1, 3), np.int32)
    neutral = np.ascontiguousarray(data["neutral"][old], np.float32)
    material = code[kept]
    corner = data["vt"][data["faces_vt"][kept]].astype(np.float32) % 1.0
    for eye in ("M_ScleraLeft", "M_ScleraRight"):
        whole = data["neutral"][np.unique(data["faces"][data["face_material"] == names.index(eye)])]
        low, high = whole.min(0), whole.max(0)
        middle, radius = (low + high) / 2, (high[:2] - low[:2]).max() / 2
        rows = data["face_material"][kept] == names.index(eye)
        corner[rows] = ((neutral[triangles[rows]] - middle) / radius)[..., :2]
    place = _place(neutral, triangles, material, corner)
    landmarks = np.searchsorted(old, points).astype(np.int32)
    skin = np.unique(triangles[material == SKIN])
    for i in range(17, 27):
        wanted = neutral[landmarks[i]] - np.array([0.0, BROW_DROP, 0.0], np.float32)
        landmarks[i] = skin[np.linalg.norm((neutral[skin] - wanted)[:, :2], axis=1).argmin()]
    return Head(
        neutral,
        _flat(data["id_delta"], old),
        _flat(data["expr_delta"], old),
        tuple(str(name) for name in data["expr_names"]),
        triangles,
        material,
        np.ascontiguousarray(corner),
        _open_sky(neutral, triangles),
        place,
        landmarks,
        _contours(neutral, skin, landmarks),
    )


def _folder() -> Path:
    from tools.common.packs import packs_folder

    folder = packs_folder() / "render"
    if not (folder / "ict_facekit.npz").is_file():
        raise SystemExit(f"No face geometry in {folder}. Put ict_facekit.npz there; see README.")
    return folder


def _flat(delta: NDArray[np.float16], old: Rows) -> Floats:
    return np.ascontiguousarray(delta[:, old].astype(np.float32).reshape(len(delta), -1))


def _hidden(neutral: Floats, faces: Rows, code: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Triangles that never show: deep in the mouth, the back of teeth and of eyeballs."""
    middle = neutral[faces].mean(1)
    a, b, c = (neutral[faces[:, i]] for i in range(3))
    facing = np.cross(b - a, c - a)[:, 2]
    inner = (code == TEETH) | (code == GUM) | (code == EYE)
    return np.asarray(
        inner & (facing <= 0.0) & (code != GUM)
        | (inner & (middle[:, 2] < 6.5))
        | ((code == SCALP) & (middle[:, 2] < -7.0) & (middle[:, 1] < -12))
    )


def _place(neutral: Floats, triangles: Rows, material: NDArray[np.int8], corner: Floats) -> Floats:
    rows = material == SKIN
    flat = corner[rows].reshape(-1, 2) * TEXTURE
    points = np.concatenate([flat, np.zeros((len(flat), 1), np.float32)], 1)
    own = np.arange(len(flat), dtype=np.int32).reshape(-1, 3)
    shape = (TEXTURE, TEXTURE)
    depth, index = np.full(shape, 1.0, np.float32), np.full(shape, -1, np.int32)
    weight = np.zeros((*shape, 2), np.float32)
    one, grain = np.ones(len(points), np.float32), np.zeros((1, 1), np.float32)
    fill(points, own, one, corner[rows], grain, True, 0, depth, index, weight)
    place = np.full((*shape, 3), np.nan, np.float32)
    there = index >= 0
    ends = neutral[triangles[rows][index[there]]]
    w = weight[there]
    w = np.concatenate([w, 1.0 - w.sum(1, keepdims=True)], 1)
    place[there] = (ends * w[:, :, None]).sum(1)
    return place


def _open_sky(neutral: Floats, triangles: Rows, rays: int = 96, side: int = 320) -> Floats:
    """Share of directions, cosine-weighted, that see each vertex of the resting face."""
    normal = normals(neutral, triangles)
    # Fibonacci sphere: evenly spread directions
    k = np.arange(rays) + 0.5
    polar, turn = np.arccos(1 - 2 * k / rays), np.pi * (1 + 5**0.5) * k
    directions = np.stack(
        [np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], 1
    )
    total, seen = np.zeros(len(neutral)), np.zeros(len(neutral))
    for direction in directions:
        light = light_space(neutral, direction.astype(np.float32), side)
        depth = np.full((side, side), 1e9, np.float32)
        shadow_map(light, triangles, depth)
        at = np.clip(np.rint(light[:, :2]).astype(int), 0, side - 1)
        cosine = np.maximum(normal @ direction, 0.0)
        total += cosine
        seen += cosine * (light[:, 2] < depth[at[:, 1], at[:, 0]] + 0.25)
    return np.asarray(seen / np.maximum(total, 1e-6), np.float32)


def light_frame(direction: Floats) -> Floats:
    """Rotation float32[3, 3] whose rows are right, up and towards the light."""
    up = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.95 else np.array([1.0, 0.0, 0.0])
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction]).astype(np.float32)


def light_space(points: Floats, direction: Floats, side: int) -> Floats:
    """float32[N, 3] as seen by a far light: pixels of a map of `side`, depth in centimetres."""
    return np.asarray(seen_from(points, light_frame(direction), side), np.float32)


def _contours(neutral: Floats, skin: Rows, landmarks: Rows) -> tuple[Rows, ...]:
    """Skin at the height of each upper jaw point, from the cheek's front to the ear."""
    found = []
    for i in range(17):
        x, y, z = neutral[landmarks[i]]
        if 5 <= i <= 11:
            found.append(landmarks[i : i + 1])
            continue
        at = neutral[skin]
        near = (np.abs(at[:, 1] - y) < 0.22) & (at[:, 0] * x > 0) & (at[:, 2] >= z - 0.3)
        near &= (np.abs(at[:, 0]) > 0.5 * abs(x)) & (np.abs(at[:, 0]) <= abs(x) + 0.3)
        found.append(np.append(skin[near], landmarks[i]).astype(np.int32))
    return tuple(found)
