"""Plausibility of 68 points as a face in iBUG order, by an affine fit of the 3D mean face.

Every view of a face is nearly an affine projection of the mean face. Points in another order are
not; mirrored points or exchanged axes are one of a face seen from behind.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

Points = NDArray[np.float64]

_SHAPE = np.column_stack([MEAN_SHAPE_3D, np.ones(68)]).astype(np.float64)
_PSEUDO_INVERSE = np.linalg.pinv(_SHAPE)
_MAX_RESIDUAL = 0.15
"""Root mean square, inter-ocular distances; below 0.08 for real faces with any expression."""
_MAX_FRAME_RESIDUAL = 0.3
"""Likewise, for a single frame to be used."""
_MIN_SIZE, _MAX_SIZE = 4.0, 4000.0
"""Pixels between the outer eye corners."""
_PARTS = {
    "jaw": slice(0, 17),
    "left brow": slice(17, 22),
    "right brow": slice(22, 27),
    "bridge of the nose": slice(27, 31),
    "nostrils": slice(31, 36),
    "left eye": slice(36, 42),
    "right eye": slice(42, 48),
    "outer lips": slice(48, 60),
    "inner lips": slice(60, 68),
}


def plausible_faces(frames: Float) -> NDArray[np.bool_]:
    """bool[N]: whether frames float32[N, 68, 2], pixels, are roughly face-shaped, unlike tracking
    failures or zeros."""
    _, sizes, residual = _fit(np.nan_to_num(frames, posinf=0, neginf=0).astype(np.float64))
    return (sizes >= 1.0) & (residual < _MAX_FRAME_RESIDUAL)


def diagnose(samples: Float) -> str | None:
    """Why these frames are not faces in iBUG order; None where they are.

    Parameters
    ----------
    samples : float32[N, 68, 2]
        Frames sampled from the whole track, pixels, N >= 1.
    """
    frames = samples.astype(np.float64)
    cameras, sizes, residual = _fit(frames)
    size = float(np.median(sizes))
    if size < _MIN_SIZE or size > _MAX_SIZE:
        return _scale_problem(size)
    axes = cameras[:, :3].transpose(0, 2, 1)
    middle = int(np.argsort(residual)[len(residual) // 2])
    facing = np.cross(axes[:, 0], axes[:, 1])[:, 2]
    if np.median(residual) > _MAX_RESIDUAL:
        return _order_problem(frames[middle])
    if np.median(facing) < 0:
        return _mirror_problem(frames[middle])
    return _reversed_part(frames[middle], _SHAPE @ cameras[middle])


def _fit(frames: Points) -> tuple[Points, Points, Points]:
    """Affine camera of each frame float64[N, 4, 2], face size float64[N] in pixels per
    inter-ocular distance, and RMS residual float64[N] in inter-ocular distances."""
    cameras = np.einsum("ij,njk->nik", _PSEUDO_INVERSE, frames, optimize=True)
    lengths = np.linalg.norm(cameras[:, :3], axis=1)
    sizes = np.sqrt(lengths[:, 0] * lengths[:, 1])
    misfit = frames - np.einsum("ij,njk->nik", _SHAPE, cameras, optimize=True)
    residual = np.sqrt((misfit**2).sum(2).mean(1)) / np.maximum(sizes, 1e-9)
    return cameras, sizes, residual


def _scale_problem(size: float) -> str:
    if size < 1e-6:
        return "all points of a frame lie in one place"
    if size < 1:
        return (
            f"the eyes are {size:.2g} apart: these look like shares of the picture; multiply x by "
            "its width and y by its height to get pixels"
        )
    return f"the eyes are {size:.3g} pixels apart, which no face in a picture is; give pixels"


def _mirror_problem(points: Points) -> str:
    camera = _PSEUDO_INVERSE @ (points * [-1.0, 1.0])
    roll = np.degrees(np.arctan2(camera[0, 1], camera[0, 0]))
    if abs(roll) < 45:
        return (
            "the face is mirrored: 36-41 (the eye on the left of the picture) lie to the right of "
            "42-47; negate x, or exchange left and right points"
        )
    if abs(roll) > 135:
        return "the face is upside down and mirrored: y grows upwards; it must grow downwards"
    return "the face lies on its side and is mirrored: x and y are exchanged"


def _order_problem(points: Points) -> str:
    """The first violated constraint, in the frame of the eyes: x to the right eye, y down."""
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    across = right - left
    width = float(np.linalg.norm(across))
    if width < 1e-6:
        return "36-41 and 42-47 (the eyes) lie in one place"
    x = across / width
    local = (points - (left + right) / 2) @ np.array([x, [-x[1], x[0]]]).T / width
    mouth, tip, brows = local[48:68].mean(0), local[30], local[17:27].mean(0)
    findings = (
        (
            brows[1] > 0 and mouth[1] < 0,
            "36-41 and 42-47 (eyes) have the brows below and the mouth above them: the two are "
            "exchanged, or the order is another",
        ),
        (brows[1] > 0, "17-26 (brows) are not above 36-47 (eyes)"),
        (mouth[1] < 0, "48-67 (mouth) are not below 36-47 (eyes)"),
        (not 0 < tip[1] < mouth[1], "30 (tip of the nose) is not between eyes and mouth"),
        (local[8, 1] < mouth[1], "8 (chin) is not below 48-67 (mouth)"),
        (local[0, 0] > local[16, 0], "0 (jaw) is not to the left of 16"),
        (local[17, 0] > local[26, 0], "17 (brow) is not to the left of 26"),
        (local[17, 0] > local[21, 0], "17 (brow) is not to the left of 21"),
        (local[22, 0] > local[26, 0], "22 (brow) is not to the left of 26"),
        (local[48, 0] > local[54, 0], "48 (corner of the mouth) is not to the left of 54"),
        (local[36, 0] > local[39, 0], "36 (eye corner) is not to the left of 39"),
        (local[42, 0] > local[45, 0], "42 (eye corner) is not to the left of 45"),
    )
    found = [text for wrong, text in findings if wrong]
    return found[0] if found else "together they do not have the shape of a face"


def _reversed_part(points: Points, model: Points) -> str | None:
    for name, part in _PARTS.items():
        here, there = points[part], model[part]
        as_given = np.linalg.norm(here - there, axis=1).mean()
        backwards = np.linalg.norm(here[::-1] - there, axis=1).mean()
        if backwards < as_given / 2:
            return f"{part.start}-{part.stop - 1} ({name}) run in reverse order"
    return None
