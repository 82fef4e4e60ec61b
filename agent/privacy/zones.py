"""Staff zones: parts of the picture that are masked before any model runs.

The tracker also drops faces that extend beyond a zone but are centred in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.config import Polygon
from agent.base.types import Float, Frame, Grey
from agent.privacy.policy.polygon import check_polygons

FILL = 128
"""Grey level of masked pixels. With black the detector misses twice as many faces outside a zone
and has a third more false detections along its edges."""
_FRACTION_BITS = 4
"""Of the fixed-point coordinates of `cv2.fillPoly`."""


class StaffZones:
    """`agent.vision.faces.track.ExcludedZones` from polygons, for any size of frame.

    `polygons`: corners as fractions of width and height; may overlap. Raises `ConfigError` for an
    invalid polygon.
    """

    def __init__(self, polygons: Sequence[Polygon]) -> None:
        check_polygons(polygons, "staff_zones")
        self._polygons = tuple(polygons)
        self._mask: Grey = np.zeros((0, 0), np.uint8)
        """uint8[H, W], 255 within a zone, for the size of the last frame."""
        self._fill: Grey = self._mask

    def __bool__(self) -> bool:
        return bool(self._polygons)

    def mask(self, frame: Frame) -> Frame:
        """A masked copy; the frame itself where there are no zones."""
        if not self._polygons:
            return frame
        if self._mask.shape != frame.luma.shape:
            self._mask = rasterise(self._polygons, frame.luma.shape)
            self._fill = np.full_like(self._mask, FILL)
        luma = frame.luma.copy()
        cv2.copyTo(self._fill, self._mask, luma)
        return Frame(frame.time, luma)

    def contains(self, points: Float) -> NDArray[np.bool_]:
        """bool[N]: which points, float32[N, 2] in pixels of the last masked frame, lie in a zone.
        Points beyond the edge are clipped to it."""
        if not self._polygons:
            return np.zeros(len(points), bool)
        height, width = self._mask.shape
        columns = np.clip(np.rint(points[:, 0]), 0, width - 1).astype(np.intp)
        rows = np.clip(np.rint(points[:, 1]), 0, height - 1).astype(np.intp)
        return np.asarray(self._mask[rows, columns] != 0)


def rasterise(polygons: Sequence[Polygon], shape: tuple[int, ...]) -> Grey:
    """uint8[H, W]: 255 in every pixel touched by a polygon, dilated by one pixel, else 0."""
    height, width = shape
    mask = np.zeros((height, width), np.uint8)
    for corners in polygons:
        # Pixel centres have integer coordinates, so the picture begins at -1/2. One by one, since
        # fillPoly would leave overlaps of several polygons unfilled.
        points = np.array(corners) * (width, height) - 0.5
        fixed = np.rint(points * 2**_FRACTION_BITS).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_8, _FRACTION_BITS)
    # fillPoly may miss edge pixels.
    return np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)), np.uint8)
