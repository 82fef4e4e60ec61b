"""A drawing made of characters: Braille patterns, two by four dots each (Unicode, U+2800)."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float

_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
"""Of the dots of one character, by row and column (Unicode 15, Braille Patterns)."""


class Canvas:
    """Dots on a grid, drawn to in the coordinates of a picture."""

    def __init__(self, columns: int, lines: int, width: float, height: float) -> None:
        """`columns`, `lines`: of characters. `width`, `height`: of the picture, which fills the
        canvas as far as its shape allows, from the top left."""
        self._dots = np.zeros((4 * lines, 2 * columns), bool)
        self._scale = min(2 * columns / width, 4 * lines / height)

    def line(self, start: Float, end: Float) -> None:
        """A straight line between two points float[2]; what lies outside is left out."""
        a, b = (np.asarray(point, np.float64) * self._scale for point in (start, end))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return
        a, b = (np.clip(point, -4.0 * max(self._dots.shape), 4.0 * max(self._dots.shape))
                for point in (a, b))  # fmt: skip
        steps = int(np.abs(b - a).max()) + 1
        self._set(a + (b - a) * np.linspace(0.0, 1.0, steps + 1)[:, None])

    def path(self, points: Float, *, closed: bool = False) -> None:
        """Lines through points float[N, 2]."""
        for start, end in itertools.pairwise(points):
            self.line(start, end)
        if closed and len(points) > 2:
            self.line(points[-1], points[0])

    def box(self, box: Float) -> None:
        """A rectangle float[4], xyxy."""
        left, top, right, bottom = box
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        self.path(np.array(corners, np.float32), closed=True)

    def points(self, points: Float) -> None:
        """Single dots, float[N, 2]."""
        self._set(np.asarray(points, np.float64) * self._scale)

    def rows(self) -> list[str]:
        """The drawing, a string a line."""
        high, wide = self._dots.shape
        cells = self._dots.reshape(high // 4, 4, wide // 2, 2)
        codes = 0x2800 + np.einsum("ldcw,dw->lc", cells.astype(np.int64), _BITS.astype(np.int64))
        return ["".join(map(chr, row)) for row in codes.tolist()]

    def _set(self, at: NDArray[np.float64]) -> None:
        high, wide = self._dots.shape
        inside = ((at >= 0) & (at < (wide, high))).all(axis=1)
        x, y = at[inside].astype(np.int64).T
        self._dots[y, x] = True
