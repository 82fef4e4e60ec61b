"""Sparse Lucas-Kanade flow between two face crops, with the information of each vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]

X, Y, GXX, GXY, GYY, RESIDUAL, BACKWARD_ERROR = range(7)
"""Columns of the flow that `lucas_kanade` returns."""
EARLIER, NETWORK, GUESS = range(3)
"""Rows of `in_crop` in `propagate_landmarks`."""
# Duplicated in `kernels.fusion` (see the package docstring); a test compares them.

_SIDE = 8
"""Side of a patch, pixels; `_lerp8` depends on it."""
_WIDE = _SIDE + 2
"""With a border of one pixel. Patches are flat arrays with rows of this length, for long loops."""
_AREA = _SIDE * _SIDE
_FLAT = _SIDE * _WIDE
_MASK = (np.arange(_FLAT) % _WIDE < _SIDE).astype(np.float32)
"""0 for the two border pixels of each row of the flat patch."""


def _lerp8_plain(target: Float, to: int, greys: Grey, at: int, share: float) -> None:
    """`_lerp8` without compilation (NUMBA_DISABLE_JIT)."""
    left, right = greys[at : at + 8].astype(np.float32), greys[at + 1 : at + 9].astype(np.float32)
    target[to : to + 8] = left + np.float32(share) * (right - left)


@intrinsic
def _lerp8(typing: Any, target: Any, to: Any, greys: Any, at: Any, share: Any) -> Any:
    """target[to : to + 8] = (1 - share) greys[at : at + 8] + share greys[at + 1 : at + 9].

    Explicitly vectorised: LLVM unrolls loops of eight before vectorising, and this is the hot spot.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = context.make_array(signature.args[0])(context, builder, args[0]).data
        source = context.make_array(signature.args[2])(context, builder, args[2]).data
        octet = ir.VectorType(ir.IntType(8), 8)
        floats = ir.VectorType(ir.FloatType(), 8)

        def pixels(place: Any) -> Any:
            pointer = builder.bitcast(builder.gep(source, [place]), octet.as_pointer())
            return builder.uitofp(builder.load(pointer, align=1), floats)

        left = pixels(args[3])
        right = pixels(builder.add(args[3], args[3].type(1)))
        empty = ir.Constant(floats, ir.Undefined)
        first = builder.insert_element(empty, args[4], ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8)
        shares = builder.shuffle_vector(first, empty, lanes)
        change = builder.fmul(shares, builder.fsub(right, left), flags=("fast",))
        value = builder.fadd(left, change, flags=("fast",))
        pointer = builder.bitcast(builder.gep(out, [args[1]]), floats.as_pointer())
        builder.store(value, pointer, align=4)
        return context.get_dummy_value()

    return types.void(target, types.int64, greys, types.int64, types.float32), generate


