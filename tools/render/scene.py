"""Scene composition and rendering of a face, with exact landmarks and action units.

    for face in faces(100, seed=1, size=128, yaw=(-40, 40), expression="happiness"):
        face.picture, face.landmarks, face.visible, face.coefficients, face.action_units

Grey levels, shapes and backgrounds are all procedural on ICT-FaceKit's geometry (MIT): no
photograph takes part. Poses are signed as in `agent.base.types.Pose`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.render import mesh, raster, shade, skin, units
from tools.render.backdrop import backdrop
from tools.render.camera import Camera, expose
from tools.render.extras import draw_glasses, draw_mask
from tools.render.mesh import Floats, head
from tools.render.person import Person, dress, person

Grey = NDArray[np.uint8]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Parameters of one picture; `dataclasses.replace` changes one at a time."""

    person: Person
    coefficients: Floats
    """float32[57], in [0, 1]."""
    yaw: float
    pitch: float
    roll: float
    """Degrees."""
    distance: float
    """From the camera to the head's centre, cm."""
    iod: float
    """Distance of the outer eye corners of the resting frontal face, pixels."""
    centre: tuple[float, float]
    """Where the middle of the face (between eyes and mouth) lands, share of the sides."""
    size: tuple[int, int]
    """Height and width, pixels."""
    key: Floats
    fill: Floats
    ambient: Floats
    """See `shade.light`."""
    background: Grey
    camera: Camera
    level: float | None = None
    """Linear light that the camera meters on; None: the inner face's mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One rendered face with its exact labels."""

    picture: Grey
    """uint8[H, W]."""
    landmarks: Floats
    """float32[68, 2], iBUG order, xy pixels, pixel centres at integers. On the side turned away the
    jaw follows the silhouette, as in photographs' labels."""
    visible: NDArray[np.bool_]
    """bool[68]: inside the picture and not hidden by the head, hair or a mask."""
    coefficients: Floats
    """float32[57]."""
    action_units: Floats
    """float32[12], `agent.base.types.ACTION_UNITS`."""
    alpha: Floats
    """float32[H, W]: 1 where the person covers the background."""
    scene: Scene
    level: float
    """What the camera metered; put it into other scenes to keep the exposure."""


