"""Face detectors to compare with: YuNet, BlazeFace and RetinaFace, from a folder of their files.

The pictures of the packs are grey: every peer gets grey as three equal channels, though all were
trained on colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Detections, Float, Grey
from agent.kernels.nms import nms
from agent.vision.faces.detect import letterbox
from tools.eval.detector.boxes import LOWEST, Found, overlap
from tools.eval.peers.runtime import corner_aligned, open_network, three_channels

SHORT_ABOVE, FULL_ABOVE = 0.5, 0.6
"""MediaPipe's thresholds for its two ranges of BlazeFace."""
Find = Callable[[Grey], Found]


@dataclass(frozen=True, slots=True)
class DetectorPeer:
    """One detector as its makers publish it."""

    name: str
    file: str
    make: Callable[[Path], Find]
    usual: float
    """The threshold that its makers' own code uses when nothing else is asked for."""
    loose: bool = False
    """True where its boxes leave out the forehead: compare at IoU 0.35 as well."""

    def open(self, folder: Path) -> Find:
        """Raises `ToolError` where the file or its runtime is missing."""
        return self.make(folder / self.file)


def yunet(path: Path) -> Find:
    """YuNet-n without its keypoints."""
    detect = yunet_faces(path)

    def find(luma: Grey) -> Found:
        faces = detect(luma)
        return Found(faces.boxes, faces.scores)

    return find


