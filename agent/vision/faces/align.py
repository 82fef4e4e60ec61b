"""Similarity alignment of faces to a mean shape, shared by training and inference.

The mean shape is the generalised Procrustes median (Gower 1975) of 9,380 near-frontal landmark
labels, made symmetric; `tools/train/shape.py` reproduces it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agent.base.types import Float, Grey
from agent.kernels.crop import cut_crop

MEAN_SHAPE: Float = np.array(
    [
        (-0.789, -0.010),
        (-0.778, 0.190),
        (-0.757, 0.390),
        (-0.715, 0.588),
        (-0.640, 0.773),
        (-0.521, 0.935),
        (-0.372, 1.069),
        (-0.197, 1.156),
        (0.000, 1.191),
        (0.197, 1.156),
        (0.372, 1.069),
        (0.521, 0.935),
        (0.640, 0.773),
        (0.715, 0.588),
        (0.757, 0.390),
        (0.778, 0.190),
        (0.789, -0.010),
        (-0.645, -0.174),
        (-0.576, -0.227),
        (-0.472, -0.254),
        (-0.333, -0.243),
        (-0.169, -0.217),
        (0.169, -0.217),
        (0.333, -0.243),
        (0.472, -0.254),
        (0.576, -0.227),
        (0.645, -0.174),
        (0.000, -0.023),
        (0.000, 0.148),
        (0.000, 0.297),
        (0.000, 0.389),
        (-0.143, 0.473),
        (-0.091, 0.510),
        (0.000, 0.518),
        (0.091, 0.510),
        (0.143, 0.473),
        (-0.500, 0.000),
        (-0.428, -0.042),
        (-0.316, -0.046),
        (-0.197, 0.024),
        (-0.299, 0.039),
        (-0.410, 0.041),
        (0.197, 0.024),
        (0.316, -0.046),
        (0.428, -0.042),
        (0.500, 0.000),
        (0.410, 0.041),
        (0.299, 0.039),
        (-0.300, 0.729),
        (-0.174, 0.671),
        (-0.091, 0.655),
        (0.000, 0.671),
        (0.091, 0.655),
        (0.174, 0.671),
        (0.300, 0.729),
        (0.173, 0.859),
        (0.093, 0.889),
        (0.000, 0.900),
        (-0.093, 0.889),
        (-0.173, 0.859),
        (-0.273, 0.730),
        (-0.076, 0.729),
        (0.000, 0.732),
        (0.076, 0.729),
        (0.273, 0.730),
        (0.076, 0.781),
        (0.000, 0.786),
        (-0.076, 0.781),
    ],
    np.float32,
)
"""float32[68, 2], iBUG order. Origin midway between the outer eye corners (points 36 and 45), unit
the distance between them (IOD), x right, y down."""

FLIP = np.array(
    [
        *[*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31],
        *[45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48],
        *[59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65],
    ]
)
"""int[68]: index of each point's mirror image."""


def five_points(points: Float) -> Float:
    """Eye centres, nose tip and mouth corners float32[5, 2] of 68 points float32[68, 2]."""
    return np.stack(
        [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    ).astype(np.float32)


MEAN_FIVE: Float = five_points(MEAN_SHAPE)


@dataclass(frozen=True, slots=True)
class CropSpec:
    """Geometry of a square crop aligned to the mean shape."""

    size: int
    """Pixels, width and height."""
    iod: float
    """Outer eye-corner distance of the mean shape, crop pixels."""
    centre_y: float
    """Height of the mean shape at the crop's centre, IODs below the eye line."""

    def place(self, shape: Float) -> Float:
        """Mean-shape units to crop pixels (pixel centres at integers), float32[N, 2]."""
        middle = np.array([0.0, self.centre_y], np.float32)
        return ((shape - middle) * self.iod + (self.size - 1) / 2).astype(np.float32)


LANDMARK_CROP = CropSpec(size=112, iod=53.0, centre_y=0.46)

# The framing of FER+ images: fitting the mean shape to the inner 51 points of FaceMesh v2 in 700
# random training images gives a median IOD of 26.0 px (quartiles 23.7-28.9), and the centre
# 0.21 IOD below the eye line (0.17-0.27) and 0.00 IOD sideways.
EXPRESSION_CROP = CropSpec(size=48, iod=26.0, centre_y=0.21)


def similarity(source: Float, target: Float) -> Float:
    """Least-squares similarity from `source` to `target` without reflection (Umeyama 1991).

    Parameters
    ----------
    source, target : float32[N, 2]
        Matching points, N >= 2.

    Returns
    -------
    float32[2, 3]
        As `cv2.warpAffine` takes it, source to target.
    """
    a = source.astype(np.float64)
    b = target.astype(np.float64)
    mean_a, mean_b = a.mean(0), b.mean(0)
    za = (a[:, 0] - mean_a[0]) + 1j * (a[:, 1] - mean_a[1])
    zb = (b[:, 0] - mean_b[0]) + 1j * (b[:, 1] - mean_b[1])
    c = np.vdot(za, zb) / max(float(np.vdot(za, za).real), 1e-9)
    linear = np.array([[c.real, -c.imag], [c.imag, c.real]])
    return np.concatenate([linear, (mean_b - linear @ mean_a)[:, None]], 1).astype(np.float32)


def invert(matrix: Float) -> Float:
    """Inverse of a similarity float32[2, 3]."""
    return np.asarray(cv2.invertAffineTransform(matrix), np.float32)


def apply(matrix: Float, points: Float) -> Float:
    """Transform points float32[N, 2] by a matrix float32[2, 3]."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def cut(picture: Grey, matrix: Float, size: int) -> Grey:
    """Warp a grey image into a `size` x `size` crop, black outside. `matrix`: image to crop pixels.

    Strong downscaling averages areas first, since bilinear sampling aliases.
    """
    crop = np.empty((size, size), np.uint8)
    cut_crop(np.ascontiguousarray(picture), matrix, crop)
    return crop
