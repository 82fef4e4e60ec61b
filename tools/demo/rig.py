"""Backward warp maps of a face's movements: which photograph pixel each place shows.

Movements displace landmarks; a thin-plate spline (Bookstein 1989, IEEE PAMI 11(6)) through the
displaced landmarks carries the skin between them. Upper and lower lip belong to two splines, cut at
the mouth, so that the lips can part. Lengths are in outer-eye distances (IOD) of the photograph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from agent.base.types import Float
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from tools.demo.portrait import Portrait

STEP = 4
"""Photograph pixels between nodes of the map."""
REGION = (104, -8, 352, 248)
"""x0, y0, x1, y1 of the map, photograph pixels; nothing moves outside."""
_JAW = {2: 0.05, 3: 0.15, 4: 0.35, 5: 0.6, 6: 0.85, 7: 0.97, 8: 1.0}
"""How far jaw points follow the chin."""
_RAISE = np.array([0.6, 0.85, 1, 1, 1, 1, 1, 1, 0.85, 0.6], np.float32)
_LOWER = np.array([0.2, 0.4, 0.65, 0.9, 1, 1, 0.9, 0.65, 0.4, 0.2], np.float32)
_CHEEKS = np.array([(-0.42, 0.42), (0.42, 0.42), (-0.52, 0.62), (0.52, 0.62)], np.float32)
_HAIRLINE = np.array(
    [(-0.62, -0.36), (-0.33, -0.4), (0.0, -0.42), (0.33, -0.42), (0.62, -0.38)], np.float32
)
_AXIS = -0.3
"""Depth of the axis that the head turns about, towards the camera from the eye corners."""
_REST_CORNERS = np.array([(-0.262, 0.764), (0.252, 0.758)], np.float32)
"""Where the corners of the closed, resting mouth lie; the photograph smiles."""


@dataclass(frozen=True, slots=True)
class Movement:
    """Pose and expression at one instant. All zero: at rest, facing the camera."""

    smile: float = 0.0
    """0 rest .. 1 the photograph's smile (AU6 + AU12 + AU25)."""
    corners: float = 0.0
    """Lip corners pulled up and out, IOD (AU12)."""
    brow_raise: float = 0.0
    """IOD (AU1 + AU2)."""
    brow_lower: float = 0.0
    """IOD (AU4)."""
    jaw: float = 0.0
    """0 closed .. 1 dropped by 0.26 IOD (AU25 + AU26)."""
    lids: float = 0.0
    """Upper lids: 1 closed (AU45), below 0 raised (AU5)."""
    press: float = 0.0
    """Lips pressed together, 0 .. 1 (AU24)."""
    yaw: float = 0.0
    """Degrees; above 0 towards the right edge of the photograph."""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """float32[h, w, 2] each over `REGION`: place shown -> photograph pixel it shows."""

    upper: Float
    """Valid above the mouth line."""
    lower: Float
    """Valid below it."""
    lip: Float
    """Edge of the upper lip where it is shown, float32[11, 2], photograph pixels."""


