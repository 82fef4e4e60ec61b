"""Sparse optical flow between two crops, and its fusion with the network's landmarks."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]


_SIDE = 8
"""Of a patch, pixels; `_lerp8` is made for it."""
_WIDE = _SIDE + 2
"""With a pixel around it. Patches lie flat in rows of this length, so that the loops are long."""
_AREA = _SIDE * _SIDE
_FLAT = _SIDE * _WIDE
_INSIDE = (np.arange(_FLAT) % _WIDE < _SIDE).astype(np.float32)
"""0 where a row of the flat patch has its two spare pixels."""


@intrinsic
def _lerp8(typing: Any, target: Any, to: Any, greys: Any, at: Any, share: Any) -> Any:
    """target[to : to + 8] = (1 - share) greys[at : at + 8] + share greys[at + 1 : at + 9].

    As vectors from the start: LLVM unrolls loops of eight before it could vectorise them, and this
    is where the time goes.
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


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def flow_points(
    before: Grey, after: Grey, start: Float, guess: Float, ridge: float, iterations: int
) -> Float:  # pragma: no cover
    """Follow points from one crop to the next.

    Parameters
    ----------
    before, after : uint8[S, S]
        The same crop of two successive frames, C-contiguous.
    start : float32[N, 2]
        Points in `before`, crop pixels.
    guess : float32[N, 2]
        Where they should be in `after` if the head moved rigidly, crop pixels.
    ridge : float
        Pull towards the guess, squared grey levels per pixel; decides along edges and on bare skin.
    iterations : int
        At most; a point is done when a step is below a hundredth of a pixel.

    Returns
    -------
    float32[N, 3]
        x and y in `after`, and 1; or the guess and -1 where a patch left the crop.

    Notes
    -----
    O(64 N) per iteration, five allocations. Lucas & Kanade 1981 in the inverse compositional form
    (Baker & Matthews, IJCV 56, 2004), translation only, patch means removed against changing light;
    ours adds the ridge. No pyramid: the crop follows the head.
    Twin: tests/kernels/naive_geometry.py.
    """
    size_y, size_x = before.shape
    one = np.float32(1.0)
    pull = np.float32(ridge) * np.float32(_AREA)
    per_pixel = one / np.float32(_AREA)
    old = before.reshape(-1)
    new = after.reshape(-1)
    out = np.empty((start.shape[0], 3), np.float32)
    lines = np.zeros((_WIDE + 1) * _WIDE, np.float32)
    wide = np.zeros(_WIDE * _WIDE + 1, np.float32)
    gx = np.empty(_FLAT, np.float32)
    gy = np.empty(_FLAT, np.float32)
    for i in range(start.shape[0]):
        out[i, 0] = guess[i, 0]
        out[i, 1] = guess[i, 1]
        out[i, 2] = -1.0
        floor_x = np.floor(start[i, 0])
        floor_y = np.floor(start[i, 1])
        x0 = int(floor_x) - _SIDE // 2 - 1
        y0 = int(floor_y) - _SIDE // 2 - 1
        if x0 < 0 or y0 < 0 or x0 + _WIDE >= size_x or y0 + _WIDE >= size_y:
            continue
        # The patch with one pixel around it: between columns, then between rows.
        fx = start[i, 0] - floor_x
        fy = start[i, 1] - floor_y
        for y in range(_WIDE + 1):
            at = (y0 + y) * size_x + x0
            _lerp8(lines, y * _WIDE, old, at, fx)
            _lerp8(lines, y * _WIDE + 2, old, at + 2, fx)
        for k in range(_WIDE * _WIDE):
            wide[k] = lines[k] + fy * (lines[k + _WIDE] - lines[k])
        mean_gx = np.float32(0)
        mean_gy = np.float32(0)
        for k in range(_FLAT):
            # The two spare pixels of each row count for nothing.
            x = (wide[k + _WIDE + 2] - wide[k + _WIDE]) * np.float32(0.5)
            y = (wide[k + 2 * _WIDE + 1] - wide[k + 1]) * np.float32(0.5)
            gx[k] = x
            gy[k] = y
            mean_gx += x * _INSIDE[k]
            mean_gy += y * _INSIDE[k]
        mean_gx *= per_pixel
        mean_gy *= per_pixel
        # Gradients without their mean make the means of the patches drop out of every product.
        hxx = pull
        hxy = np.float32(0)
        hyy = pull
        wanted_x = np.float32(0)
        wanted_y = np.float32(0)
        for k in range(_FLAT):
            x = (gx[k] - mean_gx) * _INSIDE[k]
            y = (gy[k] - mean_gy) * _INSIDE[k]
            gx[k] = x
            gy[k] = y
            hxx += x * x
            hxy += x * y
            hyy += y * y
            wanted_x += x * wide[k + _WIDE + 1]
            wanted_y += y * wide[k + _WIDE + 1]
        inverse_det = one / (hxx * hyy - hxy * hxy)
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
            ex = wanted_x + pull * (guess[i, 0] - qx)
            ey = wanted_y + pull * (guess[i, 1] - qy)
            for k in range(_FLAT):
                grey = lines[k] + fy * (lines[k + _WIDE] - lines[k])
                ex -= gx[k] * grey
                ey -= gy[k] * grey
            dx = (hyy * ex - hxy * ey) * inverse_det
            dy = (hxx * ey - hxy * ex) * inverse_det
            qx += dx
            qy += dy
            if dx * dx + dy * dy < np.float32(1e-4):
                break
        if inside:
            out[i, 0] = qx
            out[i, 1] = qy
            out[i, 2] = 1.0
    return out


