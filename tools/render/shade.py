"""Shading of the z-buffer: wrapped Lambert, soft specular, shadows, ambient light."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(nogil=True, cache=True, fastmath=True)
def light(
    index: Array,
    weight: Array,
    triangles: Array,
    material: Array,
    corner: Array,
    normal: Array,
    position: Array,
    sky: Array,
    skin: Array,
    lines: Array,
    strength: Array,
    strands: Array,
    weave: Array,
    dress: Array,
    albedo: Array,
    gloss: Array,
    eye: Array,
    key: Array,
    fill: Array,
    ambient: Array,
    shadow: Array,
    in_light: Array,
    out: Array,
) -> None:
    """Linear brightness of every drawn pixel.

    Parameters
    ----------
    index, weight
        From `raster.fill`; pixels with index -1 are left alone.
    triangles : int32[M, 3]; material : int8[M]; corner : float32[M, 3, 2]
    normal, position : float32[N, 3]
        Viewer's space, the viewer in direction +z.
    sky : float32[N]
        Ambient occlusion.
    skin : float32[T, T], lines : float32[6, T, T], strength : float32[6]
        Relative reflectance, and how much the lines take from it.
    strands, weave : float32[G, G]
        Textures of hair and of cloth, about 1.
    dress : float32[N]
        Skin above 0 is covered by clothes.
    albedo, gloss : float32[8]
        By material.
    eye : float32[5]
        Radii of pupil and iris in eyeball radii; reflectance of pupil, iris and its rim.
    key, fill : float32[4]
        Direction towards the light and its strength.
    ambient : float32[2]
        Strength from all around and from above.
    shadow : float32[S, S], in_light : float32[N, 3]
        The key light's depth map and the vertices in its space.
    out : float32[H, W]
    """
    height, width = index.shape
    texels, side = skin.shape[0], strands.shape[0]
    far = shadow.shape[0] - 1
    # half way between light and viewer
    hx, hy, hz = key[0], key[1], key[2] + 1.0
    h = np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-6
    hx, hy, hz = hx / h, hy / h, hz / h
    for y in range(height):
        for x in range(width):
            m = index[y, x]
            if m < 0:
                continue
            i, j, k = triangles[m, 0], triangles[m, 1], triangles[m, 2]
            a, b = weight[y, x, 0], weight[y, x, 1]
            c = 1.0 - a - b
            kind = material[m]
            nx = a * normal[i, 0] + b * normal[j, 0] + c * normal[k, 0]
            ny = a * normal[i, 1] + b * normal[j, 1] + c * normal[k, 1]
            nz = a * normal[i, 2] + b * normal[j, 2] + c * normal[k, 2]
            n = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-6
            nx, ny, nz = nx / n, ny / n, nz / n
            if nz < 0.0 and kind >= 6:
                nx, ny, nz = -nx, -ny, -nz
            u = a * corner[m, 0, 0] + b * corner[m, 1, 0] + c * corner[m, 2, 0]
            v = a * corner[m, 0, 1] + b * corner[m, 1, 1] + c * corner[m, 2, 1]
            open_sky = a * sky[i] + b * sky[j] + c * sky[k]
            if kind <= 1 and a * dress[i] + b * dress[j] + c * dress[k] > 0.0:
                kind = 7
            tone = albedo[kind]
            shine, power, wrap = gloss[kind], 8, 0.1
            if kind == 0:
                ty = min(max(int(v * texels), 0), texels - 1)
                tx = min(max(int(u * texels), 0), texels - 1)
                tone *= skin[ty, tx]
                for q in range(len(strength)):
                    if strength[q] > 0.0:
                        tone *= 1.0 - strength[q] * lines[q, ty, tx]
                wrap = 0.3
            elif kind == 3:
                r = np.sqrt(u * u + v * v)
                if r < eye[0]:
                    tone = eye[2]
                elif r < eye[1]:
                    t = (r - eye[0]) / (eye[1] - eye[0])
                    tone = eye[3] + (eye[4] - eye[3]) * t * t * t
                power = 60
            elif kind == 4:
                # the mouth is a cave: the deeper, the darker
                open_sky = 0.25 + 0.5 * open_sky
            elif kind == 5:
                open_sky = 0.05 + 0.35 * open_sky
            elif kind == 7:
                tone *= weave[int(v * side) % side, int(u * side) % side]
            elif kind == 6:
                tone *= strands[int(v * side) % side, int(u * side) % side]
                power = 5
            px = a * in_light[i, 0] + b * in_light[j, 0] + c * in_light[k, 0]
            py = a * in_light[i, 1] + b * in_light[j, 1] + c * in_light[k, 1]
            pz = a * in_light[i, 2] + b * in_light[j, 2] + c * in_light[k, 2]
            cosine = nx * key[0] + ny * key[1] + nz * key[2]
            slack = 0.4 + 2.5 * (1.0 - max(cosine, 0.0)) ** 2
            lit = 0.0
            x0, y0 = int(px), int(py)
            for dy in range(2):
                for dx in range(2):
                    sx = min(max(x0 + dx, 0), far)
                    sy = min(max(y0 + dy, 0), far)
                    if pz < shadow[sy, sx] + slack:
                        share = (px - x0 if dx else 1.0 - px + x0) * (
                            py - y0 if dy else 1.0 - py + y0
                        )
                        lit += share
            if kind == 4 or kind == 5:
                lit *= open_sky
            diffuse = max((cosine + wrap) / (1.0 + wrap), 0.0) * key[3] * lit
            second = nx * fill[0] + ny * fill[1] + nz * fill[2]
            diffuse += max((second + 0.5) / 1.5, 0.0) * fill[3] * open_sky
            diffuse += (ambient[0] + ambient[1] * (0.5 + 0.5 * ny)) * (0.25 + 0.75 * open_sky)
            value = tone * diffuse
            if shine > 0.0 and cosine > 0.0:
                half = max(nx * hx + ny * hy + nz * hz, 0.0)
                value += shine * half**power * key[3] * lit
            out[y, x] = value
