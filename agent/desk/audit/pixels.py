"""The canary's pixels, exactly: runs of them in any bytes, at any offset.

Compared are the differences between neighbours, modulo 256: brightness, an offset of 128 as in int8
tensors, and an inverted picture make no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.desk.audit.canary import WINDOW, Picture, telling
from agent.desk.audit.evidence import Finding, Item
from agent.desk.audit.views import LEAST, Bytes, View

Grams = npt.NDArray[np.uint64]

_STEPS = WINDOW - 1
_MIX = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 26
_REACH = 65_536
"""Pixels by which a match is followed to each side, at most."""
_TRIES = 3
"""Matches followed per frame in one view: one is enough to fail."""
_ENOUGH = 100
"""Runs found in one view, after which nothing more is looked for in it."""
_HITS = 64
"""Places of one picture that are followed."""
_PLACES = 16
"""Places of one n-gram that are looked at."""
_CHUNK = 1 << 20


@dataclass(slots=True)
class Match:
    """The longest run of the canary's pixels in one view."""

    pixels: int
    start: int
    """In pixels of the view."""
    frame: int
    size: str
    negative: bool


class Index:
    """Every telling n-gram of the evidence; the frames are then looked up in it."""

    def __init__(self, views: Sequence[tuple[Item, View]]) -> None:
        self._views = list(views)
        self._starts = np.cumsum([0, *(len(view.pixels) for _, view in self._views)])
        self._matches: dict[int, Match] = {}
        self._found: dict[int, int] = {}
        keys, places = [], []
        for number, (_, view) in enumerate(self._views):
            for grams, where in _telling_grams(view.pixels):
                keys.append(grams)
                places.append(where + self._starts[number])
        found = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        where = np.concatenate(places) if places else np.empty(0, np.int64)
        # the negative picture has the negated differences
        found = np.concatenate([found, _negated(found)])
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

    def look(self, pictures: Iterable[Picture]) -> None:
        """Look one frame up, at all its sizes."""
        tries: dict[int, int] = {}
        for picture in pictures:
            flat = picture.pixels.reshape(-1)
            steps = _steps(flat)
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
        """One per view that holds a run of the canary's pixels."""
        found = []
        for number, match in sorted(self._matches.items()):
            item, view = self._views[number]
            how = f", {view.how}" if view.how else ""
            negative = " (negative)" if match.negative else ""
            found.append(
                Finding(
                    "pixels", item.name, view.offset + int(match.start * view.step),
                    f"{match.pixels} pixels in a row of frame {match.frame} at "
                    f"{match.size}{negative}{how}", item.planted,
                )
            )  # fmt: skip
        return found

    def _slots(self, grams: Grams) -> npt.NDArray[np.uint64]:
        return (grams * _MIX) >> self._shift

    def _follow(
        self, picture: Picture, steps: Bytes, at: int, first: int, tries: dict[int, int]
    ) -> None:
        """Follow a match to both sides, in every view that has not been tried often enough."""
        gram = self._grams[first]
        for place in self._places[first : first + _PLACES]:
            number = int(np.searchsorted(self._starts, place, side="right")) - 1
            if tries.get(number, 0) >= _TRIES or self._found.get(number, 0) >= _ENOUGH:
                continue
            tries[number] = tries.get(number, 0) + 1
            offset = int(place - self._starts[number])
            pixels = self._views[number][1].pixels
            low, high = max(0, offset - _REACH), offset + _REACH
            there = _steps(pixels[low:high])
            negative = _gram_at(there, offset - low) != gram
            match = _run(_negative(there) if negative else there, offset - low, steps, at)
            if match is None:
                continue
            begin, length = match
            self._found[number] = self._found.get(number, 0) + 1
            best = self._matches.get(number)
            if best is None or best.pixels < length:
                self._matches[number] = Match(
                    length, low + begin, picture.frame, picture.name, negative
                )


def _run(there: Bytes, offset: int, steps: Bytes, at: int) -> tuple[int, int] | None:
    """(begin in `there`, pixels) of the common run around a common n-gram, if it says something."""
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


def _steps(pixels: Bytes) -> Bytes:
    return pixels[1:] - pixels[:-1]


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


def _gram_at(steps: Bytes, at: int) -> np.uint64:
    return np.uint64(int.from_bytes(steps[at : at + _STEPS].tobytes(), "little"))


def _negated(grams: Grams) -> Grams:
    steps = grams.view(np.uint8)
    negated: Grams = _negative(steps).view(np.uint64)
    return negated


def _telling_grams(pixels: Bytes) -> Iterable[tuple[Grams, npt.NDArray[np.int64]]]:
    """(n-grams, their offsets) with enough contrast, in chunks of bounded size."""
    for start in range(0, max(0, len(pixels) - WINDOW + 1), _CHUNK):
        part = pixels[start : start + _CHUNK + WINDOW - 1]
        good = np.flatnonzero(telling(part))
        if good.size:
            yield _grams(_steps(part))[good], good + start
