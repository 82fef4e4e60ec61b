"""Face detection: grey frame to boxes, scores and five keypoints in frame pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Detections, Float, Frame, Grey, Infer
from agent.kernels.crop import halve
from agent.kernels.decode_detections import decode_detections
from agent.kernels.nms import nms

INPUT = (320, 256)
"""Width and height of the network's input, pixels."""
STRIDES = (8, 16, 32)
SIZE_UNIT = 3.0
"""Box sides are encoded as log(side / (SIZE_UNIT * stride))."""
_MAPS = tuple((s, f"score_{s}", f"box_{s}", f"keypoints_{s}") for s in STRIDES)
"""Stride and the names of its maps."""
_CELLS = sum((INPUT[0] // stride) * (INPUT[1] // stride) for stride in STRIDES)
_ROOM = 15
"""Numbers of one candidate: box, score and keypoints."""
OVERLAP = 0.25
"""Overlap of neighbouring tiles, share of their side."""
CUT = 0.01
"""Distance from a tile's edge within which a box is cut by it, share of the tile's side."""
MIRRORED = [1, 0, 2, 4, 3]
"""Where each keypoint comes from when the picture is mirrored."""
Rectangle = tuple[int, int, int, int]
"""x0, y0, x1, y1, frame pixels; x1 and y1 are outside."""


def letterbox(luma: Grey, out: Grey) -> tuple[float, float]:
    """Resize a grey frame to fit `out`, aligned top left; the rest is black.

    Parameters
    ----------
    luma : uint8[H, W]
        H, W >= 1. Downscaling by more than two averages areas, since bilinear sampling aliases.
    out : uint8[256, 320]
        Overwritten.

    Returns
    -------
    (float, float)
        Input pixels per frame pixel in x and y; they differ only by rounding.
    """
    height, width = luma.shape
    rows, columns = out.shape
    scale = min(columns / width, rows / height)
    new_width = min(max(round(width * scale), 1), columns)
    new_height = min(max(round(height * scale), 1), rows)
    out[new_height:] = 0
    out[:new_height, new_width:] = 0
    if (width, height) == (2 * new_width, 2 * new_height):
        halve(np.ascontiguousarray(luma), 0, 0, out[:new_height, :new_width])
    else:
        method = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        out[:new_height, :new_width] = cv2.resize(
            luma, (new_width, new_height), interpolation=method
        )
    return new_width / width, new_height / height


def decode(
    maps: Mapping[str, Float],
    score_above: float,
    across: float = 1.0,
    down: float = 1.0,
    room: Float | None = None,
) -> tuple[Float, Float, Float]:
    """Decode the grid cells whose score passes the threshold.

    Parameters
    ----------
    maps : float32[1, H/s, W/s, C] by name
        Per stride s: `score_s` (C = 1, logit), `box_s` (C = 4) and `keypoints_s` (C = 10). A cell's
        box is its centre + (t0, t1) * s with sides exp((t2, t3)) * 3 s; keypoint k lies at the
        centre + (t2k, t2k+1) * s. The cells' centres are (i + 1/2) s - 1/2.
    score_above : float
        Probability in (0, 1).
    across, down : float
        Input pixels per frame pixel, from `letterbox`.
    room : float32[cells, 15] | None
        Overwritten: memory to decode into, for a caller that does so often; see `_ROOM`.

    Returns
    -------
    (float32[N, 4], float32[N], float32[N, 5, 2])
        Boxes (xyxy), probabilities and keypoints, frame pixels, before non-maximum suppression.
    """
    logit = math.log(score_above / (1.0 - score_above))
    if room is None:
        room = np.empty((sum(maps[score].size for _, score, _, _ in _MAPS), _ROOM), np.float32)
    cells, flat = len(room), room.reshape(-1)
    boxes = flat[: 4 * cells].reshape(cells, 4)
    scores = flat[4 * cells : 5 * cells]
    keypoints = flat[5 * cells : 15 * cells].reshape(cells, 5, 2)
    filled = 0
    for stride, score, box, points in _MAPS:
        filled = decode_detections(
            maps[score],
            maps[box],
            maps[points],
            stride,
            SIZE_UNIT,
            logit,
            across,
            down,
            boxes,
            scores,
            keypoints,
            filled,
        )
    return boxes[:filled].copy(), scores[:filled].copy(), keypoints[:filled].copy()


class FaceDetector:
    """Anchor-free face detector on the whole grey frame and, optionally, overlapping tiles.

    Card: models/detector/CARD.md

    Parameters
    ----------
    infer
        The network: uint8[256, 320] to the nine maps of `decode`.
    score_above
        Detection threshold in (0, 1); `score_above` of the manifest is the model's default.
    nms_above
        IoU above which the weaker of two boxes is suppressed.
    tiles
        0 or 1: the whole frame only. n >= 2: also n x n tiles for small faces, n * n more
        inferences. None: chosen by `tiles_for`.
    """

    def __init__(
        self, infer: Infer, score_above: float = 0.5, nms_above: float = 0.4, tiles: int | None = 0
    ) -> None:
        if not 0.0 < score_above < 1.0:
            raise ValueError(f"score_above must lie between 0 and 1; it is {score_above}.")
        if tiles is not None and tiles < 0:
            raise ValueError(f"tiles must not be negative; it is {tiles}.")
        self._infer = infer
        self._score_above = score_above
        self._nms_above = nms_above
        self._tiles = tiles
        self._input: Grey = np.zeros((INPUT[1], INPUT[0]), np.uint8)
        self._upright = self._input.copy()
        """The picture before it is turned."""
        self._room: Float = np.empty((_CELLS, _ROOM), np.float32)

    def __call__(self, frame: Frame, tiles: int | None = None) -> Detections:
        """Faces of one frame by falling score, boxes clipped; `tiles` overrides the default."""
        luma = frame.luma
        height, width = luma.shape
        if not luma.size:
            return Detections(
                np.zeros((0, 4), np.float32),
                np.zeros(0, np.float32),
                np.zeros((0, 5, 2), np.float32),
            )
        tiles = self._tiles if tiles is None else tiles
        tiles = tiles_for(luma.shape) if tiles is None else tiles
        boxes, scores, keypoints = self.candidates(luma)
        if tiles > 1:
            parts = [(boxes, scores, keypoints)]
            parts += [self.tile_candidates(luma, tile) for tile in tiles_of(luma.shape, tiles)]
            boxes, scores, keypoints = (
                np.concatenate(column) for column in zip(*parts, strict=True)
            )
        if not len(boxes):
            return Detections(boxes, scores, keypoints)
        keep = nms(boxes, scores, self._nms_above)
        boxes = boxes[keep]
        limit = np.array([width - 1, height - 1, width - 1, height - 1], np.float32)
        np.minimum(np.maximum(boxes, 0, out=boxes), limit, out=boxes)
        return Detections(boxes, scores[keep], keypoints[keep])

    def candidates(self, luma: Grey, mirrored: bool = False) -> tuple[Float, Float, Float]:
        """Boxes, scores and keypoints before suppression, pixels of `luma`.

        `mirrored`: the network sees the mirror image; the answer is turned back.
        """
        across, down = letterbox(luma, self._input)
        if not mirrored:
            return decode(self._infer(self._input), self._score_above, across, down, self._room)
        width = luma.shape[1]
        shown = self._input[:, : min(max(round(width * across), 1), INPUT[0])]
        shown[:] = shown[:, ::-1].copy()
        boxes, scores, keypoints = decode(
            self._infer(self._input), self._score_above, across, down, self._room
        )
        turned = boxes.copy()
        turned[:, 0], turned[:, 2] = width - 1 - boxes[:, 2], width - 1 - boxes[:, 0]
        keypoints = keypoints[:, MIRRORED]
        keypoints[..., 0] = width - 1 - keypoints[..., 0]
        return turned, scores, keypoints

    def turned_candidates(self, luma: Grey, degrees: float) -> tuple[Float, Float, Float]:
        """As `candidates`, of the picture turned clockwise by so much and fitted into the input: of
        heads that are tilted the other way. Boxes are as upright as others, about the same middle.
        """
        across, down = letterbox(luma, self._upright)
        width, height = luma.shape[1] * across, luma.shape[0] * down
        angle = math.radians(degrees)
        cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
        scale = min(
            INPUT[0] / (width * cos + height * sin), INPUT[1] / (width * sin + height * cos)
        )
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, scale)
        matrix[:, 2] += (INPUT[0] - width) / 2, (INPUT[1] - height) / 2
        cv2.warpAffine(self._upright, matrix, INPUT, self._input, cv2.INTER_LINEAR)
        boxes, scores, keypoints = decode(
            self._infer(self._input), self._score_above, room=self._room
        )
        back = np.asarray(cv2.invertAffineTransform(matrix), np.float32)
        shrunk = np.array([across, down], np.float32)
        half = (boxes[:, 2:] - boxes[:, :2]) / (np.float32(2 * scale) * shrunk)
        middles = _turned_back((boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5), back, shrunk)
        boxes = np.concatenate([middles - half, middles + half], 1).astype(np.float32)
        return boxes, scores, _turned_back(keypoints, back, shrunk)

    def tile_candidates(self, luma: Grey, tile: Rectangle) -> tuple[Float, Float, Float]:
        """Candidates of one tile in frame pixels, without those cut by an inner edge, which the
        neighbouring tile or the whole frame contains."""
        x0, y0, x1, y1 = tile
        boxes, scores, keypoints = self.candidates(luma[y0:y1, x0:x1])
        shift = np.array([x0, y0], np.float32)
        boxes += np.tile(shift, 2)
        whole = uncut(boxes, tile, luma.shape)
        return boxes[whole], scores[whole], keypoints[whole] + shift


def _turned_back(points: Float, back: Float, shrunk: Float) -> Float:
    """Points float32[..., 2] of the turned input, frame pixels."""
    upright = points @ back[:, :2].T + back[:, 2]
    return np.asarray((upright + 0.5) / shrunk - 0.5, np.float32)


def uncut(boxes: Float, tile: Rectangle, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which of a tile's boxes float32[N, 4], frame pixels, are not cut by an edge of the tile that
    lies inside the frame of this (height, width): bool[N]."""
    whole = np.ones(len(boxes), bool)
    for axis in (0, 1):
        low, high, end = tile[axis], tile[axis + 2], shape[1 - axis]
        edge = CUT * (high - low)
        if low > 0:
            whole &= boxes[:, axis] > low + edge
        if high < end:
            whole &= boxes[:, axis + 2] < high - 1 - edge
    return whole


def tiles_for(shape: tuple[int, ...]) -> int:
    """Tiles per side for a frame of this (height, width); 0: no tiling."""
    height, width = shape
    downscale = max(width / INPUT[0], height / INPUT[1])
    return 0 if downscale <= 2.5 else min(int(-(-downscale // 2)), 4)


def tiles_of(shape: tuple[int, ...], count: int) -> list[Rectangle]:
    """`count` x `count` tiles that cover a frame of this (height, width) and overlap, column by
    column; one: the frame."""
    height, width = shape
    return [(x0, y0, x1, y1) for x0, x1 in _spans(width, count) for y0, y1 in _spans(height, count)]


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    """`count` equal spans that cover `length` and overlap by the share `OVERLAP`."""
    size = length / (count - (count - 1) * OVERLAP)
    step = size * (1.0 - OVERLAP)
    spans = [(int(i * step), min(math.ceil(i * step + size), length)) for i in range(count)]
    return [(low, high) for low, high in spans if high > low]
