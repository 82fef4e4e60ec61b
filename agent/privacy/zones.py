"""Staff zones: parts of the picture that nothing ever looks at.

A zone is painted over before any model sees the frame, so what is in it cannot influence anything
that comes after. Where a face reaches out of a zone and its centre lies within, it is dropped too.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from agent.base.config import Polygon
from agent.base.types import Detections, Float, Frame, Grey
from agent.privacy.policy.polygon import check_polygons

PAINT = 128
"""Grey level that zones are painted with. Beside black the detector loses twice as many of the
faces that a zone does not touch and invents a third more along its edges."""
_SHIFT = 4
"""Bits of a pixel's fraction that `cv2.fillPoly` is given."""


class StaffZones:
    """Covers zones in frames and drops the faces centred in them. Works on any size of frame.

    Parameters
    ----------
    polygons
        Corners as shares of width and height. Overlapping ones add up.

    Raises
    ------
    ConfigError
        For what is no polygon.
    """

    def __init__(self, polygons: Sequence[Polygon]) -> None:
        check_polygons(polygons, "staff_zones")
        self._polygons = tuple(polygons)
        self._covered: Grey = np.zeros((0, 0), np.uint8)
        """uint8[H, W], 255 within a zone, for the newest size of frame."""
        self._paint: Grey = self._covered

    def __bool__(self) -> bool:
        return bool(self._polygons)

    def cover(self, frame: Frame) -> Frame:
        """A copy without the zones' content; the very frame where there are no zones."""
        if not self._polygons:
            return frame
        if self._covered.shape != frame.luma.shape:
            self._covered = covered(self._polygons, frame.luma.shape)
            self._paint = np.full_like(self._covered, PAINT)
        luma = frame.luma.copy()
        cv2.copyTo(self._paint, self._covered, luma)
        return Frame(frame.time, luma)

    def keep(self, found: Detections) -> Detections:
        """Those that are centred outside all zones of the newest frame."""
        if not self._polygons or not len(found.boxes):
            return found
        inside = self.hold(centres(found.boxes))
        if not inside.any():
            return found
        kept = ~inside
        return Detections(found.boxes[kept], found.scores[kept], found.keypoints[kept])

    def hold(self, points: Float) -> np.ndarray:
        """Which points, float32[N, 2] in pixels of the newest frame, lie in a zone: bool[N].

        A point beyond the picture's edge counts as the pixel nearest to it.
        """
        height, width = self._covered.shape
        columns = np.clip(np.rint(points[:, 0]), 0, width - 1).astype(np.intp)
        rows = np.clip(np.rint(points[:, 1]), 0, height - 1).astype(np.intp)
        inside: np.ndarray = self._covered[rows, columns] != 0
        return inside


def centres(boxes: Float) -> Float:
    """float32[N, 2] of boxes float32[N, 4], xyxy."""
    return (boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5)


def covered(polygons: Sequence[Polygon], shape: tuple[int, ...]) -> Grey:
    """Every pixel that a polygon touches, and a pixel more, is 255, uint8[H, W]; others are 0."""
    height, width = shape
    mask = np.zeros((height, width), np.uint8)
    for corners in polygons:
        # Pixel centres have whole numbers, so the picture begins at -1/2. One by one: filled
        # together, overlapping polygons would open where they overlap.
        points = np.array(corners) * (width, height) - 0.5
        fixed = np.rint(points * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_8, _SHIFT)
    # OpenCV's edges miss a pixel here and there.
    grown: Grey = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    return grown