class Rig:
    """One visitor's face: the photograph's landmarks and who they are changed to be."""

    def __init__(self, portrait: Portrait, identity: Float | None = None) -> None:
        """`identity`: float32[68, 2] constant displacement in IOD, iBUG order."""
        self.portrait = portrait
        face = portrait.to_face(portrait.landmarks)
        lids = np.concatenate([*portrait.upper_lids, *portrait.lower_lids])
        self._lids = portrait.to_face(np.unique(lids, axis=0))
        crease = np.concatenate([lid[1:-1:2] for lid in portrait.upper_lids])
        self._crease = portrait.to_face(crease) - np.array([0, 0.06], np.float32)
        self._marks = face
        self._up = portrait.to_face(portrait.upper_lip)
        self._lo = portrait.to_face(portrait.lower_lip)
        self._identity = np.zeros((68, 2), np.float32) if identity is None else identity
        self._anchors = portrait.to_face(_anchors(portrait))
        self._depth = _depths(portrait)
        x0, y0, x1, y1 = REGION
        grid = np.meshgrid(np.arange(x0, x1 + 1, STEP), np.arange(y0, y1 + 1, STEP))
        self._shape = grid[0].shape
        self._nodes = portrait.to_face(np.stack(grid, -1).reshape(-1, 2).astype(np.float32))

    def landmarks(self, movement: Movement) -> Float:
        """Where the 68 landmarks are, photograph pixels, float32[68, 2]."""
        moved = self._moved(movement)[0]
        return self.portrait.to_picture(_turn(moved, self._depth(self._marks), movement.yaw))

    def maps(self, movement: Movement) -> Maps:
        """The two backward maps for one instant."""
        marks, up, lo = self._moved(movement)
        rest = 1 - movement.smile
        lids = self._lids + np.where(self._lids[:, 1:] > 0.01, [[0, 0.012 * rest]], 0)
        crease = self._crease + np.array([0, 0.3 * movement.brow_lower], np.float32)
        crease[:, 1] -= 0.15 * movement.brow_raise
        cheeks = _CHEEKS + np.array([0, 0.035 * rest], np.float32)
        hairline = _HAIRLINE - np.array([0, 0.25 * movement.brow_raise], np.float32)
        shared = [*range(36), 48, 54]
        source = np.concatenate(
            [self._marks[shared], self._lids, self._crease, _CHEEKS, _HAIRLINE, self._anchors]
        )
        target = np.concatenate([marks[shared], lids, crease, cheeks, hairline, self._anchors])
        upper, lower = [*range(49, 54)], [*range(55, 60)]
        return Maps(
            self._backward(
                np.concatenate([target, marks[upper], up]),
                np.concatenate([source, self._marks[upper], self._up]),
                movement.yaw,
            ),
            self._backward(
                np.concatenate([target, marks[lower], lo]),
                np.concatenate([source, self._marks[lower], self._lo]),
                movement.yaw,
            ),
            self.portrait.to_picture(_turn(up, self._depth(self._up), movement.yaw)),
        )

    def _backward(self, target: Float, source: Float, yaw: float) -> Float:
        target = _turn(target, self._depth(source), yaw)
        solution = _spline(target, source - target)
        field = self._nodes + _evaluate(target, solution, self._nodes)
        return self.portrait.to_picture(field.astype(np.float32)).reshape(*self._shape, 2)

    def _moved(self, m: Movement) -> tuple[Float, Float, Float]:
        """Face units: 68 landmarks, edge of the upper lip, edge of the lower lip."""
        marks = self._marks + self._identity
        up, lo = self._lips(m)
        for index, weight in _JAW.items():
            for point in {index, 16 - index}:
                marks[point, 1] += 0.26 * m.jaw * weight
        brows = slice(17, 27)
        marks[brows, 1] += m.brow_lower * _LOWER - m.brow_raise * _RAISE
        marks[20:22, 0] += 0.5 * m.brow_lower
        marks[22:24, 0] -= 0.5 * m.brow_lower
        rest = 1 - m.smile
        marks[31, 0] += 0.012 * rest
        marks[35, 0] -= 0.012 * rest
        identity = self._identity
        for points, edge, photo, gain in (
            ([48, 49, 50, 51, 52, 53, 54], up, self._up, 0.45 * rest - 0.5 * m.press),
            ([59, 58, 57, 56, 55], lo, self._lo, 0.15 * rest - 0.35 * m.press),
        ):
            at = np.clip(self._marks[points, 0], photo[0, 0], photo[-1, 0])
            before = _along(photo[:, 0], photo, at)
            thickness = (self._marks[points] - before) * np.array([1, 1 + gain], np.float32)
            marks[points] = _along(photo[:, 0], edge, at) + thickness + identity[points]
        marks[60:65] = up[[0, 4, 5, 6, 10]]
        marks[65:68] = lo[[6, 5, 4]]
        return marks.astype(np.float32), up, lo

    def _lips(self, m: Movement) -> tuple[Float, Float]:
        t = (self._up[:, 0] - self._up[0, 0]) / (self._up[-1, 0] - self._up[0, 0])
        arch = np.maximum(np.sin(np.pi * t), 0)
        left, right = _REST_CORNERS
        seam = left + (right - left) * t[:, None]
        seam[:, 1] -= 0.014 * arch
        middle = (self._up + self._lo_at(t)) / 2
        closed = seam + (middle - seam) * m.smile
        parted = _smooth((m.smile - 0.3) / 0.7)
        side = np.sign(t - 0.5)
        near = np.exp(-((np.minimum(t, 1 - t) / 0.22) ** 2))
        pull = near * (m.corners + 0.03 * m.press)
        closed[:, 0] += side * near * (0.5 * m.corners + 0.02 * m.press - 0.09 * m.jaw)
        closed[:, 1] += -0.87 * near * m.corners + 0.3 * pull * m.press + 0.13 * m.jaw
        round_ = arch**0.7
        up = closed + parted * (self._up - middle)
        lo = closed + parted * (self._lo_at(t) - middle)
        up[:, 1] -= 0.10 * m.jaw * round_
        lo[:, 1] += 0.12 * m.jaw * round_
        return up.astype(np.float32), lo.astype(np.float32)

    def _lo_at(self, t: Float) -> Float:
        span = (self._lo[:, 0] - self._lo[0, 0]) / (self._lo[-1, 0] - self._lo[0, 0])
        return _along(span, self._lo, t)


