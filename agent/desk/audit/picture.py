"""Is this a picture of the canary? Correlation, for what was resized, requantised or made noisy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agent.desk.audit.canary import Grey, normalised

Vectors = tuple[list[int], npt.NDArray[np.float32]]

SMALLEST = 64
"""Pixels (8x8) of the smallest picture that can be told from chance."""
_LARGEST = 320 * 240
_ALIKE, _SIGMAS = 0.75, 7.0
"""Correlation with a whole frame, of at least 0.75 and seven standard deviations of chance
(1 / sqrt(pixels)), after a plane was subtracted from both: ramps are alike everywhere."""
_CURVED = 0.05
"""Least share of its contrast that a picture keeps when a plane is subtracted."""
_CROP_ALIKE = 0.9
_HEADERS = (0, 1, 2, 4, 8, 10, 12, 16, 20, 24, 32, 54, 64)
"""Bytes before or behind a picture that are tried as a header."""
_WIDTHS = (12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 100, 112, 120, 128, 160, 224, 320)
_SIZES_KEPT, _LARGEST_KEPT = 48, 4096
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
    pixels: npt.NDArray[np.uint8],
    keys: Sequence[tuple[int, Grey]],
    loose: bool = False,
    known: dict[tuple[int, int], Vectors] | None = None,
) -> Likeness | None:
    """Compare bytes whose ends are about known with the kept frames, in every plausible shape.

    Parameters
    ----------
    pixels : uint8[N]
        N from 64 up to 320x240 (longer: only the first part).
    keys : sequence of (frame number, uint8[H, W])
    loose : bool
        The last pixels may be missing (black ones are zeros, and so is padding), or many: the
        picture may be a strip of a frame.
    known : dict or None
        The frames at sizes used before, kept here for the next call.
    """
    if len(pixels) < SMALLEST or not keys:
        return None
    best: Likeness | None = None
    smooth: list[tuple[float, Grey]] = []
    frames = {} if known is None else known
    for picture in _shapes(pixels[:_LARGEST], loose):
        smooth.append((_smoothness(picture), picture))
        vector = _curved(picture)
        if vector is None:
            continue
        height, width = picture.shape
        if (height, width) not in frames:
            if len(frames) > _SIZES_KEPT or height * width > _LARGEST_KEPT:
                frames.clear()
            frames[height, width] = _vectors(keys, width, height)
        numbers, others = frames[height, width]
        if not numbers:
            continue
        alike = np.abs(others @ vector)
        place = int(alike.argmax())
        least = max(_ALIKE, _SIGMAS / (width * height) ** 0.5, best.correlation if best else 0.0)
        if alike[place] > least:
            best = Likeness(numbers[place], width, height, float(alike[place]), False)
    if best:
        return best
    smooth.sort(key=lambda each: -each[0])
    for value, picture in smooth[:4]:
        if value > _SMOOTH and (best is None):
            best = _part(picture, keys[:: max(1, len(keys) // _CROP_FRAMES)])
    return best


def _shapes(pixels: npt.NDArray[np.uint8], loose: bool) -> Iterator[Grey]:
    """Every rectangle from 1:3 to 3:1 that the bytes fill, after or before a short header; with
    `loose` also those of common widths that they nearly fill."""
    count = len(pixels)
    for width in _WIDTHS if loose else ():
        height = -(-count // width)
        if 6 <= height <= 4 * width <= 20 * height:
            padded = np.zeros(width * height, np.uint8)
            padded[:count] = pixels
            yield padded.reshape(height, width)
    for left in _HEADERS:
        size = count - left
        if size < SMALLEST:
            return
        for width in range(6, int((3 * size) ** 0.5) + 1):
            height, rest = divmod(size, width)
            if rest or not (width <= 3 * height and height <= 3 * width) or height < 6:
                continue
            yield pixels[left:].reshape(height, width)
            if left:
                yield pixels[:size].reshape(height, width)


def _vectors(keys: Sequence[tuple[int, Grey]], width: int, height: int) -> Vectors:
    """The kept frames at one size: their numbers, and one row for each."""
    numbers, rows = [], []
    for number, key in keys:
        vector = _curved(cv2.resize(key, (width, height), interpolation=cv2.INTER_AREA))
        if vector is not None:
            numbers.append(number)
            rows.append(vector)
    return numbers, np.array(rows, np.float32)


def _curved(picture: Grey) -> npt.NDArray[np.float32] | None:
    """Unit length, less its mean and its slope in both directions; None where little is left."""
    vector = normalised(picture)
    if vector is None:
        return None
    rest = vector.reshape(picture.shape).copy()
    for axis, length in enumerate(picture.shape):
        ramp = np.arange(length, dtype=np.float32) - (length - 1) / 2
        ramp = ramp[:, None] if axis == 0 else ramp[None, :]
        area = float(np.square(ramp).sum()) * picture.size / length
        rest -= float((rest * ramp).sum()) / area * ramp
    size = float(np.linalg.norm(rest))
    flat: npt.NDArray[np.float32] = rest.reshape(-1) / max(size, 1e-6)
    return flat if size * size > _CURVED else None


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
