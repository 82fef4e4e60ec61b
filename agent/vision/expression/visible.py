"""Whether a crop shows the lower face: behind a mask, a hand or a cup there is little to read."""

from __future__ import annotations

import math

import cv2

from agent.base.types import Grey

_FINE, _COARSE = (3, 3), (9, 9)
"""Pixels: detail is what lies between the two."""
_EYES = slice(10, 24), slice(7, 41)
_MOUTH = slice(29, 46), slice(14, 34)
"""Rows and columns of a crop of 48 x 48 pixels framed like FER images."""
_HALF, _SLOPE = -0.4, 0.1
"""Logarithm of the ratio of detail at which half is believed, and that over which the odds grow by
e: below it lie 11 % of FER+ faces, and six in seven of the same behind a plain mask."""


def visible(crop: Grey) -> float:
    """Share in [0, 1] of what the expression of a crop uint8[48, 48] is worth: that of detail about
    the mouth beside that about the eyes."""
    detail = cv2.subtract(cv2.blur(crop, _FINE), cv2.blur(crop, _COARSE), dtype=cv2.CV_16S)
    eyes, mouth = (float(cv2.meanStdDev(detail[part])[1][0, 0]) for part in (_EYES, _MOUTH))
    ratio = math.log((mouth + 0.5) / (eyes + 0.5))
    return 1.0 / (1.0 + math.exp(min((_HALF - ratio) / _SLOPE, 50.0)))
