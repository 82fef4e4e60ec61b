"""Where bytes match the video: exact runs of its pixels, and pictures like one of its frames.

Exact runs are found by an index of n-grams, in any bytes at any offset. Differences between
neighbours are compared, modulo 256, so that brightness, an offset of 128 as in int8 tensors, and
inversion make no difference. Pictures that were resized, have fewer levels or noise are found by
correlation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agent.desk.audit._artifacts import Artifact, Finding
from agent.desk.audit._decodings import LEAST, Bytes, Decoding
from agent.desk.audit._reference import WINDOW, Grey, Picture, informative, normalised

Grams = npt.NDArray[np.uint64]

_STEPS = WINDOW - 1
_MIX = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 26
_REACH = 65_536
"""Pixels by which a match is followed to each side, at most."""
_TRIES = 3
"""Matches followed per frame in one decoding: one is enough to fail."""
_ENOUGH = 100
"""Runs found in one decoding, after which nothing more is looked for in it."""
_HITS = 64
"""Places of one picture that are followed."""
_PLACES = 16
"""Places of one n-gram that are looked at."""
_CHUNK = 1 << 20

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


@dataclass(slots=True)
class _Match:
    """The longest run of the video's pixels in one decoding."""

    pixels: int
    start: int
    """In pixels of the decoding."""
    frame: int
    size: str
    negative: bool


class PixelIndex:
    """Every informative n-gram of the evidence; frames are then looked up in it."""

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
        # the negative picture has the negated differences
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
        """N-grams that can be found."""
        return len(self._grams) // 2

    def look_up(self, pictures: Iterable[Picture]) -> None:
        """Look up one frame, at all its sizes."""
        tries: dict[int, int] = {}
        for picture in pictures:
            steps = np.diff(picture.pixels.reshape(-1))
            grams = _grams(steps, picture.stride)
            maybe = np.flatnonzero(self._table[self._slots(grams)])
            if not maybe.size:
                continue
            left = np.searchsorted(self._grams, grams[maybe])
            hit = left < len(self._grams)
            hit[hit] = self._grams[left[hit]] == grams[maybe][hit]
            at, first = maybe[hit] * picture.stride, left[hit]
            # a picture that leaked whole is hit everywhere: a few places are enough
            for number in range(0, len(at), max(1, len(at) // _HITS)):
                self._follow(picture, steps, int(at[number]), int(first[number]), tries)

    def findings(self) -> list[Finding]:
        """One per decoding that holds a run of the video's pixels."""
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
        return (grams * _MIX) >> self._shift

    def _follow(
        self, picture: Picture, steps: Bytes, at: int, first: int, tries: dict[int, int]
    ) -> None:
        """Follow a match to both sides, in every decoding that has not been tried often enough."""
        gram = self._grams[first]
        for place in self._places[first : first + _PLACES]:
            number = int(np.searchsorted(self._starts, place, side="right")) - 1
            if tries.get(number, 0) >= _TRIES or self._found.get(number, 0) >= _ENOUGH:
                continue
            tries[number] = tries.get(number, 0) + 1
            offset = int(place - self._starts[number])
            pixels = self._decodings[number][1].pixels
            low, high = max(0, offset - _REACH), offset + _REACH
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
    """(begin in `there`, pixels) of the common run around a common n-gram, if it is informative."""
    back = min(offset, at)
    ahead = min(len(there) - offset, len(steps) - at)
    same = there[offset - back : offset + ahead] == steps[at - back : at + ahead]
    wrong = np.flatnonzero(~same)
    begin = int(wrong[wrong < back].max(initial=-1)) + 1
    end = int(wrong[wrong >= back].min(initial=len(same)))
    if end - begin + 1 < LEAST:
        return None
    run = steps[at - back + begin : at - back + end]
    levels = np.cumsum(run, dtype=np.uint8)
    if len(np.unique(run)) < 6 or len(np.unique(levels)) < 8:
        return None
    # no more than half of it may be a ramp or flat
    if np.count_nonzero(run[1:] != run[:-1]) * 2 < len(run) and len(run) < 4 * LEAST:
        return None
    return offset - back + begin, end - begin + 1


def _negative(steps: Bytes) -> Bytes:
    negative: Bytes = (np.uint8(0) - steps).astype(np.uint8)
    return negative


def _grams(steps: Bytes, stride: int = 1) -> Grams:
    """Each `stride`-th run of eight differences as one number."""
    count = (len(steps) - _STEPS) // stride + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    steps = np.ascontiguousarray(steps)
    return np.ndarray((count,), np.dtype("<u8"), steps.data, strides=(stride,)).astype(np.uint64)


def _informative_grams(pixels: Bytes) -> Iterator[tuple[Grams, npt.NDArray[np.int64]]]:
    """(n-grams, their offsets) with enough contrast, in chunks of bounded size."""
    for start in range(0, max(0, len(pixels) - WINDOW + 1), _CHUNK):
        part = pixels[start : start + _CHUNK + WINDOW - 1]
        good = np.flatnonzero(informative(part))
        if good.size:
            yield _grams(np.diff(part))[good], good + start


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