@njit(nogil=True, cache=True)
def fuse(
    flow: Float, network: Float, gain: float, near: float, far: float
) -> Float:  # pragma: no cover
    """Flow corrected slowly by the network, and quickly where the two disagree widely.

    Parameters
    ----------
    flow : float32[N, 3]
        From `flow_points`, crop pixels.
    network : float32[N, 2]
        The network's landmarks, crop pixels.
    gain : float
        Share of the difference taken over in this frame, in [0, 1].
    near, far : float
        Disagreement, crop pixels: up to `near` the flow is trusted, from `far` on the network.

    Returns
    -------
    float32[N, 2]
        Crop pixels.
    """
    out = np.empty((flow.shape[0], 2), np.float32)
    for i in range(flow.shape[0]):
        dx = network[i, 0] - flow[i, 0]
        dy = network[i, 1] - flow[i, 1]
        share = gain
        if flow[i, 2] < 0.0:
            share = max(gain, 0.5)
        apart = np.sqrt(dx * dx + dy * dy)
        if apart > near:
            share = max(share, min(1.0, (apart - near) / (far - near)))
        out[i, 0] = flow[i, 0] + share * dx
        out[i, 1] = flow[i, 1] + share * dy
    return out


@njit(nogil=True, cache=True)
def _through(matrix: Float, points: Float) -> Float:  # pragma: no cover
    out = np.empty_like(points)
    for i in range(points.shape[0]):
        x = points[i, 0]
        y = points[i, 1]
        out[i, 0] = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
        out[i, 1] = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return out


@njit(nogil=True, cache=True)
def _moved_rigidly(source: Float, target: Float) -> Float:  # pragma: no cover
    """`source` after the least-squares similarity onto `target`; as `kernels.geometry`."""
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
def carry_over(
    before: Grey,
    after: Grey,
    matrix_before: Float,
    matrix_after: Float,
    earlier: Float,
    network: Float,
    gain: float,
    iod: float,
) -> Float:  # pragma: no cover
    """Landmarks of one frame from those of the frame before, by flow and the network.

    Parameters
    ----------
    before, after : uint8[S, S]
        The face's aligned crops of the two frames. Each was cut around its own guess; what turn and
        scale lie between them within a frame is too little to matter to a patch.
    matrix_before, matrix_after : float32[2, 3]
        Frame to crop pixels of either.
    earlier : float32[N, 2]
        Landmarks in the older frame, frame pixels.
    network : float32[N, 2]
        The network's landmarks in the newer frame, frame pixels.
    gain : float
        As in `fuse`.
    iod : float
        Inter-ocular distance, crop pixels.

    Returns
    -------
    float32[N, 2]
        Frame pixels; simply `network` where the points moved by a quarter of the IOD in the mean.
    """
    wanted = _through(matrix_after, network)
    start = _through(matrix_after, earlier)
    apart = 0.0
    for i in range(start.shape[0]):
        apart += abs(wanted[i, 0] - start[i, 0]) + abs(wanted[i, 1] - start[i, 1])
    if apart > 0.5 * iod * start.shape[0]:
        return network.copy()
    flow = flow_points(
        before, after, _through(matrix_before, earlier), _moved_rigidly(start, wanted), 4.0, 4
    )
    fused = fuse(flow, wanted, gain, 0.06 * iod, 0.14 * iod)
    # Back to the frame: the inverse of a similarity.
    a = matrix_after[0, 0]
    c = matrix_after[1, 0]
    area = a * a + c * c
    out = np.empty_like(fused)
    for i in range(fused.shape[0]):
        x = fused[i, 0] - matrix_after[0, 2]
        y = fused[i, 1] - matrix_after[1, 2]
        out[i, 0] = (a * x + c * y) / area
        out[i, 1] = (a * y - c * x) / area
    return out
