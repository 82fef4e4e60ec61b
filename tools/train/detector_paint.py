"""Drawing labelled training pictures for the detector: views, mosaics, pasted faces, the camera."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.faces.align import MEAN_SHAPE, five_points, similarity
from tools.train.detector_labels import (
    Floats,
    Labels,
    Picture,
    clip,
    join,
    move,
    nothing,
    turn_boxes,
    warp,
)
from tools.train.detector_net import HEIGHT, WIDTH
from tools.train.packs import decode, load

BOX_TOP = -0.76
"""Upper edge of human-drawn boxes, mean-shape units: median over boxes of upright unmasked faces in
the scenes pack, aligned by their five keypoints."""
CHIN = 0.04
"""How far such boxes reach below the lowest landmark, in outer eye-corner distances."""


class Painter:
    """Draws labelled training pictures at random from the packs' training split."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        s, n = load("scenes.npz"), load("negatives.npz")
        self._faces, self._points = load("faces.npz"), load("faces_labels.npz")
        self._scene_blob, self._scene_off = s["jpeg"], s["off"]
        train = np.flatnonzero(s["split"] == 0)
        order = np.argsort(s["box_img"], kind="stable")
        bounds = np.searchsorted(s["box_img"][order], np.arange(len(s["split"]) + 1))
        self._scene: dict[int, Labels] = {}
        self._decoded: dict[int, Picture] = {}
        weights = []
        for i in train:
            rows = order[bounds[i] : bounds[i + 1]]
            self._scene[int(i)] = Labels(
                s["box"][rows].astype(np.float32),
                s["kps"][rows].astype(np.float32),
                s["ignore"][rows] == 1,
            )
            active = int((s["ignore"][rows] == 0).sum())
            weights.append(
                0.5 if s["source"][i] == "mask_portraits" else 1.0 + 0.1 * min(active, 20)
            )
        self._scene_ids = train
        self._scene_p = np.array(weights) / np.sum(weights)
        self._negative = (n["jpeg"], n["off"], np.flatnonzero(n["split"] == 0))
        labels = self._points
        names = list(labels["source_names"])
        share = {"utkface": 1.0, "ytf": 2.0, "sfhq_synthetic": 2.5, "mask_portraits": 2.5}
        p = np.array([share.get(names[k], 0.0) for k in labels["source"]])
        p[labels["split"] != 0] = 0.0
        self._face_p = np.cumsum(p / p.sum())
        self._tight = np.array([names[k] == "utkface" for k in labels["source"]])

    def __call__(self) -> tuple[Picture, Labels]:
        """One picture uint8[256, 320] and its faces."""
        u = self.rng.random()
        if u < 0.42:
            picture, labels = self._scene_view(WIDTH, HEIGHT)
        elif u < 0.64:
            picture, labels = self._mosaic()
        elif u < 0.92:
            picture, labels = self._pasted()
        else:
            picture, labels = self._negative_view(WIDTH, HEIGHT), nothing()
        return self._degrade(picture), labels

    # --- views -----------------------------------------------------------------------------------

    def _matrix(
        self, scale: float, angle: float, source: NDArray[Any], target: NDArray[Any], flip: bool
    ) -> Floats:
        """Scale and turn about `source`, which lands on `target`; `flip` mirrors left and right."""
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[c, -s], [s, c]], np.float32)
        if flip:
            linear[:, 0] *= -1
        return np.concatenate([linear, (target - linear @ source)[:, None]], 1).astype(np.float32)

    def _angle(self) -> float:
        rng = self.rng
        return float(np.radians(rng.uniform(-20, 20))) if rng.random() < 0.4 else 0.0

    def _scene_view(self, width: int, height: int) -> tuple[Picture, Labels]:
        rng = self.rng
        i = int(rng.choice(self._scene_ids, p=self._scene_p))
        if i not in self._decoded:  # 450 MB in all, and a third of the time saved
            self._decoded[i] = decode(self._scene_blob, self._scene_off, i)
        picture, labels = self._decoded[i], self._scene[i]
        h, w = picture.shape
        fit = min(width / w, height / h)
        size = np.array([w, h], np.float32)
        centre = np.array([width, height], np.float32) / 2
        active = np.flatnonzero(~labels.ignore)
        flip, angle = rng.random() < 0.5, self._angle()
        if len(active) and rng.random() < 0.55:  # one face at a chosen size and place
            box = labels.box[rng.choice(active)]
            side = float(np.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 1.0)))
            wanted = np.exp(rng.uniform(np.log(13), np.log(0.62 * height)))
            scale = float(np.clip(wanted / side, 0.35 * fit, 4.0 * fit))
            source = (box[:2] + box[2:]) / 2
            reach = np.minimum(centre * 0.9, centre - wanted * 0.35)
            target = centre + rng.uniform(-1, 1, 2) * np.maximum(reach, 4)
        elif rng.random() < 0.35:  # as at run time
            scale, angle, source = fit, 0.0, (size - 1) / 2
            target = (size * fit - 1) / 2
        else:
            scale = fit * float(np.exp(rng.uniform(np.log(0.6), np.log(1.8))))
            source = size * rng.uniform(0.3, 0.7, 2)
            target = centre * rng.uniform(0.7, 1.3, 2)
        matrix = self._matrix(scale, angle, source, target, flip)
        out = np.zeros((height, width), np.uint8)
        warp(picture, matrix, out)
        return out, clip(move(labels, matrix, flip), 0, 0, width - 1, height - 1)

    def _mosaic(self) -> tuple[Picture, Labels]:
        rng = self.rng
        out = np.zeros((HEIGHT, WIDTH), np.uint8)
        x, y = int(WIDTH * rng.uniform(0.3, 0.7)), int(HEIGHT * rng.uniform(0.3, 0.7))
        parts = []
        for x0, y0, x1, y1 in (
            (0, 0, x, y),
            (x, 0, WIDTH, y),
            (0, y, x, HEIGHT),
            (x, y, WIDTH, HEIGHT),
        ):
            tile, labels = self._scene_view(x1 - x0, y1 - y0)
            out[y0:y1, x0:x1] = tile
            shift = np.array([x0, y0], np.float32)
            parts.append(Labels(labels.box + np.tile(shift, 2), labels.five + shift, labels.ignore))
        return out, join(parts)

    def _negative_view(self, width: int, height: int) -> Picture:
        rng = self.rng
        blob, off, ids = self._negative
        picture = decode(blob, off, int(rng.choice(ids)))
        h, w = picture.shape
        scale = max(width / w, height / h) * float(np.exp(rng.uniform(-0.5, 0.7)))
        source = np.array([w, h]) * rng.uniform(0.3, 0.7, 2)
        target = np.array([width, height]) * 0.5
        matrix = self._matrix(scale, self._angle(), source, target, rng.random() < 0.5)
        out = np.zeros((height, width), np.uint8)
        warp(picture, matrix, out)
        return out

    # --- pasted faces ----------------------------------------------------------------------------

    def _pasted(self) -> tuple[Picture, Labels]:
        rng = self.rng
        if rng.random() < 0.5:
            out, labels = self._negative_view(WIDTH, HEIGHT), nothing()
        else:
            out, labels = self._scene_view(WIDTH, HEIGHT)
        canvas = out.astype(np.float32)
        for _ in range(int(rng.integers(0, 3))):  # things pasted the same way that are no faces
            self._paste_thing(canvas, labels.box)
        if rng.random() < 0.3:
            wanted = [float(rng.uniform(90, 235))]
        else:
            wanted = [
                float(np.exp(rng.uniform(np.log(13), np.log(120))))
                for _ in range(rng.integers(1, 7))
            ]
        for side in sorted(wanted, reverse=True):
            labels = self._paste_face(canvas, labels, side)
        return np.clip(canvas, 0, 255).astype(np.uint8), labels

    def _paste_face(self, canvas: Floats, labels: Labels, height: float) -> Labels:
        rng = self.rng
        i = int(np.searchsorted(self._face_p, rng.random()))
        face = decode(self._faces["jpeg"], self._faces["off"], i)
        points = self._points["lm68"][i].astype(np.float32)
        unit = 1.0 / max(float(np.hypot(*similarity(points, MEAN_SHAPE)[0, :2])), 1e-6)  # IOD, px
        eyes = (points[36] + points[45]) / 2
        brow, chin = points[17:27, 1].min(), points[:, 1].max()
        mean_brow = float(MEAN_SHAPE[17:27, 1].min())
        box = np.array(
            [
                points[:, 0].min(),
                min(brow + (BOX_TOP - mean_brow) * unit, eyes[1] - 0.5 * unit),
                points[:, 0].max(),
                chin + CHIN * unit,
            ],
            np.float32,
        )
        scale = height / float(box[3] - box[1])
        angle = float(np.radians(rng.uniform(-20, 20)))
        flip = rng.random() < 0.5
        source = (box[:2] + box[2:]) / 2
        margin = np.minimum(np.array([0.4, 0.45]) * height, np.array([WIDTH, HEIGHT]) * 0.5 - 1)
        target = rng.uniform(margin, np.array([WIDTH, HEIGHT]) - margin)
        matrix = self._matrix(scale, angle, source, target, flip)
        whole = np.array([[0, 0, face.shape[1] - 1, face.shape[0] - 1]], np.float32)
        one = Labels(
            np.concatenate([np.maximum(box[:2], whole[0, :2]), np.minimum(box[2:], whole[0, 2:])])[
                None
            ],
            five_points(points)[None],
            np.zeros(1, bool),
        )
        one = clip(move(one, matrix, flip), 0, 0, WIDTH - 1, HEIGHT - 1)
        if not len(one.box) or _covered(one.box[0], labels.box) > 0.15:
            return labels
        mask = np.zeros(face.shape, np.uint8)
        edge = max(int(min(face.shape) * 0.04), 1)
        if rng.random() < (
            0.6 if self._tight[i] else 0.4
        ):  # the whole cut-out, background included
            mask[edge:-edge, edge:-edge] = 255
        else:  # the head
            middle = (int(source[0]), int(source[1] - 0.08 * (box[3] - box[1])))
            grow = rng.uniform(1.08, 1.3)
            axes = (int((box[2] - box[0]) / 2 * grow), int((box[3] - box[1]) / 2 * grow))
            cv2.ellipse(mask, middle, axes, 0, 0, 360, 255, -1)
            mask[:1], mask[-1:], mask[:, :1], mask[:, -1:] = 0, 0, 0, 0
        mask = np.asarray(cv2.blur(mask, (2 * edge + 1, 2 * edge + 1)), np.uint8)
        self._blend(canvas, face, mask, matrix)
        return join([labels, one])

    def _paste_thing(self, canvas: Floats, taken: Floats) -> None:
        rng = self.rng
        side = int(np.exp(rng.uniform(np.log(16), np.log(160))))
        thing = self._negative_view(side, int(side * rng.uniform(1.0, 1.4)))
        mask = np.zeros(thing.shape, np.uint8)
        h, w = thing.shape
        edge = max(side // 25, 1)
        if rng.random() < 0.5:
            mask[edge:-edge, edge:-edge] = 255
        else:
            cv2.ellipse(mask, (w // 2, h // 2), (w // 2 - edge, h // 2 - edge), 0, 0, 360, 255, -1)
        mask = np.asarray(cv2.blur(mask, (2 * edge + 1, 2 * edge + 1)), np.uint8)
        target = rng.uniform([0, 0], [WIDTH, HEIGHT])
        matrix = self._matrix(1.0, self._angle(), np.array([w / 2, h / 2]), target, False)
        box = turn_boxes(np.array([[0, 0, w, h]], np.float32), matrix)[0]
        if _covered(box, taken) == 0.0:
            self._blend(canvas, thing, mask, matrix)

    def _blend(self, canvas: Floats, piece: Picture, mask: Picture, matrix: Floats) -> None:
        """Soft-edged; half the pieces take on the brightness of what they cover."""
        drawn, cover = np.zeros(canvas.shape, np.uint8), np.zeros(canvas.shape, np.uint8)
        warp(piece, matrix, drawn)
        warp(mask, matrix, cover)
        alpha = cover.astype(np.float32) / 255.0
        total = float(alpha.sum())
        if total < 1.0:
            return
        new = drawn.astype(np.float32)
        if self.rng.random() < 0.5:
            new += float(((canvas - new) * alpha).sum()) / total * self.rng.uniform(0.3, 1.0)
        canvas += (new - canvas) * alpha

    # --- the camera ------------------------------------------------------------------------------

    def _degrade(self, picture: Picture) -> Picture:
        """Exposure, gamma, blur, lost resolution, noise and JPEG, each now and then."""
        rng = self.rng
        if rng.random() < 0.7:
            x = np.arange(256, dtype=np.float32) / 255.0
            x = x ** float(np.exp(rng.normal(0, 0.3)))
            x = (x - 0.5) * float(np.exp(rng.normal(0, 0.25))) + 0.5 + float(rng.normal(0, 0.1))
            picture = np.asarray(cv2.LUT(picture, np.clip(x * 255, 0, 255).astype(np.uint8)))
        u = rng.random()
        if u < 0.12:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4)))
        elif u < 0.17:
            length = int(rng.integers(3, 7))
            kernel = np.zeros((length, length), np.float32)
            kernel[length // 2] = 1.0 / length
            picture = np.asarray(
                cv2.filter2D(picture, -1, kernel if rng.random() < 0.5 else kernel.T)
            )
        elif u < 0.24:
            f = rng.uniform(0.4, 0.8)
            small = cv2.resize(picture, None, fx=f, fy=f, interpolation=cv2.INTER_AREA)
            picture = np.asarray(cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR))
        if rng.random() < 0.25:
            noise = np.empty((HEIGHT, WIDTH), np.int16)
            cv2.randn(noise, 0, rng.uniform(1.5, 12))
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        if rng.random() < 0.2:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))]
            ok, data = cv2.imencode(".jpg", picture, quality)
            if ok:
                picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
        return picture.astype(np.uint8)


def _covered(box: Floats, others: Floats) -> float:
    """Largest share of one of `others` that `box` covers."""
    if not len(others):
        return 0.0
    low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:], box[2:])
    shared = np.maximum(high - low, 0).prod(1)
    return float((shared / np.maximum((others[:, 2:] - others[:, :2]).prod(1), 1e-3)).max())
