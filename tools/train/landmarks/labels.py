"""Refined landmark labels: two teachers and the convention of hand-made points.

The packs' inner points come from FaceMesh v2, whose vertices lie beside what people mark (iBUG
300-W; Sagonas et al. 2013), mostly on brows and nose. Two things are put right, both in a frame
that is aligned to the face:

- chance errors: part of the way to a second, independent network, PFLD-GhostOne, after its mean
  difference is taken off, since its convention (WFLW) differs where points lie along a contour
- convention: part of the way from FaceMesh's mean shape to the mean of hand-made points, each axis
  scaled first, as the people in the pictures differ in proportions

The jaw stays as it is: GhostOne's.
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import FLIP
from agent.vision.faces.landmarks import face_box
from tools.common.files import ROOT, save_atomically
from tools.common.packs import decode, load, packs_folder
from tools.common.progress import along

SECOND = "PFLD_GhostOne_112_1.onnx"
WFLW_68 = np.array(
    [
        *range(0, 33, 2),
        *[33, 34, 35, 36, 37, 42, 43, 44, 45, 46],
        *range(51, 60),
        *[60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75],
        *range(76, 96),
    ]
)
"""int[68]: which of WFLW's 98 points (Wu et al. 2018, CVPR) are iBUG's 68."""
INNER_FLIP = FLIP[17:] - 17
BROWS = slice(0, 10)

# Mean of hand-made points 17-67 as dlib's face alignment publishes it (trained on iBUG 300-W):
# x, then y, picture axes, arbitrary unit.
HAND_MADE_X = (
    *(0.000213256, 0.0752622, 0.18113, 0.29077, 0.393397),
    *(0.586856, 0.689483, 0.799124, 0.904991, 0.98004),
    *(0.490127, 0.490127, 0.490127, 0.490127, 0.36688, 0.426036, 0.490127, 0.554217, 0.613373),
    *(0.121737, 0.187122, 0.265825, 0.334606, 0.260918, 0.182743),
    *(0.645647, 0.714428, 0.793132, 0.858516, 0.79751, 0.719335),
    *(0.254149, 0.340985, 0.428858, 0.490127, 0.551395, 0.639268),
    *(0.726104, 0.642159, 0.556721, 0.490127, 0.423532, 0.338094),
    *(0.290379, 0.428096, 0.490127, 0.552157, 0.689874, 0.553364, 0.490127, 0.42689),
)
HAND_MADE_Y = (
    *(0.106454, 0.038915, 0.0187482, 0.0344891, 0.0773906),
    *(0.0773906, 0.0344891, 0.0187482, 0.038915, 0.106454),
    *(0.203352, 0.307009, 0.409805, 0.515625, 0.587326, 0.609345, 0.628106, 0.609345, 0.587326),
    *(0.216423, 0.178758, 0.179852, 0.231733, 0.245099, 0.244077),
    *(0.231733, 0.179852, 0.178758, 0.216423, 0.244077, 0.245099),
    *(0.780233, 0.745405, 0.727388, 0.742578, 0.727388, 0.745405),
    *(0.780233, 0.864805, 0.902192, 0.909281, 0.902192, 0.864805),
    *(0.784792, 0.778746, 0.785343, 0.778746, 0.784792, 0.824182, 0.831803, 0.824182),
)

# How far to go: to the second teacher (its brows are much less steady), to the convention.
TO_SECOND = np.full((51, 1), 0.4)
TO_SECOND[BROWS] = 0.25
TO_CONVENTION = 0.5
FAR = 0.08
"""Difference of the teachers, IOD, beyond which one of them has failed: no further step."""
FRONTAL = 12.0
"""Degrees of yaw within which a shape shows its proportions."""

Array = NDArray[np.float64]


def refined() -> Float:
    """Labels of all faces of the pack, float32[N, 68, 2], picture pixels."""
    labels = load("faces_labels.npz")
    first = labels["lm68"].astype(np.float64)
    train, yaw = labels["split"] == 0, labels["pose_yaw_pitch_roll"][:, 0].astype(np.float64)
    return blend(first, second_teacher().astype(np.float64), train, np.abs(yaw) < FRONTAL)


def blend(
    first: Array, second: Array, train: NDArray[np.bool_], frontal: NDArray[np.bool_]
) -> Float:
    """Labels from two teachers' points float64[N, 68, 2] (picture pixels), float32[N, 68, 2].

    Mean differences are taken from faces of bool[N] `train`, proportions from those that are
    `frontal` as well.
    """
    target = hand_made()
    inner = first[:, 17:] @ [1, 1j]
    middle = inner.mean(1, keepdims=True)
    goal = target @ [1, 1j]
    goal = goal - goal.mean()
    # face to frame: least-squares turn and scale (Umeyama 1991 in its complex form)
    turn = ((inner - middle).conj() @ goal) / (np.abs(inner - middle) ** 2).sum(1)
    turn = turn[:, None]
    difference = _pairs(turn * ((second[:, 17:] @ [1, 1j]) - inner))
    shape = _pairs(turn * (inner - middle))
    bias = _mirrored(np.median(difference[train], 0))
    mean = _mirrored(np.median(shape[train & frontal], 0))
    chance = difference - bias
    length = np.linalg.norm(chance, axis=-1, keepdims=True)
    chance *= np.minimum(1.0, FAR / np.maximum(length, 1e-9))
    step = TO_SECOND * chance + TO_CONVENTION * convention(mean, target)
    labels = first.copy()
    labels[:, 17:] += _pairs((step @ [1, 1j]) / turn)
    return labels.astype(np.float32)


def convention(mean: Array, target: Array) -> Array:
    """From a mean shape to the hand-made one, both float64[51, 2], after scaling each axis."""
    away = np.empty_like(mean)
    for axis in (0, 1):
        system = np.stack([mean[:, axis], np.ones(len(mean))], 1)
        fit = np.linalg.lstsq(system, target[:, axis], rcond=None)[0]
        away[:, axis] = target[:, axis] - system @ fit
    return away


def hand_made() -> Array:
    """Mean of hand-made points 17-67, float64[51, 2], IOD, about the outer eye corners' middle."""
    shape = np.stack([HAND_MADE_X, HAND_MADE_Y], 1)
    left, right = shape[36 - 17], shape[45 - 17]
    return (shape - (left + right) / 2) / (right[0] - left[0])


