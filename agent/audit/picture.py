"""Is this a picture of the canary? Correlation, for what was resized, requantised or made noisy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agent.audit.canary import Grey, normalised

SMALLEST = 64
"""Pixels (8x8) of the smallest picture that can be told from chance."""
_LARGEST = 320 * 240
_ALIKE = 0.8
"""Correlation with a whole frame that chance does not reach with 64 pixels or more."""
_CROP_ALIKE = 0.9
_HEADER = 64
"""Bytes before a picture that are tried as a header."""
_CROP_FRAMES = 12
_SMOOTH = 0.5
"""Correlation between neighbouring rows below which no part of a frame is looked for."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Which frame some bytes look like."""

    frame: int
    width: int
    height: int
    correlation: float
    part: bool
    """True for a part of the frame, a face say."""

    def __str__(self) -> str:
        what = "part of frame" if self.part else "frame"
        return (
            f"{what} {self.frame} as {self.width}x{self.height} pixels "
            f"(correlation {self.correlation:.2f})"
        )


def likeness(
    pixels: npt.NDArray[np.uint8], keys: Sequence[tuple[int, Grey]], parts: bool = True
) -> Likeness | None:
    """Compare bytes whose ends are about known with the kept frames, in every plausible shape.

    Parameters
    ----------
    pixels : uint8[N]
        N from 64 up to 320x240 (longer: only the first part).
    keys : sequence of (frame number, uint8[H, W])
    parts : bool
        Also look for parts of frames, which takes longer.
    """
    if len(pixels) < SMALLEST or not keys:
        return None
    best: Likeness | None = None
    smooth: list[tuple[float, Grey]] = []
    for picture in _shapes(pixels[:_LARGEST]):
        smooth.append((_smoothness(picture), picture))
        vector = normalised(picture)
        if vector is None:
            continue
        height, width = picture.shape
        for number, key in keys:
            other = normalised(cv2.resize(key, (width, height), interpolation=cv2.INTER_AREA))
            if other is None:
                continue
            alike = abs(float(vector @ other))
            if alike > max(_ALIKE, best.correlation if best else 0):
                best = Likeness(number, width, height, alike, False)
    if best or not parts:
        return best
    smooth.sort(key=lambda each: -each[0])
    for value, picture in smooth[:4]:
        if value > _SMOOTH and (best is None):
            best = _part(picture, keys[:: max(1, len(keys) // _CROP_FRAMES)])
    return best


def _shapes(pixels: npt.NDArray[np.uint8]) -> Iterator[Grey]:
    """Every rectangle from 1:3 to 3:1 that the bytes fill, after or before a short header."""
    count = len(pixels)
    for left in range(min(_HEADER, count - SMALLEST) + 1):
        size = count - left
        for width in range(6, int((3 * size) ** 0.5) + 1):
            height, rest = divmod(size, width)
            if rest or not (width <= 3 * height and height <= 3 * width) or height < 6:
                continue
            yield pixels[left:].reshape(height, width)
            if left:
                yield pixels[:size].reshape(height, width)


def _smoothness(picture: Grey) -> float:
    """Correlation between each row and the next."""
    above, below = normalised(picture[:-1]), normalised(picture[1:])
    return float(above @ below) if above is not None and below is not None else 0.0


def _part(picture: Grey, keys: Sequence[tuple[int, Grey]]) -> Likeness | None:
    """Template matching over frames made smaller step by step."""
    height, width = picture.shape
    if min(height, width) < 12 or normalised(picture) is None:
        return None
    best: Likeness | None = None
    for number, key in keys:
        scale = 1.0
        while True:
            shape = (round(key.shape[1] * scale), round(key.shape[0] * scale))
            if shape[0] < width or shape[1] < height:
                break
            small = cv2.resize(key, shape, interpolation=cv2.INTER_AREA)
            scores = cv2.matchTemplate(small, picture, cv2.TM_CCOEFF_NORMED)
            # where the frame is flat the score means nothing
            scores = scores[np.isfinite(scores) & (scores <= 1.0)]
            score = float(scores.max(initial=0.0))
            if score > max(_CROP_ALIKE, best.correlation if best else 0):
                best = Likeness(number, width, height, score, True)
            scale /= 1.08
    return best
