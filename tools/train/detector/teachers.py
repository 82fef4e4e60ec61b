"""Two detectors of others as teachers: SCRFD-2.5g at 640x640 and CenterFace at 960 pixels.

SCRFD: Guo et al. 2021, arXiv:2105.04714. CenterFace: Xu et al. 2019, arXiv:1911.03599. Their files,
terms and coding are described in the packs' `teachers/README.md`. Grey is fed as three equal
channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.kernels.nms import nms
from tools.train.detector.labels import Floats, Picture

LOWEST = 0.1
"""Smallest score kept; the rule that reads the votes chooses above it."""
FILES = ("scrfd_2.5g_kps_640.onnx", "centerface.onnx")
Run = Callable[[Floats], list[Floats]]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one teacher finds in one picture, strongest first, picture pixels."""

    box: Floats
    """float32[N, 4] xyxy."""
    score: Floats
    """float32[N] in [0, 1]."""
    five: Floats
    """float32[N, 5, 2]: image-left eye, image-right eye, nose, mouth corners."""


Teacher = Callable[[Picture], Vote]


def open_onnx(path: Path) -> Run:
    """One ONNX file with one input on one thread: tensor in, all outputs out."""
    import onnxruntime  # type: ignore[import-not-found,unused-ignore]  # of the train extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda tensor: list(session.run(None, {name: tensor}))


def scrfd(run: Run, side: int = 640) -> Teacher:
    """RGB (x - 127.5) / 128, the picture top left; two anchors a cell, distances in strides."""

    def find(picture: Picture) -> Vote:
        small, scale = _fitted(picture, side)
        square = np.zeros((side, side), np.float32)
        square[: small.shape[0], : small.shape[1]] = small
        tensor = np.repeat((square[None, None] - 127.5) / 128.0, 3, 1).astype(np.float32)
        outputs = run(tensor)
        boxes, scores, fives = [], [], []
        for k, stride in enumerate((8, 16, 32)):
            score = outputs[k].reshape(-1)
            rows = np.flatnonzero(score > LOWEST)
            y, x = np.divmod(rows // 2, side // stride)
            centre = np.stack([x, y], 1).astype(np.float32) * stride
            away = outputs[3 + k].reshape(-1, 4)[rows] * stride
            boxes.append(np.concatenate([centre - away[:, :2], centre + away[:, 2:]], 1))
            five = outputs[6 + k].reshape(-1, 5, 2)[rows] * stride
            fives.append(centre[:, None] + five)
            scores.append(score[rows])
        return _vote(boxes, scores, fives, 0.4, scale)

    return find


def centerface(run: Run, side: int = 960) -> Teacher:
    """RGB 0 to 255; the long side scaled to `side`, both sides padded to multiples of 32."""

    def find(picture: Picture) -> Vote:
        small, scale = _fitted(picture, side)
        rows, columns = ((n + 31) // 32 * 32 for n in small.shape)
        padded = np.zeros((rows, columns), np.float32)
        padded[: small.shape[0], : small.shape[1]] = small
        heat, size, offset, points = run(np.repeat(padded[None, None], 3, 1))
        y, x = np.nonzero(heat[0, 0] > LOWEST)
        sides = np.exp(size[0, ::-1, y, x]) * 4  # width, height
        centre = (np.stack([x, y], 1) + offset[0, ::-1, y, x] + 0.5) * 4
        box = np.concatenate([centre - sides / 2, centre + sides / 2], 1)
        five = points[0, :, y, x].reshape(-1, 5, 2)[..., ::-1]
        five = box[:, None, :2] + five * sides[:, None]
        return _vote([box], [heat[0, 0, y, x]], [five], 0.3, scale)

    return find


def _fitted(picture: Picture, side: int) -> tuple[Picture, Floats]:
    """The picture with its long side `side`, and the factors in x and y."""
    height, width = picture.shape
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return small, np.array([size[0] / width, size[1] / height], np.float32)


def _vote(
    boxes: list[NDArray[Any]],
    scores: list[NDArray[Any]],
    fives: list[NDArray[Any]],
    overlap: float,
    scale: Floats,
) -> Vote:
    """Suppressed at this IoU and brought back to the picture.

    No half pixel is taken off: the boxes that people drew count from the pixels' edges too.
    """
    box = np.concatenate(boxes).astype(np.float32)
    score = np.concatenate(scores).astype(np.float32)
    keep = nms(box, score, overlap)
    five = np.concatenate(fives).astype(np.float32)[keep]
    return Vote(box[keep] / np.tile(scale, 2), score[keep], five / scale)


def mirrored(teacher: Teacher) -> Teacher:
    """The teacher on the mirrored picture, its answer turned back."""

    def find(picture: Picture) -> Vote:
        vote = teacher(np.ascontiguousarray(picture[:, ::-1]))
        edge = np.float32(picture.shape[1] - 1)
        box = vote.box.copy()
        box[:, [0, 2]] = edge - vote.box[:, [2, 0]]
        five = vote.five[:, [1, 0, 2, 4, 3]].copy()
        five[..., 0] = edge - five[..., 0]
        return Vote(box, vote.score, five)

    return find
