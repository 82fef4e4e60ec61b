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
    O(81 N) per iteration, one allocation. Lucas & Kanade 1981 in the inverse
    compositional form (Baker & Matthews, IJCV 56, 2004), translation only, patch means removed
    against changing light; ours adds the ridge. No pyramid: the crop follows the head.
    Twin: tests/kernels/naive_flow.py.
    """
    size_y, size_x = before.shape
    one = np.float32(1.0)
    area = np.float32(81)
    pull = np.float32(ridge) * area
    out = np.empty((start.shape[0], 3), np.float32)
    wide = np.empty((11, 16), np.float32)
    # Patches lie flat, rows are views: so the inner loops are vectorised.
    template = np.empty(81, np.float32)
    gx = np.empty(81, np.float32)
    gy = np.empty(81, np.float32)
    patch = np.empty(81, np.float32)
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
        if x0 < 0 or y0 < 0 or x0 + 12 > size_x or y0 + 12 > size_y:
            continue
        fx = start[i, 0] - floor_x
        fy = start[i, 1] - floor_y
        a = (one - fx) * (one - fy)
        b = fx * (one - fy)
        c = (one - fx) * fy
        d = fx * fy
        for y in range(11):
            row = before[y0 + y, x0 : x0 + 12]
            below = before[y0 + y + 1, x0 : x0 + 12]
            for x in range(11):
                wide[y, x] = a * row[x] + b * row[x + 1] + c * below[x] + d * below[x + 1]
        for y in range(9):
            for x in range(9):
                gx[y * 9 + x] = (wide[y + 1, x + 2] - wide[y + 1, x]) * np.float32(0.5)
                gy[y * 9 + x] = (wide[y + 2, x + 1] - wide[y, x + 1]) * np.float32(0.5)
                template[y * 9 + x] = wide[y + 1, x + 1]
        mean = np.float32(0)
        mean_gx = np.float32(0)
        mean_gy = np.float32(0)
        for k in range(81):
            mean += template[k]
            mean_gx += gx[k]
            mean_gy += gy[k]
        mean /= area
        mean_gx /= area
        mean_gy /= area
        hxx = pull
        hxy = np.float32(0)
        hyy = pull
        for k in range(81):
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
            if x0 < 0 or y0 < 0 or x0 + 10 > size_x or y0 + 10 > size_y:
                left = np.float32(-1)
                break
            fx = qx - floor_x
            fy = qy - floor_y
            a = (one - fx) * (one - fy)
            b = fx * (one - fy)
            c = (one - fx) * fy
            d = fx * fy
            for y in range(9):
                row = after[y0 + y, x0 : x0 + 10]
                below = after[y0 + y + 1, x0 : x0 + 10]
                for x in range(9):
                    patch[y * 9 + x] = a * row[x] + b * row[x + 1] + c * below[x] + d * below[x + 1]
            mean_now = np.float32(0)
            for k in range(81):
                mean_now += patch[k]
            mean_now /= area
            ex = np.float32(0)
            ey = np.float32(0)
            left = np.float32(0)
            for k in range(81):
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
            if dx * dx + dy * dy < np.float32(4e-4):
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