def light(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Key light, fill light and ambient light."""
    turn, height = rng.normal(0, 50), rng.normal(28, 24)
    turn, height = np.radians(np.clip(turn, -115, 115)), np.radians(np.clip(height, -40, 80))
    key = [np.sin(turn) * np.cos(height), np.sin(height), np.cos(turn) * np.cos(height)]
    power = rng.uniform(0.2, 1.0)
    other, low = np.radians(rng.uniform(-120, 120)), np.radians(rng.uniform(-30, 40))
    fill = [np.sin(other) * np.cos(low), np.sin(low), np.cos(other) * np.cos(low)]
    soft = rng.uniform(0.06, 0.55)
    return (
        np.array([*key, power], np.float32),
        np.array([*fill, rng.uniform(0.0, 0.45)], np.float32),
        np.array([soft * 0.6, soft * rng.uniform(0.0, 0.8)], np.float32),
    )


def scene(
    rng: np.random.Generator,
    who: Person,
    *,
    size: int | tuple[int, int] = 128,
    expression: str = "mixture",
    strength: Range = (0.3, 1.0),
    yaw: Range | None = None,
    pitch: Range | None = None,
    roll: Range | None = None,
    iod: Range = (0.36, 0.5),
    offset: float = 0.06,
) -> Scene:
    """A picture to be taken of `who`.

    Parameters
    ----------
    size
        Side, or height and width, pixels.
    expression
        One of `agent.base.types.EXPRESSIONS`, `speech`: at rest but for talk and blinks, or
        `mixture`: any coefficients.
    strength
        Range of a prototype's overall strength.
    yaw, pitch, roll
        Ranges in degrees; None draws natural poses, now and then far turned.
    iod
        Range of the distance of the outer eye corners as a share of the shorter side.
    offset
        How far off the middle the face lies, share of the sides, s.d.
    """
    shape = (size, size) if isinstance(size, int) else size
    amount = float(rng.uniform(*strength))
    if expression == "mixture":
        moved = units.mixture(rng)
    elif expression == "speech":
        moved = units.speech(rng)
    else:
        moved = units.prototype(rng, expression, amount)
        moved = np.maximum(moved, 0.12 * units.mixture(rng) * (rng.random(57) < 0.5))
    gaze = np.clip(rng.normal(0, 0.3, 2), -1, 1)
    moved = units.look(moved, float(gaze[0]), float(gaze[1]))
    wide = 1.0 if rng.random() < 0.7 else 2.2
    pose = [
        float(rng.uniform(*span)) if span else float(np.clip(rng.normal(0, s * wide), -70, 70))
        for span, s in ((yaw, 16.0), (pitch, 9.0), (roll, 6.0))
    ]
    key, fill, ambient = light(rng)
    return Scene(
        who,
        moved.astype(np.float32),
        pose[0],
        pose[1],
        pose[2],
        float(np.exp(rng.uniform(np.log(35), np.log(250)))),
        float(rng.uniform(*iod)) * min(shape),
        (0.5 + float(rng.normal(0, offset)), 0.5 + float(rng.normal(0, offset))),
        shape,
        key,
        fill,
        ambient,
        backdrop(rng, *shape),
        Camera.sample(rng),
    )


def faces(count: int, seed: int, per_person: int = 4, **ranges: object) -> Iterator[Face]:
    """`count` random faces, reproducible by `seed`; `ranges` go to `scene`.

    Every person is met `per_person` times, and skins are painted once for five persons.
    """
    rng = np.random.default_rng(seed)
    who, paint = None, None
    for k in range(count):
        if k % per_person == 0 or who is None:
            if paint is None or (k // per_person) % 5 == 0:
                paint = skin.paint(rng)
            who = person(rng, paint)
        yield render(scene(rng, who, **ranges))  # type: ignore[arg-type]


def sweep(action_unit: str, steps: int, seed: int, **ranges: object) -> Iterator[Face]:
    """One resting face whose unit (a key of `units.UNITS`) grows from 0 to 1 in `steps` pictures.

    Everything else stays as it is, down to exposure and the camera's noise.
    """
    rng = np.random.default_rng(seed)
    still = scene(rng, person(rng), **{"expression": "neutral", **ranges})  # type: ignore[arg-type]
    rest = still.coefficients
    still = replace(still, level=render(still).level)
    for amount in np.linspace(0.0, 1.0, steps):
        moved = np.maximum(rest, units.coefficients({action_unit: float(amount)}))
        yield render(replace(still, coefficients=moved))


def render(plan: Scene) -> Face:
    """Draw one scene."""
    h, who = head(), plan.person
    height, width = plan.size
    factor = 2 if plan.iod > 24 else 4  # samples per pixel and direction
    shape = (height * factor, width * factor)
    moved = h.moved(who.resting, plan.coefficients)
    triangles, corners = who.triangles, who.corner
    turned = _turn(np.concatenate([dress(moved, who), who.grid]), plan)
    projected, focal = _project(turned, plan, factor)
    normal = raster.normals(turned, triangles)
    depth = np.full(shape, 1e9, np.float32)
    index = np.full(shape, -1, np.int32)
    weight = np.zeros((*shape, 2), np.float32)
    split = len(h.triangles)
    raster.fill(
        projected,
        triangles[:split],
        who.fray,
        corners[:split],
        _grain(),
        False,
        0,
        depth,
        index,
        weight,
    )
    bare = depth.copy()
    if len(triangles) > split:
        raster.fill(
            projected,
            triangles[split:],
            who.fray,
            corners[split:],
            _grain(),
            True,
            split,
            depth,
            index,
            weight,
        )
    side = 112
    in_light = mesh.light_space(turned, plan.key[:3], side)
    shadow = np.full((side, side), 1e9, np.float32)
    raster.shadow_map(in_light, who.solid, shadow)
    value = np.zeros(shape, np.float32)
    shade.light(
        index,
        weight,
        triangles,
        who.material,
        corners,
        normal,
        turned,
        who.sky,
        who.skin,
        skin.wrinkles(),
        units.wrinkle_strength(plan.coefficients) * np.float32(who.lines),
        who.strands,
        who.weave,
        who.dress,
        who.albedo,
        who.gloss,
        who.eye,
        plan.key,
        plan.fill,
        plan.ambient,
        shadow,
        in_light,
        value,
    )
    alpha = (index >= 0).astype(np.float32)
    marks = _landmarks(projected, plan)
    visible = _visible(projected, depth, bare)
    if who.mask:
        draw_mask(value, projected[h.landmarks, :2], who.mask, plan.ambient)
        visible &= ~_masked()
    if who.glasses is not None:
        draw_glasses(
            value, alpha, who.glasses, lambda p: _through(p, plan, focal, factor), plan.yaw
        )
    person_pixels = np.asarray(cv2.resize(value, (width, height), interpolation=cv2.INTER_AREA))
    alpha = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    marks = ((marks + 0.5) / factor - 0.5).astype(np.float32)
    level = _level(person_pixels, alpha, marks) if plan.level is None else plan.level
    picture = expose(person_pixels, alpha, plan.background, level, who.tone, plan.camera)
    inside = ((marks >= 0) & (marks <= np.array([width - 1, height - 1]))).all(1)
    return Face(
        picture,
        marks,
        visible & inside,
        plan.coefficients,
        units.action_units(plan.coefficients),
        alpha,
        plan,
        level,
    )


def _level(value: Floats, alpha: Floats, marks: Floats) -> float:
    """Mean brightness of the inner face."""
    low = np.clip(marks[17:].min(0), 0, None).astype(int)
    high = marks[17:].max(0).astype(int) + 1
    inner = (slice(low[1], high[1]), slice(low[0], high[0]))
    total = float(alpha[inner].sum())
    return float(value[inner].sum()) / total if total >= 1.0 else float(value.mean()) + 1e-3


def _rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Head to viewer: turned to the picture's right, downwards, and clockwise."""
    a, b, c = np.radians([yaw, pitch, roll])
    right = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    down = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    clockwise = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return (right @ down @ clockwise).astype(np.float32)


PIVOT = np.array([0.0, -6.0, -2.0], np.float32)


def _turn(points: Floats, plan: Scene) -> Floats:
    """Head turned about the neck, shoulders a third as far."""
    whole = _rotation(plan.yaw, plan.pitch, plan.roll)
    part = _rotation(plan.yaw * 0.35, 0.0, plan.roll * 0.3)
    return np.asarray(raster.turn(points, whole, part, PIVOT, -10.0, 5.0), np.float32)


def _project(points: Floats, plan: Scene, factor: int) -> tuple[Floats, float]:
    marks = plan.person.resting[head().landmarks]
    wide = float(marks[45, 0] - marks[36, 0])
    near = plan.distance - float(marks[[36, 45], 2].mean())
    focal = plan.iod * factor * near / wide
    return _through(points, plan, focal, factor, turn=False), focal


def _through(points: Floats, plan: Scene, focal: float, factor: int, turn: bool = True) -> Floats:
    """Pixels and depth float32[N, 3]; `turn` first turns points given in the head's frame."""
    middle = plan.person.resting[head().landmarks[[36, 45, 48, 54]]].mean(0)[None]
    anchor = _turn(middle.astype(np.float32), plan)[0]
    moved = _turn(points, plan) if turn else points
    away = plan.distance - moved[:, 2]
    away = np.maximum(away, 5.0)
    out = np.empty((len(points), 3), np.float32)
    height, width = plan.size
    ahead = plan.distance - anchor[2]
    out[:, 0] = focal * (moved[:, 0] / away - anchor[0] / ahead) + plan.centre[0] * width * factor
    out[:, 1] = plan.centre[1] * height * factor - focal * (moved[:, 1] / away - anchor[1] / ahead)
    out[:, :2] -= 0.5
    out[:, 2] = away
    return out


def _landmarks(projected: Floats, plan: Scene) -> Floats:
    """68 points, the far side of the jaw on the silhouette."""
    h = head()
    marks = projected[h.landmarks, :2].copy()
    far = range(9, 17) if plan.yaw > 0 else range(8)
    if abs(plan.yaw) > 4.0:
        across = marks[45] - marks[36]
        across = across / max(float(np.hypot(*across)), 1e-6) * np.sign(plan.yaw)
        for i in far:
            line = projected[h.contour[i], :2]
            marks[i] = line[int((line @ across).argmax())]
    return marks


def _visible(projected: Floats, depth: Floats, bare: Floats) -> NDArray[np.bool_]:
    """Points that nothing lies in front of: 0.6 cm of slack for the head itself, none for hair."""
    h = head()
    at = projected[h.landmarks]
    x = np.clip(np.rint(at[:, 0]).astype(int), 0, depth.shape[1] - 1)
    y = np.clip(np.rint(at[:, 1]).astype(int), 0, depth.shape[0] - 1)
    free = at[:, 2] < bare[y, x] + 0.6
    free[:17] = True  # on or beside the silhouette
    return np.asarray(free & (depth[y, x] >= bare[y, x] - 1e-3))


def _masked() -> NDArray[np.bool_]:
    out = np.zeros(68, bool)
    out[[*range(3, 14), *range(29, 36), *range(48, 68)]] = True
    return out


@cache
def _grain() -> Floats:
    """Edge noise of hair, along its strands."""
    rng = np.random.default_rng(7)
    fine = cv2.resize(rng.random((20, 512)).astype(np.float32), (512, 512))
    locks = cv2.resize(rng.random((10, 50)).astype(np.float32), (512, 512))
    return np.ascontiguousarray(np.clip(0.6 * fine + 0.4 * locks, 0.0, 0.999), np.float32)
