"""Photographs with another expression: a face's own skin, hair and light, moved by the face space.

The head is fitted to a photograph's 68 points (weak perspective, identity coefficients, and a
thin-plate spline for what they leave; Bookstein 1989). Every vertex then owns a place of the
photograph; drawn with other coefficients, it takes that place along. Folds and shading come as the
ratio of two drawings of the plain head under the photograph's light, as in expression ratio images
(Liu, Shan & Zhang 2001, SIGGRAPH). Teeth, and whites of the eyes that were covered, are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.render import mesh, raster, shade, skin, units
from tools.render.mesh import EYE, GUM, LASH, SCALP, SKIN, TEETH, Floats, head

Grey = NDArray[np.uint8]
COMPONENTS = 40
"""Identity coefficients that are fitted, the strongest first."""
STIFFNESS = 0.06
"""Weight of an identity coefficient against a point's error, head's centimetres."""
DETAIL = 2
"""Samples per pixel and direction."""
TEETH_LEVEL = 115.0
"""Grey levels of teeth in plain light before the skin's brightness, which tells exposure, adds."""
RATIO = (0.6, 1.5)
"""Limits of the change of shading."""


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """A photograph's head, drawn as it is."""

    place: Floats
    """float32[N, 3]: pixels and depth of the vertices."""
    index: NDArray[np.int32]
    """int32[H, W], samples: the triangle, -1 for none."""
    shaded: Floats
    """float32[H, W], samples: brightness of the plain head."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A photograph that can be moved."""

    picture: Grey
    """uint8[H, W]."""
    coefficients: Floats
    """float32[57]: what the face in the picture shows."""
    resting: Floats
    """float32[N, 3], centimetres."""
    rotation: Floats
    """float32[3, 3]: head to viewer."""
    scale: float
    """Pixels per centimetre."""
    shift: Floats
    """float32[2], pixels."""
    correction: Floats
    """float32[N, 2]: pixels that the fit leaves at each vertex."""
    error: float
    """Mean distance of the 51 inner points before the correction, pixels."""
    light: Floats
    """float32[4]: direction of the photograph's light as the viewer sees it, and its share."""
    level: float
    """Grey level of skin in plain light."""
    before: Before | None = None
    """The head as it is in the photograph; None while it is being fitted."""

    def project(self, points: Floats) -> Floats:
        """Pixels and depth float32[N, 3] of the head's points in the order of its vertices."""
        turned = points @ self.rotation.T
        out = np.empty_like(turned)
        out[:, 0] = self.scale * turned[:, 0] + self.shift[0]
        out[:, 1] = -self.scale * turned[:, 1] + self.shift[1]
        out[:, :2] += self.correction
        out[:, 2] = 100.0 - turned[:, 2]
        return out.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """What else varies when a face is moved."""

    teeth: float = 1.0
    mouth: float = 0.5
    """Brightness of teeth, relative to usual ones, and of the mouth's inside, to the skin's."""
    lines: float = 0.3
    """How strongly expressions draw lines, in [0, 1]."""
    identity: Floats | None = None
    """float32[100] or fewer, added to the person's identity coefficients."""


