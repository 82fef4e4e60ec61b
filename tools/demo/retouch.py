"""The photograph smiles: take the shades of the smile off the resting face's texture.

Warping alone brings lips and cheeks back, but the folds beside the mouth, the bright lower lip and
the dark corners stay where light put them, and both people and networks go on seeing a smile.
"""

from __future__ import annotations

import cv2
import numpy as np

from agent.base.types import Float
from tools.demo.portrait import Picture, Portrait

_FOLDS = (
    [(211.0, 121.0), (204.0, 127.0), (198.0, 133.0), (196.0, 139.0), (197.0, 146.0)],
    [(236.5, 123.0), (242.0, 129.0), (247.0, 134.0), (250.0, 140.0), (248.5, 147.0)],
)
"""From the wings of the nose round the corners of the mouth, photograph pixels."""
_FOLD_WIDTH = 13
_FINE = 3
"""Binary digits after the point in polygon corners, for OpenCV."""


def at_rest(picture: Picture, portrait: Portrait) -> Picture:
    """The picture, uint8[512, 512, 3], with folds, mouth corners and lips evened out."""
    image = picture.astype(np.float32)
    shape = picture.shape[:2]
    lips = _soft(_filled(shape, portrait.landmarks[48:60]), 1.0)
    folds = np.zeros(shape, np.uint8)
    for fold in _FOLDS:
        cv2.polylines(folds, [_fixed(fold)], False, 255, _FOLD_WIDTH, cv2.LINE_AA, _FINE)
    weight = _soft(folds, _FOLD_WIDTH / 2.5) * (1 - lips)
    image = _blend(image, _from_around(image, np.maximum(weight, lips), 9.0), weight)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    for corner_x, corner_y in portrait.landmarks[[48, 54]]:
        distance = (x - corner_x) ** 2 + (y - corner_y - 1) ** 2
        weight = np.exp(-distance / (2 * 3.0**2))[..., None] * (1 - lips)
        image = _blend(image, _from_around(image, np.maximum(weight, lips), 4.0), weight)
    edge = np.concatenate([portrait.upper_lip, portrait.lower_lip[::-1]])
    opening = _soft(cv2.dilate(_filled(shape, edge), np.ones((3, 3), np.uint8)), 0.7)
    image = _blend(image, _from_around(image, opening, 2.5), opening)
    tone = (image * lips).sum((0, 1)) / lips.sum()
    image = _blend(image, np.broadcast_to(tone, image.shape), 0.4 * lips)
    # lips that are not stretched are darker and redder than the skin around them
    image *= 1 - np.array([0.16, 0.17, 0.07], np.float32) * lips
    return np.asarray(np.clip(image + 0.5, 0, 255), np.uint8)


def _blend(image: Float, other: Float, weight: Float) -> Float:
    return np.asarray(image + (other - image) * weight, np.float32)


def _from_around(image: Float, weight: Float, sigma: float) -> Float:
    """What the surroundings of the weighted places look like (normalised convolution)."""
    keep = 1 - np.minimum(1.5 * weight, 1)
    around = cv2.GaussianBlur(image * keep, (0, 0), sigma)
    norm = cv2.GaussianBlur(keep, (0, 0), sigma)[..., None]
    return np.asarray(around / np.maximum(norm, 1e-3), np.float32)


def _fixed(points: object) -> Float:
    return np.asarray(np.round(np.asarray(points, np.float32) * 2**_FINE), np.int32)


def _filled(shape: tuple[int, ...], points: Float) -> Picture:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [_fixed(points)], 255, cv2.LINE_AA, _FINE)
    return mask


def _soft(mask: Picture, sigma: float) -> Float:
    """float32[H, W, 1] in [0, 1]."""
    soft = cv2.GaussianBlur(mask, (0, 0), sigma).astype(np.float32) / 255
    return np.asarray(soft[..., None], np.float32)
