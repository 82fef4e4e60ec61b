"""What hides a part of a face in the wild: masks, sunglasses, hands, hair, hard shadows.

All draw into a crop whose points are known; sizes follow its outer eye-corner distance (IOD).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey

Ground = Callable[[], Grey]
"""Draws a picture without a face, as large as the crop: something to cut fabric from."""
Mask = NDArray[np.uint8]

NOSE_TIP, CHIN = 30, 8
JAW, BRIDGE = slice(1, 16), slice(27, 31)


def cover(crop: Grey, points: Float, ground: Ground, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Hide a part of the face, in place.

    Parameters
    ----------
    crop : uint8[H, W]
    points : float32[68, 2]
        In its pixels.

    Returns
    -------
    bool[68]
        Which points can no longer be seen.
    """
    iod = float(np.hypot(*(points[45] - points[36])))
    shape = crop.shape
    kind = rng.random()
    if kind < 0.4:
        area, front = mask_area(shape, points, rng), _fabric(shape, ground, rng)
    elif kind < 0.6:
        area, front = glasses_area(shape, points, iod, rng), _flat(shape, rng.uniform(0, 70), rng)
    elif kind < 0.85:
        area = hand_area(shape, points, iod, rng)
        front = _flat(shape, _tone(crop, points) * rng.uniform(0.7, 1.3), rng)
    else:
        area, front = hair_area(shape, points, iod, rng), _flat(shape, rng.uniform(5, 200), rng)
    seen_through = rng.uniform(0, 0.25) if rng.random() < 0.2 else 0.0
    share = cv2.GaussianBlur(area, (0, 0), rng.uniform(0.5, 1.2)).astype(np.float32) / 255
    share *= np.float32(1 - seen_through)
    crop[:] = (crop * (1 - share) + front * share).astype(np.uint8)
    x, y = np.round(points).astype(int).T
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    hidden = np.zeros(len(points), np.bool_)
    hidden[inside] = area[y[inside], x[inside]] > 0
    return hidden


def mask_area(shape: tuple[int, ...], points: Float, rng: np.random.Generator) -> Mask:
    """A face mask, uint8[H, W], 255 where it is: from somewhere on the nose to below the chin."""
    bridge = points[BRIDGE]
    at = rng.uniform(0.2, 3.0)
    low = int(at)
    top = bridge[low] + (at - low) * (bridge[min(low + 1, 3)] - bridge[low])
    if rng.random() < 0.12:  # worn below the nose
        top = points[33]
    jaw = points[JAW]
    middle = points[33]
    edge = (jaw - middle) * rng.uniform(0.95, 1.12) + middle
    first = int(rng.integers(0, 3))
    edge = edge[first : len(edge) - first]
    sag = (edge[0] + edge[-1]) / 2 * (1 - rng.uniform(0.5, 1.0)) + top * rng.uniform(0.5, 1.0)
    crest = np.stack([(edge[-1] + top) / 2, top, (edge[0] + top) / 2])
    if rng.random() < 0.5:  # stiff: straight from cheek to nose; else it hangs
        crest[[0, 2]] = crest[[0, 2]] * 0.8 + sag * 0.2
    return _filled(shape, np.concatenate([edge, crest]))


def glasses_area(
    shape: tuple[int, ...], points: Float, iod: float, rng: np.random.Generator
) -> Mask:
    """Dark glasses: two lenses, a bridge, the temples."""
    area = np.zeros(shape, np.uint8)
    across = points[45] - points[36]
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    size = iod * rng.uniform([0.19, 0.13], [0.27, 0.22])
    below = np.array([0, iod * rng.uniform(-0.02, 0.06)])
    lenses = [points[36:42].mean(0) + below, points[42:48].mean(0) + below]
    round_lenses = rng.random() < 0.5
    for lens in lenses:
        if round_lenses:
            cv2.ellipse(area, _pixel(lens), _pixel(size), angle, 0, 360, 255, -1)
        else:
            box = (tuple(map(float, lens)), tuple(map(float, 2 * size)), angle)
            cv2.fillConvexPoly(area, cv2.boxPoints(box).astype(np.int32), 255)
    thick = max(round(iod * rng.uniform(0.02, 0.05)), 1)
    cv2.line(area, _pixel(lenses[0]), _pixel(lenses[1]), 255, thick)
    for lens, ear in zip(lenses, (points[0], points[16]), strict=True):
        cv2.line(area, _pixel(lens), _pixel(ear), 255, thick)
    return area


