"""Triangles to pixels: z-buffer, normals, shadows; Numba, no graphics hardware."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(nogil=True, cache=True)
def fill(
    points: Array,
    triangles: Array,
    cover: Array,
    corner: Array,
    grain: Array,
    two_sided: bool,
    first: int,
    depth: Array,
    index: Array,
    weight: Array,
) -> None:
    """Draw triangles into a z-buffer.

    Parameters
    ----------
    points : float32[N, 3]
        Pixels (centres at integers) and depth, larger is further away.
    triangles : int32[M, 3]
        Rows of `points`; those that wind the wrong way are skipped unless `two_sided`.
    cover : float32[N]
        Where below 1, a pixel is drawn only if `cover` beats the grain there: frayed edges.
    corner : float32[M, 3, 2]
        Texture coordinates of the corners, which read the grain.
    grain : float32[G, G]
        Uniform in [0, 1], repeats at integers.
    first
        Added to the row of the triangle in `index`.
    depth, index, weight : float32[H, W], int32[H, W], float32[H, W, 2]
        Changed in place; `weight` holds the barycentric weights of corners 0 and 1.
    """
    height, width = depth.shape
    side = grain.shape[0]
    for m in range(len(triangles)):
        i, j, k = triangles[m, 0], triangles[m, 1], triangles[m, 2]
        x0, y0, x1, y1 = points[i, 0], points[i, 1], points[j, 0], points[j, 1]
        x2, y2 = points[k, 0], points[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        # seen from outside, a front corner order runs clockwise with y down: negative here
        if area == 0.0 or (area > 0.0 and not two_sided):
            continue
        left = max(math.ceil(min(x0, x1, x2)), 0)
        right = min(math.floor(max(x0, x1, x2)), width - 1)
        top = max(math.ceil(min(y0, y1, y2)), 0)
        bottom = min(math.floor(max(y0, y1, y2)), height - 1)
        if left > right or top > bottom:
            continue
        z0, z1, z2 = points[i, 2], points[j, 2], points[k, 2]
        solid = cover[i] >= 1.0 and cover[j] >= 1.0 and cover[k] >= 1.0
        over = 1.0 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                a = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) * over
                b = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) * over
                c = 1.0 - a - b
                if a < 0.0 or b < 0.0 or c < 0.0:
                    continue
                z = a * z0 + b * z1 + c * z2
                if z >= depth[y, x]:
                    continue
                if not solid:
                    u = a * corner[m, 0, 0] + b * corner[m, 1, 0] + c * corner[m, 2, 0]
                    v = a * corner[m, 0, 1] + b * corner[m, 1, 1] + c * corner[m, 2, 1]
                    s = grain[int(v * side) % side, int(u * side) % side]
                    if a * cover[i] + b * cover[j] + c * cover[k] <= s:
                        continue
                depth[y, x] = z
                index[y, x] = first + m
                weight[y, x, 0] = a
                weight[y, x, 1] = b


@njit(nogil=True, cache=True)
def shadow_map(points: Array, triangles: Array, depth: Array) -> None:
    """Nearest depth seen from the light: float32[N, 3] light-space pixels into float32[S, S]."""
    height, width = depth.shape
    for m in range(len(triangles)):
        i, j, k = triangles[m, 0], triangles[m, 1], triangles[m, 2]
        x0, y0, x1, y1 = points[i, 0], points[i, 1], points[j, 0], points[j, 1]
        x2, y2 = points[k, 0], points[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= 0.0:
            continue
        left = max(math.ceil(min(x0, x1, x2)), 0)
        right = min(math.floor(max(x0, x1, x2)), width - 1)
        top = max(math.ceil(min(y0, y1, y2)), 0)
        bottom = min(math.floor(max(y0, y1, y2)), height - 1)
        over = 1.0 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                a = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) * over
                b = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) * over
                if a < 0.0 or b < 0.0 or a + b > 1.0:
                    continue
                z = a * points[i, 2] + b * points[j, 2] + (1.0 - a - b) * points[k, 2]
                if z < depth[y, x]:
                    depth[y, x] = z


@njit(nogil=True, cache=True)
def normals(points: Array, triangles: Array) -> Array:
    """Unit vertex normals float32[N, 3], pointing outwards, of float32[N, 3] and int32[M, 3]."""
    out = np.zeros(points.shape, np.float32)
    for m in range(len(triangles)):
        i, j, k = triangles[m, 0], triangles[m, 1], triangles[m, 2]
        ux, uy = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
        uz = points[j, 2] - points[i, 2]
        vx, vy = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1]
        vz = points[k, 2] - points[i, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for q in (i, j, k):
            out[q, 0] += nx
            out[q, 1] += ny
            out[q, 2] += nz
    for q in range(len(out)):
        length = math.sqrt(out[q, 0] ** 2 + out[q, 1] ** 2 + out[q, 2] ** 2)
        if length > 0.0:
            for c in range(3):
                out[q, c] /= length
    return out


@njit(nogil=True, cache=True)
def blend(resting: Array, deltas: Array, rows: Array, strength: Array) -> Array:
    """float32[N, 3]: `resting` plus chosen rows of float32[K, N * 3], each times its strength."""
    out = resting.copy()
    flat = out.reshape(-1)
    for r in range(len(rows)):
        row, s = deltas[rows[r]], strength[rows[r]]
        for q in range(len(flat)):
            flat[q] += s * row[q]
    return out


@njit(nogil=True, cache=True)
def turn(points: Array, head: Array, body: Array, pivot: Array, top: float, span: float) -> Array:
    """float32[N, 3] about `pivot`: by `head` above `top`, by `body` `span` below, else mixed."""
    out = np.empty_like(points)
    for q in range(len(points)):
        x, y, z = points[q, 0] - pivot[0], points[q, 1] - pivot[1], points[q, 2] - pivot[2]
        w = min(max((points[q, 1] - top + span) / span, 0.0), 1.0)
        for c in range(3):
            one = head[c, 0] * x + head[c, 1] * y + head[c, 2] * z
            two = body[c, 0] * x + body[c, 1] * y + body[c, 2] * z
            out[q, c] = w * one + (1.0 - w) * two + pivot[c]
    return out


@njit(nogil=True, cache=True)
def seen_from(points: Array, frame: Array, side: int) -> Array:
    """float32[N, 3] in a far light's map of `side` pixels, and depth; `frame`: right, up, light."""
    out = np.empty_like(points)
    low = np.full(2, 1e9, np.float32)
    high = np.full(2, -1e9, np.float32)
    for q in range(len(points)):
        for c in range(3):
            value = (
                frame[c, 0] * points[q, 0] + frame[c, 1] * points[q, 1] + frame[c, 2] * points[q, 2]
            )
            out[q, c] = value
            if c < 2:
                low[c] = min(low[c], value)
                high[c] = max(high[c], value)
    scale = (side - 3) / max(high[0] - low[0], high[1] - low[1])
    for q in range(len(points)):
        out[q, 0] = (out[q, 0] - low[0]) * scale + 1.0
        out[q, 1] = (high[1] - out[q, 1]) * scale + 1.0
        out[q, 2] = -out[q, 2]
    return out