PLAIN = Manner()
NO_LINES = np.zeros(len(skin.WRINKLES), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Reenacted:
    """The moved face."""

    picture: Grey
    """uint8[H, W]."""
    landmarks: Floats
    """float32[68, 2], pixels: the photograph's own points, moved as the head's are."""


def fit(picture: Grey, points: Floats, coefficients: Floats, rounds: int = 6) -> Fitted:
    """The head behind a photograph's face.

    Parameters
    ----------
    picture : uint8[H, W]
    points : float32[68, 2]
        In the renderer's convention (`Face.landmarks`), pixels.
    coefficients : float32[57]
        Expression that the photograph shows.
    """
    h = head()
    marks = h.landmarks[17:]
    wanted = points[17:].astype(np.float64)
    moved = h.moved(h.neutral, coefficients)
    offset = (moved - h.neutral)[marks].astype(np.float64)
    basis = h.identity[:COMPONENTS].reshape(COMPONENTS, -1, 3)[:, marks].astype(np.float64)
    identity = np.zeros(COMPONENTS)
    for _ in range(rounds):
        shape = h.neutral[marks] + offset + np.tensordot(identity, basis, 1)
        rotation, scale, shift = _pose(shape, wanted)
        flat = scale * rotation[:2] * np.array([[1.0], [-1.0]])
        rest = (wanted - (h.neutral[marks] + offset) @ flat.T - shift) / scale
        design = (basis @ flat.T / scale).reshape(COMPONENTS, -1).T
        # a coefficient of 1 is one standard deviation
        normal = design.T @ design + STIFFNESS * np.eye(COMPONENTS)
        identity = np.clip(np.linalg.solve(normal, design.T @ rest.ravel()), -2.5, 2.5)
    full = np.zeros(len(h.identity), np.float32)
    full[:COMPONENTS] = identity
    resting = h.resting(full)
    made = Fitted(
        picture, coefficients, resting, rotation.astype(np.float32), float(scale),
        shift.astype(np.float32), np.zeros((len(resting), 2), np.float32), 0.0,
        np.zeros(4, np.float32), 1.0,
    )  # fmt: skip
    at = made.project(h.moved(resting, coefficients))[:, :2]
    left = points[17:] - at[marks]
    correction = _spread(at[marks], left, at, made.scale)
    error = float(np.linalg.norm(left, axis=1).mean())
    light, level = _light(picture, made, at + correction)
    made = replace(made, correction=correction, error=error, light=light, level=level)
    shown = h.moved(resting, coefficients)
    place = made.project(shown)
    drawn = _draw(made, place)
    return replace(made, before=Before(place, drawn[0], _shade(made, shown, drawn, NO_LINES)))


def reenact(
    face: Fitted, points: Floats, coefficients: Floats, manner: Manner = PLAIN
) -> Reenacted:
    """The photograph with expression `coefficients` float32[57]; `points` are its labels."""
    h, before = head(), face.before
    if before is None:
        raise ValueError("This face has not been fitted: use fit().")
    after = h.moved(face.resting, coefficients)
    if manner.identity is not None:
        after += _reshaped(manner.identity)
    source, target = before.place, face.project(after)
    height, width = face.picture.shape
    index, weight = new = _draw(face, target)
    # the photograph's own lines stay; only what is more than they show is drawn
    had, wanted = (units.wrinkle_strength(c) for c in (face.coefficients, coefficients))
    lines = np.float32(manner.lines) * np.maximum(wanted - had, 0.0)
    shaded = _shade(face, after, new, lines)
    there = index >= 0
    corners = _triangles()[np.maximum(index, 0)]
    a, b = weight[..., :1], weight[..., 1:]
    c = 1.0 - a - b
    own = (
        a * source[corners[..., 0], :2]
        + b * source[corners[..., 1], :2]
        + c * source[corners[..., 2], :2]
    )
    y, x = np.mgrid[0 : height * DETAIL, 0 : width * DETAIL].astype(np.float32)
    grid = (np.stack([x, y], 2) + 0.5) / DETAIL - 0.5
    place = np.where(there[..., None], own, grid).astype(np.float32)
    photo = face.picture.astype(np.float32)
    look = _sample(photo, place)
    # shading before, taken along to where the skin is now
    was = _sample(before.shaded, (place + 0.5) * DETAIL - 0.5)
    ratio = np.clip((shaded + 0.02) / (was + 0.02), *RATIO)
    kind = np.where(there, _materials()[np.maximum(index, 0)], -1)
    is_skin = (kind == SKIN) & (was > 0)
    ratio = np.where(is_skin, ratio, 1.0).astype(np.float32)
    ratio = np.asarray(cv2.GaussianBlur(ratio, (0, 0), 0.012 * face.scale * 16), np.float32)
    look = look * ratio
    mouth = (kind == TEETH) | (kind == GUM)
    # teeth are about as bright whoever they belong to, skin is not
    tooth = manner.teeth * (0.65 * face.level + TEETH_LEVEL) * (0.75 + 0.5 * shaded)
    cave = manner.mouth * face.level * (0.2 + shaded)
    inner = np.where(kind == TEETH, tooth, cave)
    look = np.where(mouth, inner, look)
    look = _whites(look, kind == EYE, before.index, place)
    small = cv2.resize(look, (width, height), interpolation=cv2.INTER_AREA)
    # where nothing moves the photograph stays as it is
    stays = np.linalg.norm(place - grid, axis=2) + 4.0 * np.abs(ratio - 1.0) + mouth
    moves = np.asarray(cv2.resize(stays.astype(np.float32), (width, height)), np.float32)
    share = np.clip(cv2.GaussianBlur(moves, (0, 0), 1.0) / 0.15, 0.0, 1.0)
    picture = np.clip(photo + (small - photo) * share + 0.5, 0, 255).astype(np.uint8)
    step = target[h.landmarks, :2] - source[h.landmarks, :2]
    return Reenacted(picture, (points + step).astype(np.float32))


def _reshaped(identity: Floats) -> Floats:
    """Vertices' shift float32[N, 3], cm, by identity coefficients; the head's back and the neck,
    where hair and background begin, stay."""
    h = head()
    moved = (identity @ h.identity[: len(identity)]).reshape(-1, 3)
    at = h.neutral
    away = np.linalg.norm((at - [0.0, -1.0, 6.0]) / [1.0, 1.25, 1.2], axis=1)
    share = np.clip((9.5 - away) / 3.5, 0.0, 1.0)[:, None]
    return np.asarray(moved * share * share * (3.0 - 2.0 * share), np.float32)


def _pose(shape: NDArray[np.float64], wanted: NDArray[np.float64]) -> tuple[Floats, float, Floats]:
    """Scaled orthography: rotation [3, 3], pixels per centimetre, shift [2]."""
    middle, goal = shape.mean(0), wanted.mean(0)
    flipped = (wanted - goal) * [1.0, -1.0]
    plain = np.linalg.lstsq(shape - middle, flipped, rcond=None)[0].T
    u, s, vt = np.linalg.svd(plain, full_matrices=False)
    rows = u @ vt
    scale = float(s.mean())
    rotation = np.stack([rows[0], rows[1], np.cross(rows[0], rows[1])])
    flat = scale * rotation[:2] * np.array([[1.0], [-1.0]])
    return rotation, scale, goal - flat @ middle


def _spread(marks: Floats, left: Floats, at: Floats, scale: float) -> Floats:
    """A thin-plate spline through what is left at the points, fading out away from them."""
    ring = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    middle, reach = marks.mean(0), 13.0 * scale
    outer = middle + reach * np.stack([np.cos(ring), 1.2 * np.sin(ring)], 1)
    knots = np.concatenate([marks, outer]).astype(np.float64) / scale
    values = np.concatenate([left, np.zeros((16, 2))])
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(knots, knots) + 0.02 * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :], system[count + 1 :, :count] = knots, knots.T
    solved = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    where = at.astype(np.float64) / scale
    field = _kernel(where, knots) @ solved[:count] + solved[count] + where @ solved[count + 1 :]
    away = np.linalg.norm((at - middle) / [1.0, 1.2], axis=1)[:, None]
    return np.asarray(field * np.clip(2.0 - 1.4 * away / reach, 0.0, 1.0), np.float32)


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = (a[:, :1] - b[:, 0]) ** 2 + (a[:, 1:] - b[:, 1]) ** 2
    return np.asarray(0.5 * squared * np.log(squared + 1e-9))


