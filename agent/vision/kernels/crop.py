"""Cutting an aligned crop out of a picture: the inner loop of every network that sees a face."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Float = NDArray[np.float32]
i32 = np.int32
Grey = NDArray[np.uint8]

_BITS = 16
"""Of the fraction in fixed-point coordinates; the upper 8 of them weigh the neighbours."""
_FAR = 1e9
"""Pixels. A crop that begins further away, or nowhere, shows nothing."""


def _two_at_plain(greys: Grey, at: int) -> np.uint16:
    """As `_two_at`, where nothing is compiled (NUMBA_DISABLE_JIT)."""
    return np.uint16(int(greys[at]) | int(greys[at + 1]) << 8)


@intrinsic
def _two_at(typing: Any, greys: Any, at: Any) -> Any:
    """The grey levels at `at` and `at + 1` in one load: uint16, the first in the low byte."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.gep(data, [builder.sext(args[1], context.get_value_type(types.intp))])
        pair = context.get_value_type(types.uint16).as_pointer()
        return builder.load(builder.bitcast(place, pair), align=1)

    return types.uint16(greys, types.int32), generate


if config.DISABLE_JIT:
    _two_at = _two_at_plain


@njit(nogil=True, cache=True)
def _within(start: int, step: int, limit: int, count: int) -> tuple[int, int]:  # pragma: no cover
    """The whole numbers k in [0, count) with 0 <= start + k * step < limit, as a half-open span."""
    if step < 0:
        # Seen from the last k, the line rises.
        first, last = _rising(start + (count - 1) * step, -step, limit, count)
        return count - last, count - first
    return _rising(start, step, limit, count)


