"""Looks at a film: the whole frame each time, tiles in turn for faces far away, and now and then
the frame turned for tilted heads."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agent.base.types import Detections, Float, Frame, Grey
from agent.kernels.nms import nms, pairwise_iou
from agent.vision.faces.detect import INPUT, FaceDetector, Rectangle, tiles_of

_COARSE = 1.25
"""Frame pixels per input pixel up to which the whole frame shows all."""
_TILES_PER_DOWNSCALE = 0.7
"""Tiles per side for each frame pixel per input pixel: a tile sees at some 0.6 of the frame's
resolution."""
_MOST_TILES = 4
"""Per side, unless more are asked for."""
_LOOKS = 3
"""In which all tiles have had their turn, where there are many; few come one every other look."""
_SLOW = 0.3
"""Seconds between looks from which few tiles come half as often: somebody is in view then."""
_SAME = 0.4
"""IoU above which two boxes are one face."""
_NOTHING = (
    np.empty((0, 4), np.float32),
    np.empty(0, np.float32),
    np.empty((0, 5, 2), np.float32),
)
"""Boxes, scores, keypoints."""
TILT = 45.0
"""Degrees by which the frame is turned, to one side and the other: the detector finds heads that
are tilted by up to some 45."""
_TURN_EVERY = 10
"""Looks between two turned ones, twice as many while somebody is in view; each takes a tile's
turn."""


class RoamingDetector:
    """Faces of the next frame of one film.

    Parameters
    ----------
    detector
        Looks at the whole frame and at tiles; its threshold is that of what is returned.
    tiles : int | None
        0 or 1: the whole frame only. n >= 2: also n x n tiles, in turn. None: chosen by the frame's
        size.
    """

    def __init__(self, detector: FaceDetector, tiles: int | None = None) -> None:
        self._detector = detector
        self._tiles = tiles
        self._shape: tuple[int, ...] = ()
        self._turn: list[Rectangle] = []
        """Tiles, the one that has waited longest first."""
        self._debt = 0.0
        """Tiles that are due."""
        self._per_look = 0.0
        self._last = math.inf
        self._tilt = TILT
        """Of the next turned look."""
        self._tilted: Float = np.empty((0, 4), np.float32)
        """What the latest one found, boxes."""
        self._untilted = 0
        """Looks since."""

    def aim(self, places: Sequence[Float]) -> None:
        """Let the tiles that show these boxes float32[4] best have the next turn, or the turned
        frame where it has shown them."""
        for place in places:
            if len(self._tilted) and pairwise_iou(place[None], self._tilted).max() > _SAME:
                self._tilt, self._untilted = -self._tilt, 2 * _TURN_EVERY
                self._tilted = self._tilted[:0]
                continue
            if self._turn:
                x, y = (place[:2] + place[2:]) / 2
                best = min(
                    self._turn, key=lambda t: math.hypot(t[0] + t[2] - 2 * x, t[1] + t[3] - 2 * y)
                )
                self._turn.remove(best)
                self._turn.insert(0, best)
                self._debt = max(self._debt, 1.0)

    def __call__(self, frame: Frame) -> Detections:
        """Faces by falling score, boxes clipped, frame pixels."""
        luma = frame.luma
        if luma.shape != self._shape:
            self._start(luma.shape)
        if not luma.size:
            return Detections(*_NOTHING)
        parts: list[tuple[Float, Float, Float]] = [self._detector.candidates(luma)]
        slow = frame.time - self._last > _SLOW
        self._debt += self._per_look * (0.5 if slow and self._per_look < 1.0 else 1.0)
        self._last = frame.time
        self._untilted += 1
        if self._untilted >= (2 if slow else 1) * _TURN_EVERY:
            parts.append(self._turned(luma))
        while self._debt >= 1.0:
            self._debt -= 1.0
            tile = self._turn.pop(0)
            self._turn.append(tile)
            parts.append(self._detector.tile_candidates(luma, tile))
        boxes, scores, keypoints = (
            parts[0]
            if len(parts) == 1
            else (np.concatenate(column) for column in zip(*parts, strict=True))
        )
        kept = nms(boxes, scores, _SAME)
        boxes = boxes[kept]
        height, width = luma.shape
        np.clip(boxes, 0, np.array([width, height, width, height], np.float32) - 1, out=boxes)
        return Detections(boxes, scores[kept], keypoints[kept])

    def _turned(self, luma: Grey) -> tuple[Float, Float, Float]:
        """A look at the turned frame."""
        found = self._detector.turned_candidates(luma, self._tilt)
        self._tilt, self._tilted, self._untilted = -self._tilt, found[0], 0
        self._debt -= 1.0 if self._turn else 0.0
        return found

    def _start(self, shape: tuple[int, ...]) -> None:
        """Plan the tiles of frames of this (height, width)."""
        self._shape = shape
        self._tilted = self._tilted[:0]
        count = grid_for(shape) if self._tiles is None else self._tiles
        tiles = tiles_of(shape, count) if count > 1 else []
        # every second column and row first: neighbours show much the same
        self._turn = tiles[::2] + tiles[1::2]
        self._per_look = 0.5 if len(tiles) in (1, 2, 3, 4) else len(tiles) / _LOOKS
        self._debt = 0.0


def grid_for(shape: tuple[int, ...]) -> int:
    """Tiles per side for a film of this (height, width); 0: none."""
    height, width = shape
    if not height * width:
        return 0
    downscale = max(width / INPUT[0], height / INPUT[1])
    if downscale <= _COARSE:
        return 0
    return min(max(math.ceil(downscale * _TILES_PER_DOWNSCALE), 2), _MOST_TILES)