@cache
def _shown() -> NDArray[np.int64]:
    h = head()
    away = h.neutral[h.triangles].mean(1)
    # what neither moves nor casts shadows on what does
    still = (h.material == SCALP) | (away[:, 1] < -15.0) | (away[:, 2] < -6.0)
    return np.flatnonzero((h.material != LASH) & ~still)


@cache
def _triangles() -> NDArray[np.int32]:
    return np.ascontiguousarray(head().triangles[_shown()])


@cache
def _materials() -> NDArray[np.int8]:
    return np.ascontiguousarray(head().material[_shown()])


@cache
def _corners() -> Floats:
    return np.ascontiguousarray(head().corner[_shown()])


Drawn = tuple[NDArray[np.int32], Floats]


def _draw(face: Fitted, projected: Floats) -> Drawn:
    """Triangle and barycentric weights of each sample."""
    height, width = (side * DETAIL for side in face.picture.shape)
    at = projected.copy()
    at[:, :2] = (at[:, :2] + 0.5) * DETAIL - 0.5
    depth = np.full((height, width), 1e9, np.float32)
    index, weight = np.full(depth.shape, -1, np.int32), np.zeros((*depth.shape, 2), np.float32)
    solid, grain = np.ones(len(at), np.float32), np.zeros((1, 1), np.float32)
    raster.fill(at, _triangles(), solid, _corners(), grain, False, 0, depth, index, weight)
    return index, weight


