"""Matching of bytes with the video: exact runs of pixels, and pictures similar to a frame.

Exact runs are found by an index of n-grams in any bytes at any offset. Differences of neighbouring
pixels are compared modulo 256, which is invariant to brightness, to an offset of 128 as in int8
tensors, and, with negated n-grams, to inversion. Resized, quantised or noisy pictures are found by
correlation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agent.desk.audit._artifacts import Artifact, Finding
from agent.desk.audit._encodings import MIN_PIXELS, Bytes, Decoding
from agent.desk.audit._reference import WINDOW, Grey, Picture, informative, normalised

Grams = npt.NDArray[np.uint64]

_STEPS = WINDOW - 1
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 26
_MAX_EXTENSION = 65_536
"""Pixels by which a match is extended to each side."""
_MAX_TRIES = 8
"""Hits extended per picture and decoding: one is enough to fail."""
_MAX_RUNS = 100
"""Runs per decoding, after which the search in it stops."""
_MAX_HITS = 64
"""Hits per picture that are extended."""
_MAX_PLACES = 16
"""Places per n-gram that are tried."""
_CHUNK = 1 << 20

Vectors = tuple[list[int], npt.NDArray[np.float32]]

MIN_PICTURE = 64
"""Pixels (8x8) of the smallest significant picture."""
_MAX_PICTURE = 320 * 240
_MIN_CORRELATION, _MIN_SIGMAS = 0.75, 7.0
"""Threshold of the correlation with a whole frame, also in standard deviations of chance
(1 / sqrt(pixels)), after detrending, since ramps correlate everywhere."""
_MIN_DETRENDED = 0.05
"""Least share of its variance that a picture keeps when detrended."""
_MIN_CROP_CORRELATION = 0.9
_MIN_GRADIENT_SIGMAS = 6.0
"""Threshold of the correlation of both pictures' gradients, in standard deviations of chance
(1 / sqrt(pixels)): smooth pictures resemble each other, their details do not. Grows with the number
of comparisons, by the extreme of as many normal variables."""
_HEADERS = (0, 1, 2, 4, 8, 10, 12, 16, 20, 24, 32, 54, 64)
"""Header or trailer lengths that are tried, bytes."""
_WIDTHS = (12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 100, 112, 120, 128, 160, 224, 320)
_MAX_CACHED_SIZES, _MAX_CACHED_PIXELS = 48, 4096
_CROP_FRAMES = 12
_MIN_SMOOTHNESS = 0.5
"""Correlation of neighbouring rows below which crops of frames are not searched for."""


@dataclass(slots=True)
class _Match:
    """The longest run of video pixels in one decoding."""

    pixels: int
    start: int
    """Offset in the decoding, pixels."""
    frame: int
    size: str
    negative: bool


class PixelIndex:
    """Index of the informative n-grams of decodings, in which frames are looked up."""

    def __init__(self, decodings: Sequence[tuple[Artifact, Decoding]]) -> None:
        self._decodings = list(decodings)
        self._starts = np.cumsum([0, *(len(decoding.pixels) for _, decoding in self._decodings)])
        self._matches: dict[int, _Match] = {}
        self._found: dict[int, int] = {}
        keys, places = [], []
        for number, (_, decoding) in enumerate(self._decodings):
            for grams, where in _informative_grams(decoding.pixels):
                keys.append(grams)
                places.append(where + self._starts[number])
        found = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        where = np.concatenate(places) if places else np.empty(0, np.int64)
        # a negative picture has negated differences
        found = np.concatenate([found, _negative(found.view(np.uint8)).view(np.uint64)])
        where = np.concatenate([where, where])
        order = np.argsort(found, kind="stable")
        self._grams, self._places = found[order], where[order]
        bits = min(_TABLE_BITS, max(12, int(found.size).bit_length() + 4))
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, bool)
        self._table[self._slots(self._grams)] = True

    @property
    def size(self) -> int:
        """Number of indexed n-grams."""
        return len(self._grams) // 2

    def look_up(self, pictures: Iterable[Picture]) -> None:
        """Look up one frame at all sizes."""
        for picture in pictures:
            tries: dict[int, int] = {}
            steps = np.diff(picture.pixels.reshape(-1))
            grams = _grams(steps, picture.stride)
            candidates = np.flatnonzero(self._table[self._slots(grams)])
            if not candidates.size:
                continue
            left = np.searchsorted(self._grams, grams[candidates])
            hit = left < len(self._grams)
            hit[hit] = self._grams[left[hit]] == grams[candidates][hit]
            at, first = candidates[hit] * picture.stride, left[hit]
            # a complete picture has hits everywhere: a sample is enough
            for number in range(0, len(at), max(1, len(at) // _MAX_HITS)):
                self._extend(picture, steps, int(at[number]), int(first[number]), tries)

    def findings(self) -> list[Finding]:
        """One per decoding with a run of video pixels."""
        found = []
        for number, match in sorted(self._matches.items()):
            artifact, decoding = self._decodings[number]
            how = f", {decoding.how}" if decoding.how else ""
            negative = " (negative)" if match.negative else ""
            found.append(
                Finding(
                    "pixels", artifact.name, decoding.offset + int(match.start * decoding.step),
                    f"{match.pixels} pixels in a row of frame {match.frame} at "
                    f"{match.size}{negative}{how}", artifact.planted,
                )
            )  # fmt: skip
        return found

    def _slots(self, grams: Grams) -> npt.NDArray[np.uint64]:
        return (grams * _HASH_FACTOR) >> self._shift

    def _extend(
        self, picture: Picture, steps: Bytes, at: int, first: int, tries: dict[int, int]
    ) -> None:
        """Extend a hit to both sides, within the limits per decoding."""
        gram = self._grams[first]
        places = self._places[first : first + _MAX_PLACES]
        for place in places[self._grams[first : first + _MAX_PLACES] == gram]:
            number = int(np.searchsorted(self._starts, place, side="right")) - 1
            if tries.get(number, 0) >= _MAX_TRIES or self._found.get(number, 0) >= _MAX_RUNS:
                continue
            tries[number] = tries.get(number, 0) + 1
            offset = int(place - self._starts[number])
            pixels = self._decodings[number][1].pixels
            low, high = max(0, offset - _MAX_EXTENSION), offset + _MAX_EXTENSION
            there = np.diff(pixels[low:high])
            negative = _grams(there[offset - low :][:_STEPS])[0] != gram
            match = _run(_negative(there) if negative else there, offset - low, steps, at)
            if match is None:
                continue
            begin, length = match
            self._found[number] = self._found.get(number, 0) + 1
            best = self._matches.get(number)
            if best is None or best.pixels < length:
                self._matches[number] = _Match(
                    length, low + begin, picture.frame, picture.name, negative
                )


def _run(there: Bytes, offset: int, steps: Bytes, at: int) -> tuple[int, int] | None:
    """(start in `there`, pixels) of the common run around an n-gram; None if not informative."""
    back = min(offset, at)
    ahead = min(len(there) - offset, len(steps) - at)
    same = there[offset - back : offset + ahead] == steps[at - back : at + ahead]
    wrong = np.flatnonzero(~same)
    begin = int(wrong[wrong < back].max(initial=-1)) + 1
    end = int(wrong[wrong >= back].min(initial=len(same)))
    if end - begin + 1 < MIN_PIXELS:
        return None
    run = steps[at - back + begin : at - back + end]
    levels = np.cumsum(run, dtype=np.uint8)
    if len(np.unique(run)) < 6 or len(np.unique(levels)) < 8:
        return None
    # at most half of it may be flat or a ramp
    if np.count_nonzero(run[1:] != run[:-1]) * 2 < len(run) and len(run) < 4 * MIN_PIXELS:
        return None
    return offset - back + begin, end - begin + 1


def _negative(steps: Bytes) -> Bytes:
    negative: Bytes = (np.uint8(0) - steps).astype(np.uint8)
    return negative


def _grams(steps: Bytes, stride: int = 1) -> Grams:
    """Each `stride`-th group of eight differences as one integer."""
    count = (len(steps) - _STEPS) // stride + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    steps = np.ascontiguousarray(steps)
    return np.ndarray((count,), np.dtype("<u8"), steps.data, strides=(stride,)).astype(np.uint64)


def _informative_grams(pixels: Bytes) -> Iterator[tuple[Grams, npt.NDArray[np.int64]]]:
    """(informative n-grams, their offsets), in chunks of bounded size."""
    for start in range(0, max(0, len(pixels) - WINDOW + 1), _CHUNK):
        part = pixels[start : start + _CHUNK + WINDOW - 1]
        good = np.flatnonzero(informative(part))
        if good.size:
            yield _grams(np.diff(part))[good], good + start


@dataclass(frozen=True, slots=True)
class PictureMatch:
    """A frame similar to some bytes."""

    frame: int
    width: int
    height: int
    correlation: float
    part: bool
    """Whether only a part of the frame matches, such as a face."""

    def __str__(self) -> str:
        what = "part of frame" if self.part else "frame"
        return (
            f"{what} {self.frame} as {self.width}x{self.height} pixels "
            f"(correlation {self.correlation:.2f})"
        )


def match_picture(
    pixels: npt.NDArray[np.uint8],
    keys: Sequence[tuple[int, Grey]],
    loose: bool = False,
    cache: dict[tuple[int, int], Vectors] | None = None,
    comparisons: int = 1,
) -> PictureMatch | None:
    """Correlate bytes in every plausible picture shape with the key frames.

    Parameters
    ----------
    pixels : uint8[N]
        N >= 64; only the first 320x240 are used.
    keys : sequence of (frame number, uint8[H, W])
    loose : bool
        The end is uncertain: pixels may be missing, or the picture may be a strip of a frame.
    cache : dict or None
        Resized frames, updated for the next call.
    comparisons : int
        Byte strings compared in all; the more, the better a match must be.
    """
    if len(pixels) < MIN_PICTURE or not keys:
        return None
    best: PictureMatch | None = None
    smooth: list[tuple[float, Grey]] = []
    frames = {} if cache is None else cache
    for picture in _shapes(pixels[:_MAX_PICTURE], loose):
        smooth.append((_smoothness(picture), picture))
        vector = detrended(picture)
        if vector is None:
            continue
        height, width = picture.shape
        if (height, width) not in frames:
            if len(frames) > _MAX_CACHED_SIZES or height * width > _MAX_CACHED_PIXELS:
                frames.clear()
            frames[height, width] = _vectors(keys, width, height)
        numbers, others = frames[height, width]
        if not numbers:
            continue
        correlations = np.abs(others @ vector)
        place = int(correlations.argmax())
        significant = max(_MIN_CORRELATION, _MIN_SIGMAS / (width * height) ** 0.5)
        least = max(significant, best.correlation if best else 0.0)
        if correlations[place] > least and _same_details(
            picture, others[place].reshape(height, width), comparisons * len(keys)
        ):
            best = PictureMatch(numbers[place], width, height, float(correlations[place]), False)
    if best:
        return best
    smooth.sort(key=lambda each: -each[0])
    for value, picture in smooth[:4]:
        if value > _MIN_SMOOTHNESS and (best is None):
            some = keys[:: max(1, len(keys) // _CROP_FRAMES)]
            best = _match_crop(picture, some, comparisons)
    return best


def _shapes(pixels: npt.NDArray[np.uint8], loose: bool) -> Iterator[Grey]:
    """Pictures of aspect ratio 1:3 to 3:1 that the bytes fill, with a short header or trailer; if
    `loose` also of common widths with padding."""
    count = len(pixels)
    for width in _WIDTHS if loose else ():
        height = -(-count // width)
        if 6 <= height <= 4 * width <= 20 * height:
            padded = np.zeros(width * height, np.uint8)
            padded[:count] = pixels
            yield padded.reshape(height, width)
    for left in _HEADERS:
        size = count - left
        if size < MIN_PICTURE:
            return
        for width in range(6, int((3 * size) ** 0.5) + 1):
            height, rest = divmod(size, width)
            if rest or not (width <= 3 * height and height <= 3 * width) or height < 6:
                continue
            yield pixels[left:].reshape(height, width)
            if left:
                yield pixels[:size].reshape(height, width)


def _vectors(keys: Sequence[tuple[int, Grey]], width: int, height: int) -> Vectors:
    """Key frames at one size: numbers, and one detrended row each."""
    numbers, rows = [], []
    for number, key in keys:
        vector = detrended(cv2.resize(key, (width, height), interpolation=cv2.INTER_AREA))
        if vector is not None:
            numbers.append(number)
            rows.append(vector)
    return numbers, np.array(rows, np.float32)


def detrended(picture: Grey) -> npt.NDArray[np.float32] | None:
    """Unit vector without mean and linear trend; None where little variance is left."""
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
    return flat if size * size > _MIN_DETRENDED else None


def _smoothness(picture: Grey) -> float:
    """Correlation of each row with the next."""
    above, below = normalised(picture[:-1]), normalised(picture[1:])
    return float(above @ below) if above is not None and below is not None else 0.0


def _same_details(one: npt.NDArray[Any], other: npt.NDArray[Any], comparisons: int) -> bool:
    """Whether the gradients of two pictures of one shape, or of its negative, correlate beyond
    chance. A gradient's pixels are nearly independent, those of a picture are not. Without the
    means of rows and columns, of which counters and tables in a file consist."""
    products, squares = 0.0, [0.0, 0.0]
    both = [each.astype(np.float32) for each in (one, other)]
    both = [
        each - each.mean(axis=0, keepdims=True) - each.mean(axis=1, keepdims=True) for each in both
    ]
    for axis in (0, 1):
        pair = [np.diff(each, axis=axis) for each in both]
        pair = [each - each.mean() for each in pair]
        products += float((pair[0] * pair[1]).sum())
        for place, each in enumerate(pair):
            squares[place] += float((each * each).sum())
    if not all(squares):
        return False
    correlation = abs(products) / (squares[0] * squares[1]) ** 0.5
    sigmas = _MIN_GRADIENT_SIGMAS + (2 * math.log(max(1, comparisons))) ** 0.5 / 2
    return bool(correlation > min(0.95, sigmas / (2 * one.size) ** 0.5))


def _match_crop(
    picture: Grey, keys: Sequence[tuple[int, Grey]], comparisons: int
) -> PictureMatch | None:
    """Template matching in key frames at decreasing scales."""
    height, width = picture.shape
    if min(height, width) < 12 or normalised(picture) is None:
        return None
    best: PictureMatch | None = None
    for number, key in keys:
        scale = 1.0
        while True:
            shape = (round(key.shape[1] * scale), round(key.shape[0] * scale))
            if shape[0] < width or shape[1] < height:
                break
            small = cv2.resize(key, shape, interpolation=cv2.INTER_AREA)
            scores = cv2.matchTemplate(small, picture, cv2.TM_CCOEFF_NORMED)
            # undefined where the frame is flat
            scores[~np.isfinite(scores) | (scores > 1.0)] = -1
            score = float(scores.max())
            scale /= 1.08
            if score <= max(_MIN_CROP_CORRELATION, best.correlation if best else 0):
                continue
            row, column = np.unravel_index(int(scores.argmax()), scores.shape)
            part = small[row : row + height, column : column + width]
            if _same_details(picture, part, comparisons * len(keys)):
                best = PictureMatch(number, width, height, score, True)
    return best