def yunet_faces(path: Path, score_above: float = LOWEST) -> Callable[[Grey], Detections]:
    """YuNet-n (Wu et al. 2023, Machine Intelligence Research 20, 656-665).

    BGR 0 to 255, the picture in the top-left corner; score = sqrt(cls obj); suppression at 0.3.
    """
    run = open_network(path)
    side = int(path.stem.rpartition("_")[2])
    square = np.zeros((side, side), np.uint8)

    def find(luma: Grey) -> Detections:
        across, down = letterbox(luma, square)
        tensor = np.ascontiguousarray(three_channels(square).transpose(0, 3, 1, 2))
        answer = run(tensor)
        boxes, scores, points = [], [], []
        for k, stride in enumerate((8, 16, 32)):
            sure = np.clip(answer[k].ravel(), 0, 1) * np.clip(answer[3 + k].ravel(), 0, 1)
            score = np.sqrt(sure)
            cells = np.flatnonzero(score > score_above)
            row, column = np.divmod(cells, side // stride)
            code = answer[6 + k].reshape(-1, 4)[cells]
            cell = np.stack([column, row], 1)
            middle = (cell + code[:, :2]) * stride
            half = np.exp(code[:, 2:]) * stride / 2
            boxes.append(np.concatenate([middle - half, middle + half], 1))
            scores.append(score[cells])
            five = answer[9 + k].reshape(-1, 5, 2)[cells]
            points.append((cell[:, None] + five) * stride)
        scale = np.array([across, down] * 2, np.float32)
        faces, keep = _suppressed(boxes, scores, 0.3, scale)
        kept = (np.concatenate(points)[keep] / scale[:2]).astype(np.float32)
        return Detections(faces.boxes, faces.scores, kept)

    return find


def retinaface(path: Path) -> Find:
    """RetinaFace (Deng et al. 2020, CVPR), MobileNet-0.25, as OpenSeeFace exports and runs it.

    BGR minus (104, 117, 123), the picture in the top-left corner of 640x640, bilinear;
    suppression at 0.4. OpenSeeFace enlarges the boxes afterwards for its landmark crops: not here.
    """
    run = open_network(path)
    priors = _priors(640)

    def find(luma: Grey) -> Found:
        height, width = luma.shape
        scale = 640 / max(height, width)
        size = (max(int(width * scale), 1), max(int(height * scale), 1))
        square = np.zeros((640, 640), np.uint8)
        square[: size[1], : size[0]] = cv2.resize(luma, size, interpolation=cv2.INTER_LINEAR)
        tensor = three_channels(square) - np.array([104, 117, 123], np.float32)
        offsets, classes = run(np.ascontiguousarray(tensor.transpose(0, 3, 1, 2)))[:2]
        score = classes[0, :, 1]
        rows = np.flatnonzero(score > LOWEST)
        prior, code = priors[rows], offsets[0, rows]
        middle = prior[:, :2] + 0.1 * code[:, :2] * prior[:, 2:]
        half = prior[:, 2:] * np.exp(0.2 * code[:, 2:]) / 2
        boxes = np.concatenate([middle - half, middle + half], 1)
        return _suppressed([boxes], [score[rows]], 0.4, np.full(4, scale, np.float32))[0]

    return find


def _priors(side: int) -> Float:
    """Centre and sides of RetinaFace's priors, float32[16800, 4], input pixels."""
    rows = []
    for stride, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        for y in range(side // stride):
            for x in range(side // stride):
                centre = ((x + 0.5) * stride, (y + 0.5) * stride)
                rows += [(*centre, size, size) for size in sizes]
    return np.array(rows, np.float32)


def blazeface(path: Path) -> Find:
    """BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047), short or full range.

    RGB / 127.5 - 1, letterboxed in the middle, corner-aligned; boxes that overlap by 0.3 or more
    are averaged, weighted by score, as MediaPipe does with all that pass its threshold.
    """
    run = open_network(path)
    short = "short" in path.stem
    usual = SHORT_ABOVE if short else FULL_ABOVE
    side = 128 if short else 192
    grids = ((16, 2), (8, 6)) if short else ((48, 1),)
    anchors = np.concatenate([_centres(side, *grid) for grid in grids])

    def find(luma: Grey) -> Found:
        height, width = luma.shape
        middle = np.array([width / 2, height / 2])
        sampled, matrix = corner_aligned(luma, middle, max(height, width), 0.0, side)
        answer = run(three_channels(sampled) / np.float32(127.5) - np.float32(1))
        code, logit = answer[0][0], np.clip(answer[1].ravel(), -80, 80)
        score = (1 / (1 + np.exp(-logit))).astype(np.float32)
        rows = np.flatnonzero(score > LOWEST)
        centre, half = anchors[rows] + code[rows, :2], code[rows, 2:4] / 2
        boxes = np.concatenate([centre - half, centre + half], 1).astype(np.float32)
        boxes, kept = blend(boxes, score[rows], 0.3, usual)
        shift = np.tile(matrix[:, 2], 2)
        return Found((boxes * matrix[0, 0] + shift).astype(np.float32), kept)

    return find


def _centres(side: int, cells: int, each: int) -> Float:
    """Anchor centres float32[cells * cells * each, 2], input pixels."""
    at = (np.arange(cells, dtype=np.float32) + 0.5) * side / cells
    x, y = np.meshgrid(at, at)
    return np.repeat(np.stack([x.ravel(), y.ravel()], 1), each, 0)


def blend(boxes: Float, scores: Float, iou: float, usual: float) -> tuple[Float, Float]:
    """MediaPipe's weighted suppression: each strongest box takes the score-weighted mean of those
    that overlap it by more than `iou`; its score stays.

    Only boxes that score `usual` take part in a mean: at that threshold the answer is the makers'
    own, and below it weak boxes do not blur the strong ones. Boxes float32[N, 4], strongest first.
    """
    left = np.argsort(-scores, kind="stable")
    out, kept = [], []
    while len(left):
        near = overlap(boxes[left[:1]], boxes[left])[0] > iou
        near[0] = True
        used = left[near & (scores[left] >= min(usual, scores[left[0]]))]
        weight = scores[used][:, None]
        out.append((boxes[used] * weight).sum(0) / weight.sum())
        kept.append(scores[left[0]])
        left = left[~near]
    return np.array(out, np.float32).reshape(-1, 4), np.array(kept, np.float32)


def _suppressed(
    boxes: list[Float], scores: list[Float], iou: float, scale: Float
) -> tuple[Found, NDArray[np.int64]]:
    """The boxes kept, in picture pixels, and their places among the given ones."""
    every = np.concatenate(boxes).astype(np.float32)
    score = np.concatenate(scores).astype(np.float32)
    keep = nms(every, score, iou)
    return Found((every[keep] / scale).astype(np.float32), score[keep]), keep


DETECTORS = (
    DetectorPeer("YuNet-n 320", "yunet_n_320_320.onnx", yunet, 0.9),
    DetectorPeer("YuNet-n 640", "yunet_n_640_640.onnx", yunet, 0.9),
    DetectorPeer(
        "BlazeFace short", "face_detection_short_range.tflite", blazeface, SHORT_ABOVE, loose=True
    ),
    DetectorPeer(
        "BlazeFace full", "face_detection_full_range.tflite", blazeface, FULL_ABOVE, loose=True
    ),
    DetectorPeer("RetinaFace 640", "openseeface_retinaface_640x640_opt.onnx", retinaface, 0.4),
)
