"""Synthesis of the detector's training pictures: views, mosaics, groups, pasted faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.train.detector import sources as detector_sources
from tools.train.detector.camera import degrade
from tools.train.detector.labels import (
    HEIGHT,
    WIDTH,
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
from tools.train.detector.paste import (
    blend,
    covered,
    cut_out,
    draw_body,
    draw_oval,
    face_box,
    paste_face,
    placing,
)
from tools.train.detector.sources import Sources

Rng = np.random.Generator
SMALL, LARGE = 8.0, 160.0
"""Heights of chosen faces, input pixels; single pasted faces are up to 235 tall."""
CROWD = 18
"""People in a drawn group at most, about."""
ECHOES = 512
"""Pictures remembered for another look."""


class Painter:
    """Draws labelled training pictures at random from `sources` (by default, the packs)."""

    def __init__(self, seed: int, sources: Sources | None = None) -> None:
        self.rng: Rng = np.random.default_rng(seed)
        cv2.setRNGSeed(seed % 2**31)  # for the noise
        self.sources = sources or detector_sources.packs()
        self._scene_p = _cumulated(self.sources.scene_weights)
        self._face_p = _cumulated(self.sources.face_weights)
        self._background_p = _cumulated(self.sources.background_weights)
        self._face_box: dict[int, Floats] = {}
        self._drawn: list[tuple[Picture, Labels]] = []

    def __call__(self) -> tuple[Picture, Labels]:
        """One picture uint8[256, 320] and its faces.

        One in four shows what an earlier one showed, mirrored and moved, through another camera
        (Choi et al. 2019, "data echoing", arXiv:1907.05550).
        """
        rng = self.rng
        if len(self._drawn) == ECHOES and rng.random() < 0.25:
            picture, labels = self._moved(*self._drawn[rng.integers(ECHOES)])
        else:
            picture, labels = self._draw()
            if len(self._drawn) < ECHOES:
                self._drawn.append((picture, labels))
            else:
                self._drawn[rng.integers(ECHOES)] = picture, labels
        return degrade(picture, rng), labels

    def _draw(self) -> tuple[Picture, Labels]:
        u = self.rng.random()
        if u < 0.32:
            return self._scene_view(WIDTH, HEIGHT)
        if u < 0.62:
            return self._mosaic()
        if u < 0.72:
            return self._group()
        if u < 0.84:
            return self._pasted()
        return self._negative_view(WIDTH, HEIGHT), nothing()

    def _moved(self, picture: Picture, labels: Labels) -> tuple[Picture, Labels]:
        """Mirrored now and then, shifted by up to an eighth of a side."""
        rng = self.rng
        size = np.array([WIDTH, HEIGHT])
        middle, flip = (size - 1) / 2, bool(rng.random() < 0.5)
        target = middle + rng.integers(-size // 8, size // 8 + 1)
        matrix = placing(1.0, 0.0, middle, target, flip)
        return _seen(picture, labels, matrix, flip, (WIDTH, HEIGHT))

    # --- views -----------------------------------------------------------------------------------

    def _angle(self) -> float:
        u = self.rng.random()
        limit = 40.0 if u < 0.06 else 15.0 if u < 0.35 else 0.0
        return float(np.radians(self.rng.uniform(-limit, limit)))

    def _scene(self) -> tuple[Picture, Labels] | None:
        if not len(self.sources.scenes):
            return None
        i = int(np.searchsorted(self._scene_p, self.rng.random()))
        return self.sources.scenes[i], self.sources.scene_labels[i]

    def _scene_view(self, width: int, height: int) -> tuple[Picture, Labels]:
        """Part of a scene; a background where there are no scenes."""
        rng = self.rng
        if (scene := self._scene()) is None:
            return self._negative_view(width, height), nothing()
        picture, labels = scene
        h, w = picture.shape
        fit = min(width / w, height / h)
        size = np.array([w, h], np.float32)
        centre = np.array([width, height], np.float32) / 2
        active = np.flatnonzero(~labels.ignore)
        flip, angle, u = bool(rng.random() < 0.5), self._angle(), rng.random()
        if len(active) and u < 0.4:  # one face at a chosen size and place
            box = labels.box[rng.choice(active)]
            side = float(np.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 1.0)))
            wanted = np.exp(rng.uniform(np.log(SMALL), np.log(0.62 * height)))
            scale = float(np.clip(wanted / side, 0.35 * fit, 4.0 * fit))
            source = (box[:2] + box[2:]) / 2
            reach = np.minimum(centre * 0.9, centre - wanted * 0.35)
            target = centre + rng.uniform(-1, 1, 2) * np.maximum(reach, 4)
        elif u < 0.65:  # as at run time
            scale, source = fit * float(rng.uniform(0.85, 1.05)), (size - 1) / 2
            angle, target = angle * 0.2, (size * scale - 1) / 2
        else:  # as in a tile, or from further away
            scale = fit * float(np.exp(rng.uniform(np.log(0.7), np.log(2.0))))
            source = size * rng.uniform(0.3, 0.7, 2)
            target = centre * rng.uniform(0.7, 1.3, 2)
        matrix = placing(scale, angle, source, target, flip)
        return _seen(picture, labels, matrix, flip, (width, height))

    def _mosaic(self) -> tuple[Picture, Labels]:
        """Four close-ups of where the faces are: as much to learn from as in four pictures."""
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
            tile, labels = self._close_up(x1 - x0, y1 - y0)
            out[y0:y1, x0:x1] = tile
            shift = np.array([x0, y0], np.float32)
            box, five = labels.box + np.tile(shift, 2), labels.five + shift
            parts.append(Labels(box, five, labels.ignore, labels.confidence))
        return out, join(parts)

    def _close_up(self, width: int, height: int) -> tuple[Picture, Labels]:
        """Part of a scene around one of its faces, at about the scale of run time."""
        rng = self.rng
        if (scene := self._scene()) is None:
            return self._negative_view(width, height), nothing()
        picture, labels = scene
        h, w = picture.shape
        fit = min(WIDTH / w, HEIGHT / h)
        active = labels.box[~labels.ignore]
        scale = fit * float(np.exp(rng.uniform(np.log(0.75), np.log(1.8))))
        if len(active):
            box = active[rng.integers(len(active))]
            source = (box[:2] + box[2:]) / 2
            scale = min(scale, 0.7 * height / float(box[3] - box[1]))
        else:
            source = np.array([w, h]) * rng.uniform(0.2, 0.8, 2)
        flip = bool(rng.random() < 0.5)
        target = np.array([width, height]) * rng.uniform(0.25, 0.75, 2)
        matrix = placing(scale, self._angle(), source, target, flip)
        return _seen(picture, labels, matrix, flip, (width, height))

    def _negative_view(self, width: int, height: int) -> Picture:
        """Part of a picture without faces, filled to the edges."""
        rng = self.rng
        picture: Picture = self.sources.backgrounds[self._background()]
        h, w = picture.shape
        scale = max(width / w, height / h) * float(np.exp(rng.uniform(-0.5, 0.7)))
        source = np.array([w, h]) * rng.uniform(0.3, 0.7, 2)
        target = np.array([width, height]) * 0.5
        out = np.zeros((height, width), np.uint8)
        warp(picture, placing(scale, self._angle(), source, target, rng.random() < 0.5), out)
        return out

    def _background(self) -> int:
        if not len(self._background_p):
            return int(self.rng.integers(len(self.sources.backgrounds)))
        return int(np.searchsorted(self._background_p, self.rng.random()))

    # --- pasted ----------------------------------------------------------------------------------

    def _ground(self, negatives: float) -> tuple[Picture, Labels]:
        if self.rng.random() < negatives:
            return self._negative_view(WIDTH, HEIGHT), nothing()
        return self._scene_view(WIDTH, HEIGHT)

    def _group(self) -> tuple[Picture, Labels]:
        """Rows of people before a background, the nearest row lowest and last."""
        rng = self.rng
        canvas, labels = self._ground(0.7)
        rows = int(rng.integers(1, 5))
        height = float(np.exp(rng.uniform(np.log(SMALL), np.log(110 / rows**0.7))))
        spread, adapt = rng.uniform(1.1, 2.4), rng.uniform(0.0, 0.7)
        lift = rng.uniform(1.15, 2.0)
        low = rng.uniform(0.35, 0.95) * HEIGHT
        for row in range(rows):
            y = low - (rows - 1 - row) * lift * height
            x = rng.uniform(-0.5, 1.0) * height + (row % 2) * 0.5 * spread * height
            right = min(WIDTH * rng.uniform(0.6, 1.05), x + CROWD / rows * spread * height)
            while x < right:
                if rng.random() < 0.9:
                    tall = height * float(np.exp(rng.normal(0, 0.1)))
                    middle = np.array([x, y + rng.normal(0, 0.12) * height])
                    if rng.random() < 0.8:
                        labels = draw_body(canvas, labels, middle, tall, rng)
                    if rng.random() < 0.88:
                        labels = self._face(canvas, labels, middle, tall, adapt)
                    else:  # turned away
                        labels = draw_oval(canvas, labels, middle, tall, rng)
                x += spread * height * float(np.exp(rng.normal(0, 0.15)))
        return canvas, labels

    def _pasted(self) -> tuple[Picture, Labels]:
        """Single faces anywhere, and things pasted the same way that are none."""
        rng = self.rng
        canvas, labels = self._ground(0.5)
        for _ in range(int(rng.integers(0, 4))):
            self._thing(canvas, labels)
        for _ in range(int(rng.integers(0, 4))):
            middle = rng.uniform([0, 0], [WIDTH, HEIGHT])
            tall = float(np.exp(rng.uniform(np.log(SMALL), np.log(LARGE))))
            labels = draw_oval(canvas, labels, middle, tall, rng)
        if rng.random() < 0.3:
            wanted = [float(rng.uniform(90, 235))]
        else:
            wanted = [
                float(np.exp(rng.uniform(np.log(SMALL), np.log(LARGE))))
                for _ in range(rng.integers(1, 7))
            ]
        size = np.array([WIDTH, HEIGHT])
        for height in sorted(wanted, reverse=True):
            margin = np.minimum(np.array([0.4, 0.45]) * height, size * 0.5 - 1)
            middle = rng.uniform(margin, size - margin)
            adapt = float(rng.uniform(0.3, 1.0)) if rng.random() < 0.5 else 0.0
            labels = self._face(canvas, labels, middle, height, adapt)
        return canvas, labels

    def _face(
        self, canvas: Picture, labels: Labels, middle: NDArray[Any], height: float, adapt: float
    ) -> Labels:
        s = self.sources
        if not len(s.faces):
            return labels
        i = int(np.searchsorted(self._face_p, self.rng.random()))
        if i not in self._face_box:
            self._face_box[i] = face_box(s.face_points[i])
        return paste_face(
            canvas,
            labels,
            s.faces[i],
            s.face_points[i],
            self._face_box[i],
            bool(s.face_tight[i]),
            middle,
            height,
            adapt,
            self.rng,
        )

    def _thing(self, canvas: Picture, labels: Labels) -> None:
        rng = self.rng
        side = int(np.exp(rng.uniform(np.log(12), np.log(140))))
        piece = self._negative_view(side, int(side * rng.uniform(1.0, 1.4)))
        h, w = piece.shape
        edge = max(side // 25, 1)
        whole = np.array([edge, edge, w - edge, h - edge], np.float32)
        mask = cut_out(piece.shape, None if rng.random() < 0.5 else whole, edge)
        target = rng.uniform([0, 0], [WIDTH, HEIGHT])
        matrix = placing(1.0, self._angle(), np.array([w / 2, h / 2]), target, False)
        box = turn_boxes(np.array([[0, 0, w, h]], np.float32), matrix)[0]
        if not len(labels.box) or covered(box, labels.box).max() == 0.0:
            blend(canvas, piece, mask, matrix, float(rng.uniform(0.0, 0.8)))


def _seen(
    picture: Picture, labels: Labels, matrix: Floats, flip: bool, size: tuple[int, int]
) -> tuple[Picture, Labels]:
    """A picture and its labels through a matrix, in a frame of (width, height)."""
    width, height = size
    out = np.zeros((height, width), np.uint8)
    warp(picture, matrix, out)
    return out, clip(move(labels, matrix, flip), 0, 0, width - 1, height - 1)


def _cumulated(weights: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
    """Cumulative probabilities for `searchsorted`; empty for no weights."""
    total = np.cumsum(np.asarray(weights, np.float64))
    return total / total[-1] if len(total) else total
