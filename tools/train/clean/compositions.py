"""Groups of rendered people before backgrounds, as scenes for the detector."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from agent.base.types import Float, Grey
from agent.vision.faces.align import five_points
from tools.train.clean.render import Rendered
from tools.train.detector.labels import Labels, clip, join, move, nothing, warp
from tools.train.detector.paste import GONE, HIDDEN, blend, face_box


def compositions(
    count: int, faces: Rendered, points: Float, ground: Sequence[Grey], seed: int
) -> tuple[list[Grey], list[Labels]]:
    """Rendered people, cut out along their outline, before backgrounds: 480x360, 10 to 200 px."""
    rng = np.random.default_rng(seed)
    pictures, every = [], []
    for _ in range(count):
        base = ground[int(rng.integers(len(ground)))]
        canvas = np.asarray(cv2.resize(base, (480, 360), interpolation=cv2.INTER_LINEAR), np.uint8)
        labels = nothing()
        amount = 1 if rng.random() < 0.25 else int(rng.integers(2, 10))
        top = 200 if amount < 4 else 90
        tall = np.sort(np.exp(rng.uniform(np.log(9), np.log(top), amount)))
        for height in tall:
            labels = _stand(
                canvas, labels, faces, points, int(rng.integers(len(points))), height, rng
            )
        pictures.append(canvas)
        every.append(labels)
    return pictures, every


def _stand(
    canvas: Grey,
    labels: Labels,
    faces: Rendered,
    points: Float,
    i: int,
    height: float,
    rng: np.random.Generator,
) -> Labels:
    """One person in front of those who are there already; the body goes on below the picture."""
    own = points[i]
    box = face_box(own)
    scale = height / float(box[3] - box[1])
    below = faces.pictures[i].shape[0]
    piece = cv2.copyMakeBorder(faces.pictures[i], 0, below, 0, 0, cv2.BORDER_REPLICATE)
    alpha = cv2.copyMakeBorder(faces.alphas[i], 0, below, 0, 0, cv2.BORDER_REPLICATE)
    middle = (box[:2] + box[2:]) / 2
    target = rng.uniform([0.05, 0.08], [0.95, 0.75]) * [canvas.shape[1], canvas.shape[0]]
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    linear = np.diag([scale * mirror, scale]).astype(np.float32)
    matrix = np.concatenate([linear, (target - linear @ middle)[:, None]], 1).astype(np.float32)
    five = five_points(own)
    one = move(Labels(box[None], five[None], np.zeros(1, bool)), matrix, mirror < 0)
    one = clip(one, 0, 0, canvas.shape[1] - 1, canvas.shape[0] - 1)
    if not len(one.box):
        return labels
    over = np.zeros(canvas.shape, np.uint8)
    warp(np.asarray(alpha, np.uint8), matrix, over)
    blend(
        canvas,
        np.asarray(piece, np.uint8),
        np.asarray(alpha, np.uint8),
        matrix,
        float(rng.uniform(0, 0.4)),
    )
    return join([_behind(labels, over), one])


def _behind(labels: Labels, over: Grey) -> Labels:
    """Labels after what `over` uint8[H, W] covers was painted over: ignored, or gone."""
    share = np.zeros(len(labels.box), np.float32)
    for k, box in enumerate(labels.box):
        x0, y0 = np.floor(box[:2]).astype(int)
        x1, y1 = np.ceil(box[2:]).astype(int) + 1
        share[k] = over[y0:y1, x0:x1].mean() / 255
    hidden = Labels(labels.box, labels.five, labels.ignore | (share > HIDDEN))
    return hidden.take(share < GONE)
