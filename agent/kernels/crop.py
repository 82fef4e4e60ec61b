"""Affine warp of an image into a square crop, and the likeness of two crops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]
i32 = np.int32
u16 = np.uint16
Grey = NDArray[np.uint8]

_BITS = 16
"""Fractional bits of fixed-point coordinates; the upper 8 are the bilinear weights."""
_MAX_OFFSET = 1e9
"""Pixels. A crop with a larger or non-finite translation is black."""


def _load_pair_plain(greys: Grey, at: int) -> np.uint16:
    """`_load_pair` without compilation (NUMBA_DISABLE_JIT)."""
    return np.uint16(int(greys[at]) | int(greys[at + 1]) << 8)


@intrinsic
def _load_pair(typing: Any, greys: Any, at: Any) -> Any:
    """Grey levels at `at` and `at + 1` in one load: uint16, the first in the low byte."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.gep(data, [args[1]])
        pair = context.get_value_type(types.uint16).as_pointer()
        return builder.load(builder.bitcast(place, pair), align=1)

    return types.uint16(greys, types.int64), generate


if config.DISABLE_JIT:
    _load_pair = _load_pair_plain


@kernel()
def _index_range(
    start: int, step: int, limit: int, count: int
) -> tuple[int, int]:  # pragma: no cover
    """Half-open range of integers k in [0, count) with 0 <= start + k * step < limit."""
    if step < 0:
        first, last = _ascending_range(start + (count - 1) * step, -step, limit, count)
        return count - last, count - first
    return _ascending_range(start, step, limit, count)