@njit(nogil=True, cache=True)
def _rising(start: int, step: int, limit: int, count: int) -> tuple[int, int]:  # pragma: no cover
    if step == 0:
        return (0, count) if 0 <= start < limit else (0, 0)
    first = max(0, -(start // step))
    last = min(count, -((start - limit) // step))
    return (first, last) if first < last else (0, 0)


@njit(nogil=True, cache=True, inline="always")
def _squeeze(sums: Any, step: int, means: Grey) -> None:  # pragma: no cover
    """Means of squares from the sums of their columns."""
    # A hair more than the reciprocal, or whole means would fall to the number below.
    share = np.float32((1.0 + 1e-6) / (step * step))
    for x in range(means.size):
        total = np.uint32(step * step // 2)
        for k in range(step):
            total = np.uint32(total + np.uint32(sums[x * step + k]))
        means[x] = np.uint8(i32(np.float32(total) * share))


@njit(nogil=True, cache=True)
def _shrunk(
    picture: Grey, x0: int, y0: int, columns: int, rows: int, step: int
) -> Grey:  # pragma: no cover
    """Means of `step` x `step` pixels from (x0, y0) on, uint8[rows, columns]; step <= 16."""
    out = np.empty((rows, columns), np.uint8)
    if step == 2:
        for y in range(rows):
            upper = picture[y0 + 2 * y, x0 : x0 + 2 * columns]
            lower = picture[y0 + 2 * y + 1, x0 : x0 + 2 * columns]
            means = out[y]
            for x in range(columns):
                total = np.uint16(upper[2 * x]) + np.uint16(upper[2 * x + 1])
                total += np.uint16(lower[2 * x]) + np.uint16(lower[2 * x + 1])
                means[x] = np.uint8(np.uint16(total + 2) >> np.uint16(2))
        return out
    sums = np.empty(columns * step, np.uint16)
    for y in range(rows):
        sums[:] = 0
        for k in range(step):
            row = picture[y0 + y * step + k, x0 : x0 + columns * step]
            for x in range(columns * step):
                sums[x] = np.uint16(sums[x] + np.uint16(row[x]))
        # Only strides that the compiler knows are vectorised.
        if step == 3:
            _squeeze(sums, 3, out[y])
        elif step == 4:
            _squeeze(sums, 4, out[y])
        else:
            _squeeze(sums, step, out[y])
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def cut_crop(picture: Grey, matrix: Float, crop: Grey) -> None:  # pragma: no cover
    """Draw what an affine map shows of a picture, black outside.

    Parameters
    ----------
    picture : uint8[H, W]
        C-contiguous, H and W below 32768.
    matrix : float32[2, 3]
        Picture to crop pixels (centres at whole numbers), near a similarity.
    crop : uint8[S, S]
        Overwritten.

    Notes
    -----
    O(S^2), two or three small allocations. Bilinear, in fixed point: coordinates to 2^-16 pixel,
    weights to 2^-8, so that every machine draws the same crop. Pictures more than twice as large
    as the crop are first averaged over squares of up to 16 pixels, or bilinear sampling would
    alias. Twin: tests/vision/kernels/naive_crop.py.
    """
    size = crop.shape[0]
    height, width = picture.shape
    a = float(matrix[0, 0])
    b = float(matrix[0, 1])
    c = float(matrix[1, 0])
    d = float(matrix[1, 1])
    det = a * d - b * c
    if not abs(det) > 1e-12:
        crop[:] = 0
        return
    # Crop to picture pixels.
    ax = d / det
    bx = -b / det
    ay = -c / det
    by = a / det
    ox = -(ax * matrix[0, 2] + bx * matrix[1, 2])
    oy = -(ay * matrix[0, 2] + by * matrix[1, 2])
    if not (abs(ox) < _FAR and abs(oy) < _FAR):
        crop[:] = 0
        return
    scale = np.sqrt(abs(det))
    if scale < 0.5:
        step = min(int(1.0 / scale), 16)
        middle_x = ox + (ax + bx) * size / 2
        middle_y = oy + (ay + by) * size / 2
        reach_x = size / 2 * (abs(ax) + abs(bx)) + step
        reach_y = size / 2 * (abs(ay) + abs(by)) + step
        x0 = max(int(middle_x - reach_x), 0)
        y0 = max(int(middle_y - reach_y), 0)
        columns = (min(int(middle_x + reach_x) + 1, width) - x0) // step
        rows = (min(int(middle_y + reach_y) + 1, height) - y0) // step
        if columns < 1 or rows < 1:
            crop[:] = 0
            return
        picture = _shrunk(picture, x0, y0, columns, rows, step)
        height, width = rows, columns
        # Pixel centres: x in the picture = x0 + step * x here + (step - 1) / 2.
        ax /= step
        bx /= step
        ay /= step
        by /= step
        ox = (ox - x0 - (step - 1) / 2) / step
        oy = (oy - y0 - (step - 1) / 2) / step
    flat = picture.reshape(-1)
    one = float(1 << _BITS)
    dx = int(np.rint(ax * one))
    dy = int(np.rint(ay * one))
    wide = i32(width)
    right_edge = (width - 1) << _BITS
    lower_edge = (height - 1) << _BITS
    whole = True
    for y in range(0, size, size - 1):
        for x in range(0, size, size - 1):
            u = (bx * y + ax * x + ox) * one
            v = (by * y + ay * x + oy) * one
            # With room for the rounding of the steps.
            whole &= size < u < right_edge - size and size < v < lower_edge - size
    # 32 bits throughout (Numba widens every sum), and loads apart from arithmetic: so all but the
    # loads are vectorised.
    step_x = i32(dx)
    step_y = i32(dy)
    offsets = np.empty(size, np.int32)
    upper = np.empty(size, np.uint16)
    lower = np.empty(size, np.uint16)
    for y in range(size):
        start_x = int(np.rint((bx * y + ox) * one))
        start_y = int(np.rint((by * y + oy) * one))
        first = 0
        last = size
        if not whole:
            first, last = _within(start_x, dx, right_edge, size)
            low, high = _within(start_y, dy, lower_edge, size)
            first = max(first, low)
            last = max(first, min(last, high))
        count = last - first
        row = crop[y, first:last]
        from_x = i32(start_x + first * dx)
        from_y = i32(start_y + first * dy)
        for x in range(count):
            at_x = i32(from_x + i32(i32(x) * step_x))
            at_y = i32(from_y + i32(i32(x) * step_y))
            offsets[x] = i32(i32(i32(at_y >> i32(16)) * wide) + (at_x >> i32(16)))
        for x in range(count):
            upper[x] = _two_at(flat, offsets[x])
            lower[x] = _two_at(flat, i32(offsets[x] + wide))
        for x in range(count):
            at_x = i32(from_x + i32(i32(x) * step_x))
            at_y = i32(from_y + i32(i32(x) * step_y))
            right = i32(i32(at_x >> i32(8)) & i32(255))
            down = i32(i32(at_y >> i32(8)) & i32(255))
            p = i32(upper[x] & np.uint16(255))
            q = i32(upper[x] >> np.uint16(8))
            r = i32(lower[x] & np.uint16(255))
            s = i32(lower[x] >> np.uint16(8))
            top = i32(i32(p << i32(8)) + i32(right * i32(q - p)))
            bottom = i32(i32(r << i32(8)) + i32(right * i32(s - r)))
            grey = i32(i32(top << i32(8)) + i32(down * i32(bottom - top)))
            row[x] = np.uint8(i32(grey + i32(32768)) >> i32(16))
        for x in range(size - count):
            k = x if x < first else x + count
            crop[y, k] = _at_the_edge(picture, start_x + k * dx, start_y + k * dy)


@njit(nogil=True, cache=True)
def _at_the_edge(picture: Grey, u: int, v: int) -> int:  # pragma: no cover
    """Bilinear grey level at fixed-point (u, v), where neighbours may lie outside."""
    height, width = picture.shape
    x = u >> _BITS
    y = v >> _BITS
    if x < -1 or y < -1 or x >= width or y >= height:
        return 0
    right = (u >> (_BITS - 8)) & 255
    down = (v >> (_BITS - 8)) & 255
    total = 1 << 15
    for i in range(2):
        for k in range(2):
            if 0 <= x + k < width and 0 <= y + i < height:
                weight = (right if k else 256 - right) * (down if i else 256 - down)
                total += weight * int(picture[y + i, x + k])
    return total >> 16
