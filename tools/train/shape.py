"""Mean face shapes from the landmark labels: `python -m tools.train.shape [--write]`.

Flat: generalised Procrustes median of near-frontal faces, as in `agent/vision/faces/align.py`.
Rigid, in three dimensions: structure from motion under scaled orthography, as in
`agent/vision/faces/shape3d.py`.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces import align
from tools.common.files import ROOT, save_atomically
from tools.common.packs import load, packs_folder

Array = NDArray[np.float64]
# Points that expressions move least steer the pose; the jaw is a contour that slides with yaw.
RIGID = np.array([*range(27, 36), 36, 39, 42, 45])
LOOSE = np.setdiff1d(np.arange(17, 68), RIGID)
MIRROR = np.array([-1.0, 1.0, 1.0])

HEADER = '''"""The rigid three-dimensional mean face shape, for head pose from landmarks.

Structure from motion under scaled orthography over {count:,} labelled training faces, made
symmetric; `python -m tools.train.shape --write` repeats it. The jaw (0-16) holds the points of the
visible contour, which slides over the skin as the head turns: weigh it little.
"""

from __future__ import annotations

import numpy as np

from agent.base.types import Float

MEAN_SHAPE_3D: Float = np.array(
    [
{rows}
    ],
    np.float32,
)
"""float32[68, 3], iBUG order, x right, y down, z away from the camera (the nose tip is negative).
Origin midway between the outer eye corners (points 36 and 45), unit the distance between them."""
'''


def procrustes_median(points: Array, rounds: int = 6) -> Array:
    """Median of faces float[N, 68, 2] turned, scaled and shifted onto each other (Gower 1975)."""
    mean = _level(points[0])
    z = points - points.mean(1, keepdims=True)
    faces = z[..., 0] + 1j * z[..., 1]
    for _ in range(rounds):
        centred = mean - mean.mean(0)
        target = centred[:, 0] + 1j * centred[:, 1]
        turn = (faces.conj() @ target) / (np.abs(faces) ** 2).sum(1)
        turned = faces * turn[:, None]
        mean = _level(np.median(np.stack([turned.real, turned.imag], 2), 0))
        mean = _level((mean + mean[align.FLIP] * [-1.0, 1.0]) / 2)
    return mean


def _level(shape: Array) -> Array:
    """Outer eye corners to (-0.5, 0) and (0.5, 0)."""
    left, right = shape[36], shape[45]
    along = (right - left) / np.hypot(*(right - left)) ** 2
    turn = np.array([[along[0], along[1]], [-along[1], along[0]]])
    return np.asarray((shape - (left + right) / 2) @ turn.T)


def poses(
    points: Array, weight: Array, shape: Array, start: Array | None = None, rounds: int = 8
) -> tuple[Array, Array, Array]:
    """Scaled-orthographic pose of every face.

    Returns rotations float[N, 3, 3] (shape to camera), scales float[N] and shifts float[N, 2]:
    `points = scale * (shape @ rotation.T)[:, :2] + shift`. Each round completes the unseen depth
    with the current pose and solves the absolute orientation problem (Horn 1987), which converges
    to the least-squares pose.
    """
    w = weight / weight.sum(1, keepdims=True)
    shift = np.einsum("nj,njc->nc", w, points)
    middle = np.einsum("nj,jc->nc", w, shape)
    flat = points - shift[:, None]
    body = shape[None] - middle[:, None]
    scale = np.sqrt(
        np.einsum("nj,njc->n", w, flat**2) / np.einsum("nj,njc->n", w, body[..., :2] ** 2)
    )
    rotation = np.tile(np.eye(3), (len(points), 1, 1)) if start is None else start
    weighted = (body * w[..., None]).transpose(0, 2, 1)
    for _ in range(rounds):
        depth = (body @ rotation[:, 2, :, None]) * scale[:, None, None]
        full = np.concatenate([flat, depth], 2)
        u, _, vt = np.linalg.svd((weighted @ full).transpose(0, 2, 1))
        proper = np.sign(np.linalg.det(u @ vt))
        u[:, :, 2] *= proper[:, None]
        rotation = u @ vt
        image = body @ rotation[:, :2].transpose(0, 2, 1)
        scale = np.einsum("nj,nja->n", w, flat * image)
        scale /= np.einsum("nj,nja->n", w, image**2)
    return (
        rotation,
        scale,
        shift - scale[:, None] * np.einsum("nac,nc->na", rotation[:, :2], middle),
    )


def angles(rotation: Array) -> Array:
    """Yaw, pitch, roll in degrees float[N, 3], signs as in `agent.base.types.Pose`."""
    forward = -rotation[:, :, 2]  # where the face looks: -z of the shape
    right = rotation[:, :, 0]
    yaw = np.arctan2(forward[:, 0], -forward[:, 2])
    pitch = np.arctan2(forward[:, 1], np.hypot(forward[:, 0], forward[:, 2]))
    roll = np.arctan2(right[:, 1], np.hypot(right[:, 0], right[:, 2]))
    return np.degrees(np.stack([yaw, pitch, roll], 1))


def structure_from_motion(points: Array, seen: Array, start: Array, rounds: int = 40) -> Array:
    """Rigid shape float[68, 3] that best explains all faces float[N, 68, 2], symmetric.

    Alternates poses and shape. Both are reweighted by the residuals (Cauchy, 3 % of the IOD), so
    that bad labels and open mouths count little.
    """
    shape = start
    unit = np.hypot(*(points[:, 45] - points[:, 36]).T)[:, None, None]
    points = (points - points[:, 27:36].mean(1, keepdims=True)) / unit
    prior = np.full(68, 0.02)
    prior[RIGID], prior[LOOSE] = 1.0, 0.2
    robust = np.ones_like(seen)
    rotation: Array | None = None
    for _ in range(rounds):
        inner = 8 if rotation is None else 2
        rotation, scale, shift = poses(points, seen * prior * robust, shape, rotation, inner)
        rows = rotation[:, :2] * scale[:, None, None]
        rest = points - shape @ rows.transpose(0, 2, 1) - shift[:, None]
        # mild ridge towards the last shape keeps points solvable that are seldom seen
        robust = seen / (1.0 + (rest**2).sum(2) / 0.03**2)
        squares = (rows.transpose(0, 2, 1) @ rows).reshape(-1, 9)
        normal = (robust.T @ squares).reshape(68, 3, 3) + 1e-3 * np.eye(3)
        right = ((rest * robust[..., None]) @ rows).sum(0)
        shape = shape + np.linalg.solve(normal, right[..., None])[..., 0]
        shape = (shape + shape[align.FLIP] * MIRROR) / 2
        shape = (shape - (shape[36] + shape[45]) / 2) / (shape[45, 0] - shape[36, 0])
    return shape


def level_pitch(shape: Array, points: Array, seen: Array) -> Array:
    """Turn the shape about the x axis until the median training face has pitch 0."""
    prior = np.zeros(68)
    prior[RIGID] = 1.0
    rotation, _, _ = poses(points, seen * prior + 1e-9, shape)
    pitch = np.radians(np.median(angles(rotation)[:, 1]))
    c, s = np.cos(pitch), np.sin(pitch)
    # a face that looks down (pitch > 0): its brow comes forward, its chin goes back
    turn = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    return np.asarray(shape @ turn.T)


def generic_face() -> Array:
    """ICT-FaceKit's neutral face (MIT) at the 68 landmarks, in this module's frame and unit."""
    with np.load(packs_folder() / "render" / "ict_facekit.npz") as pack:
        vertices = pack["neutral"].astype(np.float64)
    text = (packs_folder() / "render" / "vertex_indices.json").read_text()
    shape = vertices[json.loads(text)["idx_to_landmark_verts"]] * [1.0, -1.0, -1.0]
    return np.asarray((shape - (shape[36] + shape[45]) / 2) / (shape[45, 0] - shape[36, 0]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.train.shape", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write agent/vision/faces/shape3d.py")
    options = parser.parse_args()
    labels = load("faces_labels.npz")
    train = labels["split"] == 0
    points = labels["lm68"][train].astype(np.float64)
    seen = labels["vis68"][train].astype(np.float64)
    every = slice(None, None, 6)  # some 3,300 faces fix 68 points well
    yaw, pitch, _ = labels["pose_yaw_pitch_roll"][train].astype(np.float64).T
    frontal = (np.abs(yaw) < 15) & seen.all(1)
    flat = procrustes_median(points[frontal])
    print(
        f"flat: {frontal.sum()} faces; furthest from agent/vision/faces/align.py "
        f"{np.abs(flat - align.MEAN_SHAPE).max():.4f} IOD"
    )

    points, seen, yaw, pitch = points[every], seen[every], yaw[every], pitch[every]
    start = generic_face()
    shape = level_pitch(structure_from_motion(points, seen, start), points, seen)
    rotation, _, _ = poses(points, seen * np.isin(np.arange(68), RIGID) + 1e-9, shape)
    found = angles(rotation)
    print(f"rigid: {len(points)} faces; pitch quartiles {np.percentile(found[:, 1], [25, 50, 75])}")
    print(
        f"yaw against the labels' own: r {np.corrcoef(found[:, 0], yaw)[0, 1]:.3f}, slope "
        f"{np.polyfit(yaw, found[:, 0], 1)[0]:.2f}; pitch r "
        f"{np.corrcoef(found[:, 1], pitch)[0, 1]:.3f}"
    )
    other = start * [1.0, 1.0, 0.5]
    again = level_pitch(structure_from_motion(points, seen, other), points, seen)
    print(f"from a start half as deep: furthest {np.abs(again - shape).max():.4f} IOD")
    named = {"brow": 19, "nasion": 27, "nose tip": 30, "subnasal": 33, "inner eye": 39,
             "mouth corner": 48, "upper lip": 51, "chin": 8, "jaw end": 0}  # fmt: skip
    for name, j in named.items():
        print(
            f"{name:13s} x {shape[j, 0]:6.3f} y {shape[j, 1]:6.3f} z {shape[j, 2]:6.3f}; "
            f"ICT-FaceKit {start[j].round(3)}"
        )
    if options.write:
        rows = "\n".join(f"        ({x:.3f}, {y:.3f}, {z:.3f})," for x, y, z in shape + 0.0)
        text = HEADER.format(count=len(points), rows=rows)
        save_atomically(ROOT / "agent" / "vision" / "faces" / "shape3d.py", text.encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
