"""Turning pictures upright, as `source.rotate` and `source.mirror` say."""

from __future__ import annotations

import cv2
import numpy as np

from agent.base.types import Grey

_ROTATIONS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


class Upright:
    """Turns each picture of a camera that hangs sideways or upside down, or sees a mirror."""

    def __init__(self, rotate: int = 0, mirror: bool = False) -> None:
        """`rotate`: degrees clockwise, a multiple of 90; `mirror`: then swap left and right."""
        self._rotation = _ROTATIONS.get(rotate % 360)
        self._mirror = mirror

    def __call__(self, luma: Grey) -> Grey:
        """uint8[H, W], C-contiguous; uint8[W, H] after a quarter turn. Takes 0.1 ms at 640x480; the
        same array where nothing is to be done."""
        if self._rotation is not None:
            luma = np.asarray(cv2.rotate(luma, self._rotation))
        return np.asarray(cv2.flip(luma, 1)) if self._mirror else luma