def _turn(points: Float, depth: Float, yaw: float) -> Float:
    """Rotate points with their depths about the head's upright axis, face units."""
    if yaw == 0:
        return points
    x, y = points[:, 0], points[:, 1]
    angle = np.deg2rad(yaw)
    moved = x * np.cos(angle) + (depth - _AXIS) * np.sin(angle)
    collar = _smooth((np.abs(x) - 0.72) / 0.22) * _smooth((y - 0.55) / 0.25)
    held = _smooth((1.8 - y) / 0.55) * (1 - collar)  # the neck turns less, the collar not at all
    return np.stack([x + (moved - x) * held, y], 1).astype(np.float32)


def _depths(portrait: Portrait) -> Callable[[Float], Float]:
    """Depth towards the camera of places of the photograph, face units: the mean face's at the
    landmarks, a rounded head around them, smooth between."""
    marks = portrait.to_face(portrait.landmarks)
    face = -MEAN_SHAPE_3D[:, 2:].astype(np.float64)
    face[:17] *= (
        0.45  # the mean shape's jaw is the contour, which lies nearer once it is turned away
    )
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([1.25 * np.cos(angle), 0.35 + 1.45 * np.sin(angle)], 1).astype(np.float32)
    height = np.where(ring[:, 1] < 0.3, -0.35 - 0.25 * np.abs(np.cos(angle)), -0.6)
    points = np.concatenate([marks, _HAIRLINE, ring]).astype(np.float32)
    values = np.concatenate([face, np.full((5, 1), 0.22), height[:, None]])
    solution = _spline(points, values, smooth=2e-3)
    return lambda where: np.asarray(
        np.clip(_evaluate(points, solution, where)[:, 0], -0.6, 0.7), np.float32
    )


def _anchors(portrait: Portrait) -> Float:
    """Points of hair, neck and the map's border that expressions leave where they are."""
    outline = portrait.outline[portrait.outline[:, 1] < 130][::4]
    x0, y0, x1, y1 = REGION
    xs, ys = np.linspace(x0, x1, 7), np.linspace(y0, y1, 7)
    border = [(x, y) for x in xs for y in (y0, y1)] + [(x, y) for x in (x0, x1) for y in ys[1:-1]]
    hair = [(190, 55), (225, 45), (262, 55), (170, 80), (284, 85), (225, 65)]
    neck = [(x, y) for y in (206.0, 222.0) for x in (186, 205, 224, 243, 262)]
    return np.concatenate([outline, np.array(border + hair + neck, np.float32)])


def _along(at: Float, values: Float, where: Float) -> Float:
    return np.stack([np.interp(where, at, values[:, i]) for i in (0, 1)], 1).astype(np.float32)


def _smooth(x: ArrayLike) -> Float:
    x = np.clip(np.asarray(x, np.float32), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def _spline(points: Float, values: Float, smooth: float = 1e-7) -> Float:
    """Thin-plate coefficients float64[N + 3, K] through `values` [N, K] at `points`; near them
    where `smooth` is larger."""
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(points, points) + smooth * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = points
    system[count + 1 :, :count] = points.T
    return np.linalg.solve(system, np.concatenate([values, np.zeros((3, values.shape[1]))]))


def _evaluate(points: Float, solution: Float, where: Float) -> Float:
    count = len(points)
    field = _kernel(where, points) @ solution[:count]
    return np.asarray(field + solution[count] + where @ solution[count + 1 :])


def _kernel(a: Float, b: Float) -> Float:
    squared = (a[:, :1] - b[:, 0]) ** 2 + (a[:, 1:] - b[:, 1]) ** 2
    return np.asarray(squared * np.log(squared + 1e-12), np.float32)
