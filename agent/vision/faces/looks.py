"""Several looks at one still picture: whole, from further away, in tiles, and mirrored.

A face shows in most of the views that can show it; a false alarm as a rule in one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agent.base.types import Float, Grey
from agent.kernels.fuse_boxes import fuse_boxes
from agent.kernels.nms import nms
from agent.vision.faces.detect import INPUT, FaceDetector, Rectangle, tiles_of, uncut

MARGIN = 1 / 3
"""Of the view from further away, for faces that fill the picture: border on each side, share of the
picture's longer side."""
USUAL_TILES, MOST_TILES = 3, 4
"""Tiles per side: always, and while they show fewer input pixels per picture pixel than
`FINE_ENOUGH`."""
FINE_ENOUGH = 1.2
_LEAST_TILE = 48
"""Pixels of a tile's longer side; smaller ones hold no face worth enlarging."""
LARGEST = 1200
"""Pixels of the longer side; larger pictures are shrunk first: the smallest tiles see no more."""
LOWEST = 0.05
"""Score from which a box of one view takes part."""
_SAME_VIEW = 0.5
"""IoU above which two boxes of one view are one face."""
_SAME_FACE = 0.5
"""IoU above which boxes of two views are one face."""
_LEAST_SIDE, _MOST_SIDE = 6.0, 220.0
"""Faces that a view is expected to show, input pixels."""
_SMALLEST = 3.0
"""Short side of a face, picture pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What one call of the network sees."""

    rectangle: Rectangle
    """May reach beyond the picture, which is continued by its edge."""
    mirrored: bool

    def scale(self) -> float:
        """Input pixels per picture pixel."""
        x0, y0, x1, y1 = self.rectangle
        return min(INPUT[0] / (x1 - x0), INPUT[1] / (y1 - y0))


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Places that may be faces, fused over the views, strongest first; N may be 0."""

    boxes: Float
    """float32[N, 4], xyxy, picture pixels, clipped to the picture."""
    keypoints: Float
    """float32[N, 5, 2], picture pixels, in the order of `Detections`."""
    best: Float
    """float32[N], logit of the view that is surest."""
    mean: Float
    """float32[N], mean logit of the views that could show it."""


def views_of(shape: tuple[int, ...], most: int | None = None) -> list[View]:
    """All views of a picture of this (height, width), with at most `most` x `most` tiles; None: as
    many as its size calls for."""
    height, width = shape
    border = round(MARGIN * max(height, width))
    rectangles = [(-border, -border, width + border, height + border)]
    rectangles.append((0, 0, width, height))
    for count in range(2, (MOST_TILES if most is None else most) + 1):
        tiles = tiles_of(shape, count)
        fine = View(rectangles[-1], False).scale() >= FINE_ENOUGH and count > USUAL_TILES
        x0, y0, x1, y1 = tiles[0]
        if max(x1 - x0, y1 - y0) < _LEAST_TILE or (fine and most is None):
            break
        rectangles += tiles
    both = 1 + sum(count * count for count in range(1, USUAL_TILES + 1))
    views = [View(each, mirrored) for each in rectangles[:both] for mirrored in (False, True)]
    return views + [View(each, False) for each in rectangles[both:]]


def shrunk(luma: Grey) -> tuple[Grey, Float]:
    """A large picture with `LARGEST` pixels on its longer side, and its pixels per pixel of that,
    float32[2] (x, y). First by halves, which is several times as fast."""
    factor = 1
    while max(luma.shape) >= 2 * LARGEST and min(luma.shape) >= 2:
        height, width = (side // 2 for side in luma.shape)
        even = luma[: 2 * height, : 2 * width]
        luma = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        factor *= 2
    ratio = min(LARGEST / max(luma.shape), 1.0)
    size = [max(round(side * ratio), 1) for side in luma.shape[::-1]]
    small = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)
    back = np.array([luma.shape[1] / size[0], luma.shape[0] / size[1]], np.float32)
    return small, back * np.float32(factor)


class Looks:
    """Runs a detector on every view of a still picture and fuses the answers.

    Parameters
    ----------
    detector
        Its threshold is the lowest score of one view that takes part.
    lowest : float
        That threshold.
    most : int | None
        Most tiles per side; None: chosen by the picture's size.
    """

    def __init__(
        self, detector: FaceDetector, lowest: float = LOWEST, most: int | None = None
    ) -> None:
        self._detector = detector
        self._most = most
        self._missed = float(np.log(lowest / (1 - lowest)))

    def __call__(self, luma: Grey) -> Candidates:
        """Candidates of a picture uint8[H, W]."""
        if max(luma.shape) <= LARGEST or not luma.size:
            return self._fused(luma)
        small, back = shrunk(luma)
        found = self._fused(small)
        # scaling keeps pixel edges, not pixel centres, in place
        half = np.float32(0.5)
        boxes = (found.boxes + half) * np.tile(back, 2) - half
        keypoints = (found.keypoints + half) * back - half
        return Candidates(boxes, keypoints, found.best, found.mean)

    def _fused(self, luma: Grey) -> Candidates:
        views = views_of(luma.shape, self._most) if luma.size else []
        parts = [self._view(luma, view) for view in views]
        count = sum(len(scores) for _, scores, _ in parts)
        boxes = np.empty((count, 4), np.float32)
        keypoints = np.empty((count, 5, 2), np.float32)
        answers = np.empty((count, len(views)), np.float32)
        if not count:
            nothing = np.zeros(0, np.float32)
            return Candidates(boxes, keypoints, nothing, nothing)
        scores = np.concatenate([part[1] for part in parts])
        height, width = luma.shape
        groups = fuse_boxes(
            np.concatenate([part[0] for part in parts]),
            np.log(scores / (1 - scores)),
            np.concatenate([part[2] for part in parts]),
            np.repeat(np.arange(len(parts)), [len(part[1]) for part in parts]),
            np.array([(*view.rectangle, view.scale()) for view in views], np.float32),
            float(width),
            float(height),
            _SAME_FACE,
            self._missed,
            _LEAST_SIDE,
            _MOST_SIDE,
            boxes,
            keypoints,
            answers,
        )
        boxes, answers = boxes[:groups], answers[:groups]
        np.clip(boxes, 0, np.array([width, height, width, height], np.float32) - 1, out=boxes)
        large = (boxes[:, 2:] - boxes[:, :2]).min(1) >= _SMALLEST
        answers = answers[large]
        return Candidates(
            boxes[large], keypoints[:groups][large], np.nanmax(answers, 1), np.nanmean(answers, 1)
        )

    def _view(self, luma: Grey, view: View) -> tuple[Float, Float, Float]:
        """What one view shows, picture pixels, without boxes cut by an edge in the picture."""
        x0, y0, x1, y1 = view.rectangle
        part = luma[max(y0, 0) : y1, max(x0, 0) : x1]
        if x0 < 0:
            part = self._from_afar(luma, view)
        boxes, scores, keypoints = self._detector.candidates(part, view.mirrored)
        if x0 < 0:
            grown = np.array([(x1 - x0) / part.shape[1], (y1 - y0) / part.shape[0]], np.float32)
            boxes = (boxes + np.float32(0.5)) * np.tile(grown, 2) - np.float32(0.5)
            keypoints = (keypoints + np.float32(0.5)) * grown - np.float32(0.5)
        shift = np.array([x0, y0], np.float32)
        boxes, keypoints = boxes + np.tile(shift, 2), keypoints + shift
        whole = uncut(boxes, view.rectangle, luma.shape)
        boxes, scores, keypoints = boxes[whole], scores[whole], keypoints[whole]
        kept = nms(boxes, scores, _SAME_VIEW)
        return boxes[kept], scores[kept], keypoints[kept]

    @staticmethod
    def _from_afar(luma: Grey, view: View) -> Grey:
        """The picture continued by its edge, at the size that the network takes."""
        scale = min(view.scale(), 1.0)
        height, width = luma.shape
        size = [max(round(side * scale), 1) for side in (width, height)]
        small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if scale < 1 else luma
        border = round(-view.rectangle[0] * scale)
        wide = cv2.copyMakeBorder(small, border, border, border, border, cv2.BORDER_REPLICATE)
        return np.asarray(wide, np.uint8)