def hand_area(shape: tuple[int, ...], points: Float, iod: float, rng: np.random.Generator) -> Mask:
    """Some fingers, now and then with the palm, from outside onto cheek, mouth, chin or brow."""
    area = np.zeros(shape, np.uint8)
    goal = points[int(rng.choice([3, 8, 13, 19, 24, 33, 51, 57]))] + rng.normal(0, 0.1 * iod, 2)
    angle = rng.uniform(0, 2 * np.pi)
    away = np.array([np.cos(angle), np.sin(angle)])
    beside = np.array([-away[1], away[0]])
    thick = iod * rng.uniform(0.13, 0.22)
    fingers = int(rng.integers(1, 5))
    for k in range(fingers):
        tip = goal + beside * thick * 1.1 * (k - (fingers - 1) / 2) + away * rng.normal(0, thick)
        root = tip + away * iod * rng.uniform(0.5, 1.2) + beside * rng.normal(0, 0.3 * thick)
        cv2.line(area, _pixel(tip), _pixel(root), 255, max(round(thick), 2))
    if rng.random() < 0.6:
        palm = goal + away * iod * rng.uniform(0.7, 1.2)
        size = iod * rng.uniform(0.3, 0.5, 2)
        cv2.ellipse(area, _pixel(palm), _pixel(size), float(np.degrees(angle)), 0, 360, 255, -1)
    return area


def hair_area(shape: tuple[int, ...], points: Float, iod: float, rng: np.random.Generator) -> Mask:
    """Strands that fall from above the brow down one side, over brow, eye or cheek."""
    area = np.zeros(shape, np.uint8)
    up = points[27] - points[CHIN]
    up = up / max(float(np.hypot(*up)), 1e-6)
    right = np.array([-up[1], up[0]])
    side = 1.0 if rng.random() < 0.5 else -1.0
    root = points[27] + up * iod * rng.uniform(0.5, 0.9)
    for _ in range(int(rng.integers(3, 22))):
        start = root + right * iod * rng.uniform(-0.5, 0.8) * side
        length, lean = iod * rng.uniform(0.3, 1.5), side * rng.uniform(-0.1, 0.5)
        middle = start - up * length / 2 + right * lean * length
        end = start - up * length + right * lean * 0.7 * length
        curve = np.stack([start, middle, end])
        line = [np.round(curve).astype(np.int32)]
        cv2.polylines(area, line, False, 255, int(rng.integers(1, max(round(0.1 * iod), 2) + 1)))
    return area


def hard_light(crop: Grey, points: Float, rng: np.random.Generator) -> Grey:
    """The shadow of an edge across the face: one side much darker than the other."""
    height, width = crop.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    iod = float(np.hypot(*(points[45] - points[36])))
    through = points[27:36].mean(0) + rng.normal(0, 0.35 * iod, 2)
    distance = (x - through[0]) * np.cos(angle) + (y - through[1]) * np.sin(angle)
    distance += rng.uniform(0, 0.15) * iod * np.sin(y / (0.3 * iod) + angle)
    lit = 1 / (1 + np.exp(-np.clip(distance / rng.uniform(0.6, 0.3 * iod + 1), -20, 20)))
    dark, bright = rng.uniform(0.12, 0.6), rng.uniform(1.0, 1.7)
    return np.clip(crop * (dark + (bright - dark) * lit), 0, 255).astype(np.uint8)


def _filled(shape: tuple[int, ...], outline: Float) -> Mask:
    area = np.zeros(shape, np.uint8)
    cv2.fillPoly(area, [np.round(outline).astype(np.int32)], 255)
    return area


def _fabric(shape: tuple[int, ...], ground: Ground, rng: np.random.Generator) -> Float:
    """Plain, printed or pleated cloth."""
    cloth = _flat(shape, rng.uniform(10, 245), rng)
    kind = rng.random()
    if kind < 0.3:
        cloth += (ground().astype(np.float32) - 128) * np.float32(rng.uniform(0.1, 1.0))
    elif kind < 0.6:
        period, phase = rng.uniform(5, 14), rng.uniform(0, 6)
        rows = np.arange(shape[0], dtype=np.float32)[:, None]
        cloth += np.float32(rng.uniform(3, 16)) * np.sin(rows / period * 6.28 + phase)
    return np.clip(cloth, 0, 255)


def _flat(shape: tuple[int, ...], tone: float, rng: np.random.Generator) -> Float:
    """One tone with a slope of light."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    slope = rng.normal(0, 18, 2)
    return np.clip(np.float32(tone) + np.float32(slope[0]) * x + np.float32(slope[1]) * y, 0, 255)


def _tone(crop: Grey, points: Float) -> float:
    """Median brightness of the cheeks and the nose: skin."""
    spots = np.stack([(points[2] + points[31]) / 2, (points[14] + points[35]) / 2, points[29]])
    x, y = np.clip(np.round(spots).astype(int), 0, [crop.shape[1] - 1, crop.shape[0] - 1]).T
    return float(np.median(crop[y, x]))


def _pixel(place: NDArray[Any]) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))