if config.DISABLE_JIT:
    _lerp8 = _lerp8_plain


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def lucas_kanade(
    before: Grey, after: Grey, start: Float, guess: Float, ridge: float, iterations: int
) -> Float:  # pragma: no cover
    """Sparse flow of points from one crop to the next.

    Parameters
    ----------
    before, after : uint8[S, S]
        Face crops of two successive frames, C-contiguous.
    start : float32[N, 2]
        Points in `before`, crop pixels.
    guess : float32[N, 2]
        Predicted positions in `after` for rigid head motion, crop pixels.
    ridge : float
        Regularisation towards the guess, squared grey levels per pixel; dominates along edges and
        without texture.
    iterations : int
        At most; stops at steps below 0.01 pixel.

    Returns
    -------
    float32[N, 7]
        X, Y: position in `after`, crop pixels. GXX, GXY, GYY: structure tensor, summed over the
        patch. RESIDUAL: mean squared residual, squared grey levels. BACKWARD_ERROR: distance of
        backward flow from the start, crop pixels. Where a patch leaves the crop: the guess, zeros
        and -1.

    Notes
    -----
    O(64 N) per iteration, six allocations. Lucas & Kanade 1981 in inverse compositional form (Baker
    & Matthews, IJCV 56, 2004), translation only, invariant to brightness offsets; ours adds the
    ridge. Backward flow (Kalal, Mikolajczyk & Matas, ICPR 2010) is a single step from the start,
    which suffices where both directions agree.
    Twin: tests/vision/kernels/naive_flow.py.
    """
    size_y, size_x = before.shape
    one = np.float32(1.0)
    pull = np.float32(ridge) * np.float32(_AREA)
    per_pixel = one / np.float32(_AREA)
    old = before.reshape(-1)
    new = after.reshape(-1)
    out = np.zeros((start.shape[0], 7), np.float32)
    lines = np.zeros((_WIDE + 1) * _WIDE, np.float32)
    template = np.zeros(_WIDE * _WIDE + 1, np.float32)
    patch = np.zeros(_WIDE * _WIDE + 1, np.float32)
    gx = np.empty(_FLAT, np.float32)
    gy = np.empty(_FLAT, np.float32)
    for i in range(start.shape[0]):
        out[i, X] = guess[i, 0]
        out[i, Y] = guess[i, 1]
        out[i, BACKWARD_ERROR] = -one
        floor_x = np.floor(start[i, 0])
        floor_y = np.floor(start[i, 1])
        x0 = int(floor_x) - _SIDE // 2 - 1
        y0 = int(floor_y) - _SIDE // 2 - 1
        if x0 < 0 or y0 < 0 or x0 + _WIDE >= size_x or y0 + _WIDE >= size_y:
            continue
        # the patch with its border, interpolated in x, then in y
        fx = start[i, 0] - floor_x
        fy = start[i, 1] - floor_y
        for y in range(_WIDE + 1):
            at = (y0 + y) * size_x + x0
            _lerp8(lines, y * _WIDE, old, at, fx)
            _lerp8(lines, y * _WIDE + 2, old, at + 2, fx)
        for k in range(_WIDE * _WIDE):
            template[k] = lines[k] + fy * (lines[k + _WIDE] - lines[k])
        mean_gx = np.float32(0)
        mean_gy = np.float32(0)
        for k in range(_FLAT):
            x = (template[k + _WIDE + 2] - template[k + _WIDE]) * np.float32(0.5)
            y = (template[k + 2 * _WIDE + 1] - template[k + 1]) * np.float32(0.5)
            gx[k] = x
            gy[k] = y
            mean_gx += x * _MASK[k]
            mean_gy += y * _MASK[k]
        mean_gx *= per_pixel
        mean_gy *= per_pixel
        # zero-mean gradients cancel the patch means in every product
        hxx = np.float32(0)
        hxy = np.float32(0)
        hyy = np.float32(0)
        target_x = np.float32(0)
        target_y = np.float32(0)
        for k in range(_FLAT):
            x = (gx[k] - mean_gx) * _MASK[k]
            y = (gy[k] - mean_gy) * _MASK[k]
            gx[k] = x
            gy[k] = y
            hxx += x * x
            hxy += x * y
            hyy += y * y
            target_x += x * template[k + _WIDE + 1]
            target_y += y * template[k + _WIDE + 1]
        inverse_det = one / ((hxx + pull) * (hyy + pull) - hxy * hxy)
        qx = guess[i, 0]
        qy = guess[i, 1]
        inside = iterations > 0
        for _ in range(iterations):
            floor_x = np.floor(qx)
            floor_y = np.floor(qy)
            x0 = int(floor_x) - _SIDE // 2
            y0 = int(floor_y) - _SIDE // 2
            if x0 < 0 or y0 < 0 or x0 + _SIDE >= size_x or y0 + _SIDE >= size_y:
                inside = False
                break
            fx = qx - floor_x
            fy = qy - floor_y
            for y in range(_SIDE + 1):
                _lerp8(lines, y * _WIDE, new, (y0 + y) * size_x + x0, fx)
            ex = target_x + pull * (guess[i, 0] - qx)
            ey = target_y + pull * (guess[i, 1] - qy)
            for k in range(_FLAT):
                grey = lines[k] + fy * (lines[k + _WIDE] - lines[k])
                ex -= gx[k] * grey
                ey -= gy[k] * grey
            dx = ((hyy + pull) * ex - hxy * ey) * inverse_det
            dy = ((hxx + pull) * ey - hxy * ex) * inverse_det
            qx += dx
            qy += dy
            if dx * dx + dy * dy < np.float32(1e-4):
                break
        floor_x = np.floor(qx)
        floor_y = np.floor(qy)
        x0 = int(floor_x) - _SIDE // 2 - 1
        y0 = int(floor_y) - _SIDE // 2 - 1
        if x0 < 0 or y0 < 0 or x0 + _WIDE >= size_x or y0 + _WIDE >= size_y or not inside:
            continue
        out[i, X] = qx
        out[i, Y] = qy
        out[i, GXX] = hxx
        out[i, GXY] = hxy
        out[i, GYY] = hyy
        # backward flow, with gradients at the end of the forward flow
        fx = qx - floor_x
        fy = qy - floor_y
        for y in range(_WIDE + 1):
            at = (y0 + y) * size_x + x0
            _lerp8(lines, y * _WIDE, new, at, fx)
            _lerp8(lines, y * _WIDE + 2, new, at + 2, fx)
        for k in range(_WIDE * _WIDE):
            patch[k] = lines[k] + fy * (lines[k + _WIDE] - lines[k])
        mean_gx = np.float32(0)
        mean_gy = np.float32(0)
        hxx = pull
        hxy = np.float32(0)
        hyy = pull
        ex = np.float32(0)
        ey = np.float32(0)
        change = np.float32(0)
        squared = np.float32(0)
        for k in range(_FLAT):
            x = (patch[k + _WIDE + 2] - patch[k + _WIDE]) * np.float32(0.5) * _MASK[k]
            y = (patch[k + 2 * _WIDE + 1] - patch[k + 1]) * np.float32(0.5) * _MASK[k]
            grey = (patch[k + _WIDE + 1] - template[k + _WIDE + 1]) * _MASK[k]
            mean_gx += x
            mean_gy += y
            hxx += x * x
            hxy += x * y
            hyy += y * y
            ex += x * grey
            ey += y * grey
            change += grey
            squared += grey * grey
        change *= per_pixel
        ex -= mean_gx * change
        ey -= mean_gy * change
        hxx -= mean_gx * mean_gx * per_pixel
        hxy -= mean_gx * mean_gy * per_pixel
        hyy -= mean_gy * mean_gy * per_pixel
        inverse_det = one / (hxx * hyy - hxy * hxy)
        dx = (hyy * ex - hxy * ey) * inverse_det
        dy = (hxx * ey - hxy * ex) * inverse_det
        out[i, RESIDUAL] = max(squared * per_pixel - change * change, np.float32(0))
        out[i, BACKWARD_ERROR] = np.sqrt(dx * dx + dy * dy)
    return out


