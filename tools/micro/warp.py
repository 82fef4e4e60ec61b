"""Image warping: a smooth dense displacement field around landmarks, then resampling.

Gaussian radial basis functions (Arad et al. 1994, "Image warping by radial basis functions")
carry the displacement of the landmarks to the skin around them. Those at rest hold their place, the
face's contour and a line of the forehead too; further away the field dies out by itself, so that
background, hair and neck stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

_WIDTH = 0.15
"""Standard deviation of the basis functions, inter-ocular distances."""
_RIDGE = 0.03
"""Keeps neighbours that part (lips that touch) from tearing the field."""
_FOREHEAD = 0.42
"""Height of the forehead's resting line above the brows, inter-ocular distances."""
_STEP = 3
"""Pixels between the nodes at which the field is computed."""
_REACH = 0.45
"""Inter-ocular distances around the moved points beyond which nothing moves."""

_WEIGHT = np.zeros(68)
_WEIGHT[[27, 28, 29, 30, 33, 36, 39, 42, 45]] = 1.0
_WEIGHT[[0, 1, 2, 14, 15, 16]] = 0.4
_POINTS = np.concatenate([np.asarray(MEAN_SHAPE_3D, np.float64), np.ones((68, 1))], 1)
_SOLVE = np.linalg.solve((_POINTS * _WEIGHT[:, None]).T @ _POINTS, (_POINTS * _WEIGHT[:, None]).T)


def camera_of(points: Float) -> NDArray[np.float64]:
    """The affine camera float64[2, 4] that best shows the mean face's rigid points at `points`.

    Its columns take inter-ocular distances of the frontal face (x to the right, y down, z away) and
    1 to pixels.
    """
    return np.asarray((_SOLVE @ points.astype(np.float64)).T)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A displacement of the skin, in pixels of one frame."""

    centres: NDArray[np.float64]
    """float64[K, 2], frame pixels."""
    weights: NDArray[np.float64]
    """float64[K, 2], pixels."""
    width: float
    """Pixels."""
    moved: NDArray[np.float64]
    """float64[P, 2], frame pixels: the landmarks that are to move."""
    reach: float
    """Pixels."""

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement float64[N, 2] at float64[N, 2], frame pixels."""
        return np.asarray(_kernel(points, self.centres, self.width) @ self.weights)


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2.0 * a @ b.T
    return np.asarray(np.exp(-0.5 * np.maximum(square, 0.0) / width**2))


def field(points: Float, displacement: Float, amplitude: float) -> Field:
    """The field that moves a face.

    Parameters
    ----------
    points : float32[68, 2]
        Landmarks at rest, frame pixels.
    displacement : float32[68, 2]
        Of the frontal face, largest 1; the camera of `points` turns it with the head.
    amplitude : float
        Largest displacement of a landmark, inter-ocular distances of the frontal face. The field
        takes exactly this on its strongest landmark, neighbours approximately theirs.
    """
    camera = camera_of(points)
    size = float(np.sqrt((camera[:, :3] ** 2).sum() / 2.0))
    at = points.astype(np.float64)
    up = -camera[:, 1] / max(float(np.hypot(*camera[:, 1])), 1e-9)
    centres = np.concatenate([at, at[17:27] + _FOREHEAD * size * up])
    wanted = np.zeros((len(centres), 2))
    wanted[:68] = displacement.astype(np.float64) @ camera[:, :2].T
    width = _WIDTH * size
    kernel = _kernel(centres, centres, width)
    weights = np.linalg.solve(kernel + _RIDGE * np.eye(len(kernel)), wanted)
    reached = kernel[:68] @ weights
    # Lengths as the frontal face would show them: a turned head foreshortens what moves sideways.
    frontal = np.linalg.lstsq(camera[:, :2], reached.T, rcond=None)[0]
    weights *= amplitude / max(float(np.hypot(*frontal).max()), 1e-9)
    active = np.hypot(displacement[:, 0], displacement[:, 1]) > 0.0
    return Field(centres, np.asarray(weights, np.float64), width, at[active], _REACH * size)


def moved(luma: Grey, what: Field) -> Grey:
    """The picture uint8[H, W] with its skin moved: bicubic, pixels outside the reach as they were.

    The field says where skin goes; the picture needs where it comes from, which one step of
    fixed-point iteration gives to well below a hundredth of a pixel at these sizes.
    """
    height, width = luma.shape
    low = np.floor(what.moved.min(0) - what.reach).astype(int)
    high = np.ceil(what.moved.max(0) + what.reach).astype(int)
    left, top = np.maximum(low, 0)
    right, bottom = min(int(high[0]), width - 1), min(int(high[1]), height - 1)
    if right - left < 2 * _STEP or bottom - top < 2 * _STEP:
        return luma
    forward = _dense(what, int(left), int(top), right, bottom)
    x, y = np.meshgrid(
        np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)
    )
    back = cv2.remap(
        forward,
        x - np.float32(left) - forward[..., 0],
        y - np.float32(top) - forward[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    edge = _edge(x.shape, max(int(0.3 * what.reach), 1))
    out = luma.copy()
    out[top:bottom, left:right] = cv2.remap(
        luma,
        x - back[..., 0] * edge,
        y - back[..., 1] * edge,
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return out


def _dense(what: Field, left: int, top: int, right: int, bottom: int) -> Float:
    """float32[H, W, 2] over a part of the frame: computed at nodes, bilinear between them."""
    columns = np.arange(left, right + _STEP, _STEP, dtype=np.float64)
    rows = np.arange(top, bottom + _STEP, _STEP, dtype=np.float64)
    nodes = np.stack(np.meshgrid(columns, rows), 2)
    coarse = what.at(nodes.reshape(-1, 2)).reshape(nodes.shape).astype(np.float32)
    x, y = np.meshgrid(
        np.arange(right - left, dtype=np.float32) / _STEP,
        np.arange(bottom - top, dtype=np.float32) / _STEP,
    )
    return np.asarray(cv2.remap(coarse, x, y, cv2.INTER_LINEAR), np.float32)


def _edge(shape: tuple[int, ...], band: int) -> Float:
    """1 inside, falling to 0 over the outermost `band` pixels."""
    down = np.minimum(np.arange(shape[0]), np.arange(shape[0])[::-1])
    across = np.minimum(np.arange(shape[1]), np.arange(shape[1])[::-1])
    near = np.minimum(down[:, None], across[None, :])
    return np.asarray(np.clip(near / band, 0.0, 1.0), np.float32)
