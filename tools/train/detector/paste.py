"""Copy-paste augmentation: faces, people and other things, with the labels that follow."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.align import MEAN_SHAPE, five_points, similarity
from tools.train.detector.labels import Floats, Labels, Picture, clip, join, move, warp

BOX_TOP = -0.76
"""Upper edge of human-drawn boxes, mean-shape units: median over boxes of upright unmasked faces in
the scenes pack, aligned by their five keypoints."""
CHIN = 0.04
"""How far such boxes reach below the lowest landmark, in outer eye-corner distances."""
HIDDEN, GONE = 0.3, 0.65
"""Share of a face painted over from which it is left out of the loss, and from which it is no face
any more."""


def face_box(points: Floats) -> Floats:
    """Box float32[4] as people draw it around 68 points float32[68, 2]: forehead to chin."""
    unit = 1.0 / max(float(np.hypot(*similarity(points, MEAN_SHAPE)[0, :2])), 1e-6)  # eyes, px
    eyes = (points[36] + points[45]) / 2
    brow, chin = points[17:27, 1].min(), points[:, 1].max()
    mean_brow = float(MEAN_SHAPE[17:27, 1].min())
    top = min(brow + (BOX_TOP - mean_brow) * unit, eyes[1] - 0.5 * unit)
    return np.array([points[:, 0].min(), top, points[:, 0].max(), chin + CHIN * unit], np.float32)


def placing(
    scale: float, angle: float, source: NDArray[Any], target: NDArray[Any], flip: bool
) -> Floats:
    """2x3 matrix that scales and turns about `source`, which lands on `target`; `flip` mirrors."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]], np.float32)
    if flip:
        linear[:, 0] *= -1
    return np.concatenate([linear, (target - linear @ source)[:, None]], 1).astype(np.float32)


def covered(box: Floats, others: Floats) -> Floats:
    """Share of each of `others` float32[N, 4] that `box` float32[4] covers."""
    low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:], box[2:])
    shared = np.maximum(high - low, 0).prod(1)
    return np.asarray(shared / np.maximum((others[:, 2:] - others[:, :2]).prod(1), 1e-3))


def hide(labels: Labels, box: Floats) -> Labels:
    """Labels after something was painted over `box`."""
    if not len(labels.box):
        return labels
    share = covered(box, labels.box)
    ignore = labels.ignore | (share > HIDDEN)
    hidden = Labels(labels.box, labels.five, ignore, labels.confidence)
    return hidden.take(share < GONE)


def cut_out(shape: tuple[int, ...], box: Floats | None, edge: int) -> Picture:
    """Soft-edged mask uint8: an ellipse about `box`, or the whole piece but its edge."""
    mask = np.zeros(shape, np.uint8)
    if box is None:
        mask[edge:-edge, edge:-edge] = 255
    else:
        x, y = (box[:2] + box[2:]) / 2
        half = (box[2:] - box[:2]) / 2
        axes = (max(int(half[0]), 1), max(int(half[1]), 1))
        cv2.ellipse(mask, (int(x), int(y)), axes, 0, 0, 360, 255, -1)
        mask[:1], mask[-1:], mask[:, :1], mask[:, -1:] = 0, 0, 0, 0
    return np.asarray(cv2.blur(mask, (2 * edge + 1, 2 * edge + 1)), np.uint8)


def blend(canvas: Picture, piece: Picture, mask: Picture, matrix: Floats, adapt: float) -> None:
    """Draw `piece` through `matrix` where `mask` covers. `adapt` in [0, 1]: how far it takes on the
    brightness of what it covers."""
    height, width = piece.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    x0, y0 = np.maximum(np.floor(moved.min(0)), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(moved.max(0)) + 1, canvas.shape[::-1]).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    local = matrix.copy()
    local[:, 2] -= (x0, y0)
    drawn, cover = np.zeros((y1 - y0, x1 - x0), np.uint8), np.zeros((y1 - y0, x1 - x0), np.uint8)
    warp(piece, local, drawn)
    warp(mask, local, cover)
    alpha = cover.astype(np.float32) * np.float32(1 / 255)
    total = float(alpha.sum())
    if total < 1.0:
        return
    below = canvas[y0:y1, x0:x1].astype(np.float32)
    difference = drawn.astype(np.float32) - below
    if adapt:
        difference -= float((difference * alpha).sum()) / total * adapt
    canvas[y0:y1, x0:x1] = np.clip(below + difference * alpha, 0, 255).astype(np.uint8)