def _shade(face: Fitted, points: Floats, drawn: Drawn, lines: Floats) -> Floats:
    """Brightness of the plain head under the photograph's light; resting skin is about 1."""
    h = head()
    turned = np.asarray(points @ face.rotation.T, np.float32)
    normal = raster.normals(turned, _triangles())
    out = np.zeros(drawn[0].shape, np.float32)
    side = 112
    key = face.light.copy()
    fill = np.array([0.0, 0.2, 0.98, 0.25], np.float32)
    ambient = np.array([max(0.75 - 0.6 * key[3], 0.15), 0.15], np.float32)
    in_light = mesh.light_space(turned, key[:3], side)
    shadow = np.full((side, side), 1e9, np.float32)
    raster.shadow_map(in_light, _triangles(), shadow)
    albedo = np.ones(8, np.float32)
    plain = np.ones((mesh.TEXTURE, mesh.TEXTURE), np.float32)
    cloth = np.ones((2, 2), np.float32)
    eye = np.array([0.2, 0.45, 0.1, 0.2, 0.1], np.float32)
    bare, gloss = np.full(len(points), -1.0, np.float32), np.zeros(8, np.float32)
    shade.light(
        drawn[0], drawn[1], _triangles(), _materials(), _corners(), normal, turned,
        h.open_sky, plain, skin.wrinkles(), lines, cloth, cloth, bare, albedo,
        gloss, eye, key, fill, ambient, shadow, in_light, out,
    )  # fmt: skip
    return out


def _light(picture: Grey, face: Fitted, at: Floats) -> tuple[Floats, float]:
    """Direction and share of the main light, and the level of skin, from the skin's brightness.

    First-order spherical harmonics: brightness is a constant and a linear function of the normal
    (Basri & Jacobs 2003, IEEE PAMI 25(2)).
    """
    h = head()
    turned = np.asarray(h.moved(face.resting, face.coefficients) @ face.rotation.T, np.float32)
    normal = raster.normals(turned, h.triangles)
    front = np.unique(h.triangles[h.material == SKIN])
    inner = np.abs(h.neutral[front, 0]) < 6.5
    low = (h.neutral[front, 1] > -8.5) & (h.neutral[front, 1] < 9.0)
    rows = front[inner & low & (normal[front, 2] > 0.2) & (h.neutral[front, 2] > 3)][::7]
    value = _sample(picture.astype(np.float32), at[rows][None].astype(np.float32))[0]
    keep = np.abs(value - np.median(value)) < 2.0 * value.std() + 1e-3
    design = np.concatenate([np.ones((int(keep.sum()), 1)), normal[rows][keep]], 1)
    ridge = design.T @ design + np.diag([0.0, 1, 1, 1]) * 0.02 * len(design)
    fitted = np.linalg.solve(ridge, design.T @ value[keep])
    way = fitted[1:] + np.array([0.0, 0.0, 1e-3])
    length = float(np.linalg.norm(way))
    way = way / length
    way[2] = max(way[2], 0.15)
    way /= np.linalg.norm(way)
    level = max(float(np.median(value[keep])), 12.0)
    share = float(np.clip(1.2 * length / max(fitted[0], 1.0), 0.25, 0.9))
    return np.array([*way, share], np.float32), level


def _sample(values: Floats, place: Floats) -> Floats:
    return np.asarray(
        cv2.remap(
            values, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.float32,
    )


def _whites(
    look: Floats, eye: NDArray[np.bool_], before: NDArray[np.int32], place: Floats
) -> Floats:
    """Parts of the eyes that lids covered in the photograph, in the brightness of its whites."""
    if not eye.any():
        return look
    at = np.rint((place + 0.5) * DETAIL - 0.5).astype(int)
    y = np.clip(at[..., 1], 0, before.shape[0] - 1)
    x = np.clip(at[..., 0], 0, before.shape[1] - 1)
    seen = _materials()[np.maximum(before[y, x], 0)] == EYE
    fresh = (eye & ~seen).astype(np.float32)
    known = look[eye & seen]
    if not fresh.any() or len(known) < 8:
        return look
    white = float(np.percentile(known, 80))
    soft = cv2.GaussianBlur(fresh, (0, 0), 0.5 * DETAIL) * eye
    return np.asarray(look + (white - look) * np.clip(soft, 0, 1), np.float32)