def second_teacher() -> NDArray[np.float16]:
    """GhostOne's points for all faces of the pack, [N, 68, 2], picture pixels; kept in `runs`."""
    path = ROOT / "runs" / "landmarks" / "second_teacher.npy"
    labels = load("faces_labels.npz")
    if path.is_file():
        kept: NDArray[np.float16] = np.load(path)
        if kept.shape == labels["lm68"].shape:
            return kept
    model = packs_folder() / "teachers" / SECOND
    if not model.is_file():
        raise SystemExit(f"The second teacher is missing: {model}.")
    net, pack = cv2.dnn.readNetFromONNX(str(model)), load("faces.npz")
    found = np.stack(
        [
            ask(net, decode(pack["jpeg"], pack["off"], i), points.astype(np.float32))
            for i, points in enumerate(along(labels["lm68"], "second teacher"))
        ]
    ).astype(np.float16)
    content = io.BytesIO()
    np.save(content, found)
    save_atomically(path, content.getvalue())
    return found


def ask(net: Any, picture: Grey, points: Float) -> Float:
    """GhostOne's 68 points float32[68, 2], picture pixels, given the first teacher's.

    Its makers' crop: an upright square on the longer side of a box from forehead to chin.
    """
    box = face_box(points)
    side = float((box[2:] - box[:2]).max())
    corner = (box[:2] + box[2:]) / 2 - side / 2
    scale = 112 / side
    matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
    crop = cv2.warpAffine(picture, matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE)
    tensor = np.repeat((crop.astype(np.float32) / 127.5 - 1)[None, None], 3, 1)
    net.setInput(np.ascontiguousarray(tensor))
    answer = np.asarray(net.forward(), np.float32).reshape(98, 2)[WFLW_68]
    return (answer * side + corner).astype(np.float32)


def _mirrored(shape: Array) -> Array:
    """The mean of float64[51, 2] about x = 0 and its mirror image."""
    return (shape + (shape * [-1, 1])[INNER_FLIP]) / 2


def _pairs(numbers: NDArray[np.complex128]) -> Array:
    return np.stack([numbers.real, numbers.imag], -1)
