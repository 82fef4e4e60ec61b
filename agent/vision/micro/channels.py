"""Facial channels, the spotter's input signals, and the face model to compute them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.kernels import channels as kernel
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

_TABLE: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("inner_brow_left", "y", (21,)),
    ("inner_brow_right", "y", (22,)),
    ("mid_brow_left", "y", (19, 20)),
    ("mid_brow_right", "y", (23, 24)),
    ("outer_brow_left", "y", (17, 18)),
    ("outer_brow_right", "y", (25, 26)),
    ("inner_brow_left_x", "x", (20, 21)),
    ("inner_brow_right_x", "x", (22, 23)),
    ("upper_lid_left", "y", (37, 38)),
    ("upper_lid_right", "y", (43, 44)),
    ("lower_lid_left", "y", (40, 41)),
    ("lower_lid_right", "y", (46, 47)),
    ("nose_wing_left", "y", (31, 32)),
    ("nose_wing_right", "y", (34, 35)),
    ("lip_corner_left_x", "x", (48, 60)),
    ("lip_corner_left", "y", (48, 60)),
    ("lip_corner_right_x", "x", (54, 64)),
    ("lip_corner_right", "y", (54, 64)),
    ("upper_lip", "y", (50, 51, 52, 61, 62, 63)),
    ("lower_lip", "y", (56, 57, 58, 65, 66, 67)),
    ("chin", "y", (7, 8, 9)),
)
"""Name, axis (y down the face, x across) and iBUG landmarks; left and right of the image."""

CHANNEL_NAMES = tuple(name for name, _, _ in _TABLE)
FACE_CHANNELS = len(_TABLE)
VALUES = FACE_CHANNELS + 6
"""Channels, then yaw, pitch, roll, log scale, x and y translation."""
REGIONS = np.array([0, 8, 12, 14, FACE_CHANNELS], np.int64)
"""First channel of brows, lids, nose and mouth; end."""
BROWS_AND_MOUTH = np.r_[0:8, 14:FACE_CHANNELS]
VERTICAL: NDArray[np.bool_] = np.array([axis == "y" for _, axis, _ in _TABLE])


def _matrices() -> tuple[Float, Float]:
    """`inverse` and `weights` of `agent.kernels.channels.face_channels`."""
    rigidity = np.zeros(68)
    # Expressions do not move eye corners, bridge and base of the nose; the upper jaw's contour
    # slides over the skin with the pose and gets less weight.
    rigidity[[27, 28, 29, 30, 33, 36, 39, 42, 45]] = 1.0
    rigidity[[31, 35]] = 0.3
    rigidity[[0, 1, 2, 14, 15, 16]] = 0.4
    shape = np.concatenate([MEAN_SHAPE_3D.astype(np.float64), np.ones((68, 1))], axis=1)
    weighted = shape * rigidity[:, None]
    inverse = np.linalg.solve(weighted.T @ shape, weighted.T)
    means = np.zeros((FACE_CHANNELS, 68))
    for row, (_, _, points) in enumerate(_TABLE):
        means[row, list(points)] = 1.0 / len(points)
    weights = means @ (np.eye(68) - shape @ inverse)
    return (
        np.ascontiguousarray(inverse, np.float32),
        np.ascontiguousarray(weights, np.float32),
    )


_INVERSE, _WEIGHTS = _matrices()


def measure_channels(points: Float, values: Float) -> float:
    """Channels and pose of one face.

    Parameters
    ----------
    points : float32[68, 2]
        Landmarks, frame pixels.
    values : float32[27]
        Overwritten, see `VALUES`; channels in per cent of the inter-ocular distance.

    Returns
    -------
    float
        Pixels per inter-ocular distance.
    """
    scale: float = kernel.face_channels(points, _INVERSE, _WEIGHTS, VERTICAL, values)
    return scale


def channel_weights() -> Float:
    """float32[21, 68]: the channels as means of landmarks (`VERTICAL`: of y, else of x) of which
    what an affine camera explains is taken out; for an upright face, in the landmarks' unit."""
    return _WEIGHTS


def face_channels(points: Float) -> Float:
    """The 21 channels of `CHANNEL_NAMES`, float32[21], of `points` float32[68, 2] in frame pixels.

    Inter-ocular distances, positive down the face and to the right of the image, with a
    person-specific offset.
    """
    values = np.empty(VALUES, np.float32)
    measure_channels(points, values)
    return np.asarray(values[:FACE_CHANNELS] / 100.0, np.float32)