@njit(nogil=True, cache=True)
def _transformed(matrix: Float, points: Float) -> Float:  # pragma: no cover
    out = np.empty((points.shape[0], 2), np.float32)
    for i in range(points.shape[0]):
        x = points[i, 0]
        y = points[i, 1]
        out[i, 0] = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
        out[i, 1] = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return out


@njit(nogil=True, cache=True)
def _moved_by_similarity(source: Float, target: Float) -> Float:  # pragma: no cover
    """`source` transformed by the least-squares similarity to `target`, see `kernels.geometry`."""
    n = source.shape[0]
    ax = 0.0
    ay = 0.0
    bx = 0.0
    by = 0.0
    for i in range(n):
        ax += source[i, 0]
        ay += source[i, 1]
        bx += target[i, 0]
        by += target[i, 1]
    ax /= n
    ay /= n
    bx /= n
    by /= n
    real = 0.0
    imag = 0.0
    norm = 1e-12
    for i in range(n):
        zx = source[i, 0] - ax
        zy = source[i, 1] - ay
        wx = target[i, 0] - bx
        wy = target[i, 1] - by
        real += zx * wx + zy * wy
        imag += zx * wy - zy * wx
        norm += zx * zx + zy * zy
    c = real / norm
    s = imag / norm
    out = np.empty_like(source)
    for i in range(n):
        zx = source[i, 0] - ax
        zy = source[i, 1] - ay
        out[i, 0] = c * zx - s * zy + bx
        out[i, 1] = s * zx + c * zy + by
    return out


@njit(nogil=True, cache=True)
def propagate_landmarks(
    before: Grey,
    after: Grey,
    matrix_before: Float,
    matrix_after: Float,
    earlier: Float,
    network: Float,
    ridge: float,
    iod: float,
    in_crop: Float,
) -> tuple[Float, float]:  # pragma: no cover
    """`lucas_kanade` for landmarks in frame pixels.

    Parameters
    ----------
    before, after : uint8[S, S]
        Aligned crops of the two frames. The rotation and scale between them are neglected within a
        patch.
    matrix_before, matrix_after : float32[2, 3]
        Frame to crop pixels of each.
    earlier : float32[N, 2]
        Landmarks in the older frame, frame pixels.
    network : float32[N, 2]
        The network's landmarks in the newer frame, frame pixels; only the initial guess.
    ridge : float
        As in `lucas_kanade`.
    iod : float
        Inter-ocular distance, crop pixels.
    in_crop : float32[3, N, 2]
        Overwritten, in pixels of the newer crop. EARLIER and NETWORK: those points. GUESS: start of
        the flow, `earlier` moved to `network` by a similarity.

    Returns
    -------
    float32[N, 7]
        See `lucas_kanade`.
    float
        Mean distance from `earlier` to the guess, inter-ocular distances; -1, and no flow, where
        the network's points are 0.25 IOD away on average, which is a jump.
    """
    in_crop[EARLIER] = _transformed(matrix_after, earlier)
    in_crop[NETWORK] = _transformed(matrix_after, network)
    in_crop[GUESS] = _moved_by_similarity(in_crop[EARLIER], in_crop[NETWORK])
    n = earlier.shape[0]
    apart = 0.0
    moved = 0.0
    for i in range(n):
        x = in_crop[EARLIER, i, 0]
        y = in_crop[EARLIER, i, 1]
        apart += np.hypot(in_crop[NETWORK, i, 0] - x, in_crop[NETWORK, i, 1] - y)
        moved += np.hypot(in_crop[GUESS, i, 0] - x, in_crop[GUESS, i, 1] - y)
    if not apart <= 0.25 * iod * n:
        return np.zeros((n, 7), np.float32), -1.0
    start = _transformed(matrix_before, earlier)
    flow = lucas_kanade(before, after, start, in_crop[GUESS], ridge, 8)
    return flow, moved / (iod * n)
