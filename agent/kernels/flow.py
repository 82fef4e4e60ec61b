"""Sparse optical flow between two crops, and its fusion with the network's landmarks."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def flow_points(
    before: Grey, after: Grey, start: Float, guess: Float, ridge: float, iterations: int
) -> Float:  # pragma: no cover
    """Follow points from one crop to the next.

    Parameters
    ----------
    before, after : uint8[S, S]
        The same crop of two successive frames.
    start : float32[N, 2]
        Points in `before`, crop pixels.
    guess : float32[N, 2]
        Where they should be in `after` if the head moved rigidly, crop pixels.
    ridge : float
        Pull towards the guess, squared grey levels per pixel; decides along edges and on bare skin.
    iterations : int

    Returns
    -------
    float32[N, 3]
        x and y in `after`, and the mean absolute grey difference that is left; -1 where a patch
        left the crop, with the guess as the answer.

    Notes
    -----
    O(64 N) per iteration, one allocation. Lucas & Kanade 1981 in the inverse
    compositional form (Baker & Matthews, IJCV 56, 2004), translation only, patch means removed
    against changing light; ours adds the ridge. No pyramid: the crop follows the head.
    Twin: tests/kernels/naive_flow.py.
    """
    size_y, size_x = before.shape
    one = np.float32(1.0)
    area = np.float32(64)
    pull = np.float32(ridge) * area
    out = np.empty((start.shape[0], 3), np.float32)
    wide = np.empty((10, 10), np.float32)
    # Patches of 8 x 8 lie flat, rows are views: so the inner loops are vectorised.
    template = np.empty(64, np.float32)
    gx = np.empty(64, np.float32)
    gy = np.empty(64, np.float32)
    patch = np.empty(64, np.float32)
    for i in range(start.shape[0]):
        qx = guess[i, 0]
        qy = guess[i, 1]
        out[i, 0] = qx
        out[i, 1] = qy
        out[i, 2] = -1.0
        floor_x = np.floor(start[i, 0])
        floor_y = np.floor(start[i, 1])
        x0 = int(floor_x) - 5
        y0 = int(floor_y) - 5
        if x0 < 0 or y0 < 0 or x0 + 11 > size_x or y0 + 11 > size_y:
            continue
        fx = start[i, 0] - floor_x
        fy = start[i, 1] - floor_y
        a = (one - fx) * (one - fy)
        b = fx * (one - fy)
        c = (one - fx) * fy
        d = fx * fy
        for y in range(10):
            row = before[y0 + y, x0 : x0 + 11]
            below = before[y0 + y + 1, x0 : x0 + 11]
            for x in range(10):
                wide[y, x] = a * row[x] + b * row[x + 1] + c * below[x] + d * below[x + 1]
        for y in range(8):
            for x in range(8):
                gx[y * 8 + x] = (wide[y + 1, x + 2] - wide[y + 1, x]) * np.float32(0.5)
                gy[y * 8 + x] = (wide[y + 2, x + 1] - wide[y, x + 1]) * np.float32(0.5)
                template[y * 8 + x] = wide[y + 1, x + 1]
        mean = np.float32(0)
        mean_gx = np.float32(0)
        mean_gy = np.float32(0)
        for k in range(64):
            mean += template[k]
            mean_gx += gx[k]
            mean_gy += gy[k]
        mean /= area
        mean_gx /= area
        mean_gy /= area
        hxx = pull
        hxy = np.float32(0)
        hyy = pull
        for k in range(64):
            template[k] -= mean
            gx[k] -= mean_gx
            gy[k] -= mean_gy
            hxx += gx[k] * gx[k]
            hxy += gx[k] * gy[k]
            hyy += gy[k] * gy[k]
        inverse_det = one / (hxx * hyy - hxy * hxy)
        left = np.float32(-1)
        for _ in range(iterations):
            floor_x = np.floor(qx)
            floor_y = np.floor(qy)
            x0 = int(floor_x) - 4
            y0 = int(floor_y) - 4
            if x0 < 0 or y0 < 0 or x0 + 9 > size_x or y0 + 9 > size_y:
                left = np.float32(-1)
                break
            fx = qx - floor_x
            fy = qy - floor_y
            a = (one - fx) * (one - fy)
            b = fx * (one - fy)
            c = (one - fx) * fy
            d = fx * fy
            for y in range(8):
                row = after[y0 + y, x0 : x0 + 9]
                below = after[y0 + y + 1, x0 : x0 + 9]
                for x in range(8):
                    patch[y * 8 + x] = a * row[x] + b * row[x + 1] + c * below[x] + d * below[x + 1]
            mean_now = np.float32(0)
            for k in range(64):
                mean_now += patch[k]
            mean_now /= area
            ex = np.float32(0)
            ey = np.float32(0)
            left = np.float32(0)
            for k in range(64):
                e = template[k] - patch[k] + mean_now
                ex += gx[k] * e
                ey += gy[k] * e
                left += abs(e)
            left /= area
            ex += pull * (guess[i, 0] - qx)
            ey += pull * (guess[i, 1] - qy)
            dx = (hyy * ex - hxy * ey) * inverse_det
            dy = (hxx * ey - hxy * ex) * inverse_det
            qx += dx
            qy += dy
            if dx * dx + dy * dy < np.float32(1e-4):
                break
        if left >= 0:
            out[i, 0] = qx
            out[i, 1] = qy
            out[i, 2] = left
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