def paste_face(
    canvas: Picture,
    labels: Labels,
    face: Picture,
    points: Floats,
    box: Floats,
    tight: bool,
    middle: NDArray[Any],
    height: float,
    adapt: float,
    rng: np.random.Generator,
) -> Labels:
    """Paste one face, `box` tall scaled to `height` px and centred at `middle`; the new labels."""
    scale = height / float(box[3] - box[1])
    if scale < 0.6:  # shrink first: everything below then costs as little as the small face
        small = (max(round(face.shape[1] * scale), 6), max(round(face.shape[0] * scale), 6))
        ratio = np.array(small, np.float32) / face.shape[::-1]
        face = np.asarray(cv2.resize(face, small, interpolation=cv2.INTER_AREA), np.uint8)
        points = ((points + 0.5) * ratio - 0.5).astype(np.float32)
        box = ((box.reshape(2, 2) + 0.5) * ratio - 0.5).reshape(4).astype(np.float32)
        scale = height / float(box[3] - box[1])
    turn = rng.uniform(-40, 40) if rng.random() < 0.15 else rng.uniform(-15, 15)
    flip = bool(rng.random() < 0.5)
    matrix = placing(scale, float(np.radians(turn)), (box[:2] + box[2:]) / 2, middle, flip)
    edge_of = np.array(face.shape[::-1], np.float32) - 1
    inside = np.concatenate([np.maximum(box[:2], 0), np.minimum(box[2:], edge_of)])
    rows, columns = canvas.shape
    one = Labels(inside[None].astype(np.float32), five_points(points)[None], np.zeros(1, bool))
    one = clip(move(one, matrix, flip), 0, 0, columns - 1, rows - 1)
    if not len(one.box) or (len(labels.box) and covered(one.box[0], labels.box).max() > 0.5):
        return labels
    edge = max(int(min(face.shape) * 0.04), 1)
    if rng.random() < (0.6 if tight else 0.4):  # the whole cut-out, background included
        mask = cut_out(face.shape, None, edge)
    else:  # the head
        half = (box[2:] - box[:2]) / 2 * rng.uniform(1.08, 1.3)
        centre = (box[:2] + box[2:]) / 2 - np.array([0, 0.08 * (box[3] - box[1])])
        mask = cut_out(face.shape, np.concatenate([centre - half, centre + half]), edge)
    blend(canvas, face, mask, matrix, adapt)
    return join([hide(labels, one.box[0]), one])


def draw_body(
    canvas: Picture, labels: Labels, middle: NDArray[Any], height: float, rng: np.random.Generator
) -> Labels:
    """Neck and shoulders below a face still to come, box `height` px tall about `middle`."""
    rows, columns = canvas.shape
    chin, wide = middle[1] + 0.45 * height, height * rng.uniform(0.85, 1.25)
    grey = float(rng.uniform(10, 235))
    area = np.array(
        [middle[0] - wide, chin, middle[0] + wide, chin + height * rng.uniform(1.2, 3.0)]
    )
    x0, y0 = np.clip(area[:2], 0, [columns, rows]).astype(int)
    x1, y1 = np.clip(area[2:], 0, [columns, rows]).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return labels
    part = canvas[y0:y1, x0:x1]
    mask = np.zeros(part.shape, np.uint8)
    centre = (int(middle[0] - x0), int(chin - y0 + 0.75 * wide))
    cv2.ellipse(mask, centre, (int(wide), int(0.75 * wide)), 0, 180, 360, 255, -1)
    mask[max(centre[1], 0) :] = 255
    neck = int(0.2 * height)
    mask[: max(int(0.3 * height), 1), max(centre[0] - neck, 0) : max(centre[0] + neck, 0)] = 255
    cloth = np.empty(part.shape, np.uint8)
    cv2.randn(cloth, grey, rng.uniform(1, 18))
    cv2.copyTo(cloth, mask, part)
    return hide(labels, np.array([x0, y0, x1, y1], np.float32))


def draw_oval(
    canvas: Picture, labels: Labels, middle: NDArray[Any], height: float, rng: np.random.Generator
) -> Labels:
    """Round distractors: a blank oval like the back of a head, or rings like a wheel."""
    wide, tilt = height * rng.uniform(0.65, 1.05), float(rng.uniform(-40, 40))
    rings = int(rng.integers(2, 6)) if rng.random() < 0.6 else 1
    centre = (round(float(middle[0])), round(float(middle[1])))
    for share in [1.0, *np.sort(rng.uniform(0.1, 0.95, rings - 1))[::-1]]:
        axes = (max(int(wide * share / 2), 1), max(int(height * share / 2), 1))
        grey = float(rng.uniform(5, 250))
        cv2.ellipse(canvas, centre, axes, tilt, 0, 360, grey, -1, cv2.LINE_AA)
    half = np.array([wide, height], np.float32) / 2
    return hide(labels, np.concatenate([middle - half, middle + half]).astype(np.float32))