@kernel()
def _ascending_range(
    start: int, step: int, limit: int, count: int
) -> tuple[int, int]:  # pragma: no cover
    if step == 0:
        return (0, count) if 0 <= start < limit else (0, 0)
    first = max(0, -(start // step))
    last = min(count, -((start - limit) // step))
    return (first, last) if first < last else (0, 0)


@kernel(inline="always")
def _block_means(sums: Any, step: int, means: Grey) -> None:  # pragma: no cover
    """Means of square blocks from their column sums."""
    # slightly above the reciprocal, or exact means would be rounded down
    share = np.float32((1.0 + 1e-6) / (step * step))
    for x in range(means.size):
        total = np.uint32(step * step // 2)
        for k in range(step):
            total = np.uint32(total + np.uint32(sums[x * step + k]))
        means[x] = np.uint8(i32(np.float32(total) * share))


@kernel()
def halve(image: Grey, x0: int, y0: int, out: Grey) -> None:  # pragma: no cover
    """Means of 2 x 2 pixels, rounded half up, as OpenCV's resizing to the half gives them.

    Parameters
    ----------
    image : uint8[H', W']
        C-contiguous, H' >= y0 + 2 H, W' >= x0 + 2 W.
    x0, y0 : int
        Where the part begins.
    out : uint8[H, W]
        Overwritten.
    """
    for y in range(out.shape[0]):
        upper = image[y0 + 2 * y, x0 : x0 + 2 * out.shape[1]]
        lower = image[y0 + 2 * y + 1, x0 : x0 + 2 * out.shape[1]]
        means = out[y]
        for x in range(out.shape[1]):
            total = u16(u16(upper[2 * x]) + u16(upper[2 * x + 1]))
            total = u16(total + u16(u16(lower[2 * x]) + u16(lower[2 * x + 1])))
            means[x] = np.uint8(u16(total + u16(2)) >> u16(2))


@kernel()
def _downscaled(
    image: Grey, x0: int, y0: int, columns: int, rows: int, step: int
) -> Grey:  # pragma: no cover
    """Means of `step` x `step` blocks from (x0, y0), uint8[rows, columns]; step <= 16."""
    out = np.empty((rows, columns), np.uint8)
    if step == 2:
        halve(image, x0, y0, out)
        return out
    sums = np.empty(columns * step, np.uint16)
    for y in range(rows):
        sums[:] = 0
        for k in range(step):
            row = image[y0 + y * step + k, x0 : x0 + columns * step]
            for x in range(columns * step):
                sums[x] = np.uint16(sums[x] + np.uint16(row[x]))
        # loops are vectorised for constant strides only
        if step == 3:
            _block_means(sums, 3, out[y])
        elif step == 4:
            _block_means(sums, 4, out[y])
        else:
            _block_means(sums, step, out[y])
    return out


@kernel(error_model="numpy")
def cut_crop(image: Grey, matrix: Float, crop: Grey) -> None:  # pragma: no cover
    """Warp an image into a crop, black outside.

    Parameters
    ----------
    image : uint8[H, W]
        C-contiguous, H and W below 32768.
    matrix : float32[2, 3]
        Image to crop pixels (pixel centres at integers), near a similarity.
    crop : uint8[S, S]
        Overwritten.

    Notes
    -----
    O(S^2), two or three small allocations. Bilinear in fixed point (coordinates to 2^-16 pixel,
    weights to 2^-8), so that results are equal on every machine. Downscaling by more than two
    first averages blocks of up to 16 x 16 pixels, since bilinear sampling aliases.
    Twin: tests/kernels/naive_crop.py.
    """
    size = crop.shape[0]
    height, width = image.shape
    a = float(matrix[0, 0])
    b = float(matrix[0, 1])
    c = float(matrix[1, 0])
    d = float(matrix[1, 1])
    det = a * d - b * c
    if not abs(det) > 1e-12:
        crop[:] = 0
        return
    # Crop to image pixels.
    ax = d / det
    bx = -b / det
    ay = -c / det
    by = a / det
    ox = -(ax * matrix[0, 2] + bx * matrix[1, 2])
    oy = -(ay * matrix[0, 2] + by * matrix[1, 2])
    if not (abs(ox) < _MAX_OFFSET and abs(oy) < _MAX_OFFSET):
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
        image = _downscaled(image, x0, y0, columns, rows, step)
        height, width = rows, columns
        # pixel centres: x in the image = x0 + step * x + (step - 1) / 2
        ax /= step
        bx /= step
        ay /= step
        by /= step
        ox = (ox - x0 - (step - 1) / 2) / step
        oy = (oy - y0 - (step - 1) / 2) / step
    flat = image.reshape(-1)
    below = flat[width:]
    one = float(1 << _BITS)
    dx = int(np.rint(ax * one))
    dy = int(np.rint(ay * one))
    wide = i32(width)
    right_edge = (width - 1) << _BITS
    lower_edge = (height - 1) << _BITS
    inside = True
    for y in range(0, size, size - 1):
        for x in range(0, size, size - 1):
            u = (bx * y + ax * x + ox) * one
            v = (by * y + ay * x + oy) * one
            # with a margin for the rounding of the steps
            inside &= size < u < right_edge - size and size < v < lower_edge - size
    # Casts to 32 and 16 bits (Numba widens every sum) and loads apart from arithmetic, for
    # vectorisation. Sixteen bits may wrap on the way: what is interpolated in x fits in them.
    step_x = i32(dx)
    step_y = i32(dy)
    offsets = np.empty(size, np.int32)
    rights = np.empty(size, np.uint16)
    downs = np.empty(size, np.uint16)
    upper = np.empty(size, np.uint16)
    lower = np.empty(size, np.uint16)
    for y in range(size):
        start_x = int(np.rint((bx * y + ox) * one))
        start_y = int(np.rint((by * y + oy) * one))
        first = 0
        last = size
        if not inside:
            first, last = _index_range(start_x, dx, right_edge, size)
            low, high = _index_range(start_y, dy, lower_edge, size)
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
            rights[x] = u16(i32(at_x >> i32(8)) & i32(255))
            downs[x] = u16(i32(at_y >> i32(8)) & i32(255))
        for x in range(count):
            at = np.int64(offsets[x])
            # both before either is stored: the compiler cannot know that no array overlaps
            pair_above = _load_pair(flat, at)
            pair_below = _load_pair(below, at)
            upper[x] = pair_above
            lower[x] = pair_below
        for x in range(count):
            right = rights[x]
            p = u16(upper[x] & u16(255))
            q = u16(upper[x] >> u16(8))
            r = u16(lower[x] & u16(255))
            s = u16(lower[x] >> u16(8))
            top = i32(u16(u16(p << u16(8)) + u16(right * u16(q - p))))
            bottom = i32(u16(u16(r << u16(8)) + u16(right * u16(s - r))))
            grey = i32(i32(top << i32(8)) + i32(i32(downs[x]) * i32(bottom - top)))
            row[x] = np.uint8(i32(grey + i32(32768)) >> i32(16))
        for x in range(size - count):
            k = x if x < first else x + count
            crop[y, k] = _edge_pixel(image, start_x + k * dx, start_y + k * dy)


@kernel()
def _edge_pixel(image: Grey, u: int, v: int) -> int:  # pragma: no cover
    """Bilinear grey level at fixed-point (u, v), with pixels outside black."""
    height, width = image.shape
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
                total += weight * int(image[y + i, x + k])
    return total >> 16


@kernel()
def correlation(a: Grey, b: Grey, step: int) -> float:  # pragma: no cover
    """Pearson's correlation of two images of the same size, of every `step`-th pixel.

    Parameters
    ----------
    a, b : uint8[H, W]
        Without contrast the correlation is 0.
    step : int
        From half a step on, so that the samples lie in the middle.
    """
    count = 0
    sum_a = 0
    sum_b = 0
    aa = 0
    bb = 0
    ab = 0
    for y in range(step // 2, a.shape[0], step):
        for x in range(step // 2, a.shape[1], step):
            p = int(a[y, x])
            q = int(b[y, x])
            count += 1
            sum_a += p
            sum_b += q
            aa += p * p
            bb += q * q
            ab += p * q
    # in whole numbers, so that it is exact and equal on every machine
    spread = float(count * aa - sum_a * sum_a) * float(count * bb - sum_b * sum_b)
    return float(count * ab - sum_a * sum_b) / np.sqrt(spread) if spread > 0.0 else 0.0
