"""Textures of one visitor, made once from the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agent.base.types import Float
from tools.demo.portrait import Picture, Portrait
from tools.demo.retouch import at_rest

DETAIL = 3
"""Texture pixels per photograph pixel."""
_CAVITY = (34.0, 22.0, 46.0)
"""Blue, green, red of the dark inside a mouth."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Colour grading of one visitor against the photograph."""

    gain: float = 1.0
    gamma: float = 1.0
    hair: float = 1.0
    """Brightness of the hair against the photograph's."""
    suit_hue: float = 0.0
    """Degrees in the a-b plane of CIELAB by which the orange suit turns."""


@dataclass(frozen=True, slots=True, eq=False)
class Textures:
    """What the renderer samples, `DETAIL` times the photograph's size."""

    smiling: Picture
    """uint8[H, W, 3]: the photograph."""
    resting: Picture
    """The same without the shades that a smile throws; see `retouch`."""
    mouth: Picture
    """Teeth, and the dark below them."""
    alpha: Picture
    """uint8[H, W]: 255 inside the person's outline."""


def textures(portrait: Portrait, look: Look) -> Textures:
    """Colour, enlarge and retouch the photograph for one visitor."""
    picture = _grade(portrait, look)
    return Textures(
        smiling=_enlarge(picture),
        resting=_enlarge(at_rest(picture, portrait)),
        mouth=_mouth(portrait, _enlarge(picture)),
        alpha=_alpha(portrait),
    )


def _enlarge(picture: Picture) -> Picture:
    large = cv2.resize(picture, None, fx=DETAIL, fy=DETAIL, interpolation=cv2.INTER_LANCZOS4)
    soft = cv2.GaussianBlur(large, (0, 0), 2.0)
    return np.asarray(cv2.addWeighted(large, 1.35, soft, -0.35, 0), np.uint8)


def _grade(portrait: Portrait, look: Look) -> Picture:
    lab = cv2.cvtColor(portrait.picture.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    rows = np.arange(lab.shape[0], dtype=np.float32)[:, None]
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    suit = np.clip((rows - 165) / 20, 0, 1) * np.clip((chroma - 25) / 15, 0, 1)
    angle = np.deg2rad(look.suit_hue) * suit
    a, b = lab[..., 1].copy(), lab[..., 2].copy()
    dull = 1 - 0.5 * suit if look.suit_hue else 1.0
    lab[..., 1] = (a * np.cos(angle) - b * np.sin(angle)) * dull
    lab[..., 2] = (a * np.sin(angle) + b * np.cos(angle)) * dull
    hair = _hair(portrait)
    lab[..., 0] *= 1 + (look.hair - 1) * hair
    lab[..., 0] = 100 * np.clip(look.gain * lab[..., 0] / 100, 0, 1) ** look.gamma
    bgr = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)
    return np.asarray(np.clip(bgr * 255 + 0.5, 0, 255), np.uint8)


def _hair(portrait: Portrait) -> Float:
    """float32[512, 512]: 1 on the hair, 0 on face and suit, soft between."""
    marks = portrait.landmarks
    # the hairline lies a little above the brows; the jaw line bounds the face below
    brow = marks[17:27] + np.array([0, -9], np.float32)
    side = np.array([[-4, -6], [4, -6]], np.float32)
    face = np.concatenate([marks[:17], marks[[16]] + side[1], brow[::-1], marks[[0]] + side[0]])
    face_mask = np.zeros(portrait.picture.shape[:2], np.uint8)
    cv2.fillPoly(face_mask, [np.int32(face)], 255)
    head = np.zeros_like(face_mask)
    cv2.fillPoly(head, [np.int32(portrait.outline)], 255)
    head[138:] = 0
    mask = cv2.GaussianBlur(head, (0, 0), 1.5).astype(np.float32)
    mask *= 1 - cv2.GaussianBlur(face_mask, (0, 0), 2.0).astype(np.float32) / 255
    return np.asarray(mask / 255, np.float32)


def _mouth(portrait: Portrait, large: Picture) -> Picture:
    """The inside of the mouth: the photograph's teeth, dark below them and in the corners."""
    lower = portrait.lower_lip
    image = large.astype(np.float32)
    height, width = image.shape[:2]
    x = (np.arange(width, dtype=np.float32) + 0.5) / DETAIL - 0.5
    y = ((np.arange(height, dtype=np.float32) + 0.5) / DETAIL - 0.5)[:, None]
    edge = np.interp(x, lower[:, 0], lower[:, 1]) - 0.1
    inside = np.clip((x - lower[0, 0]) / 3, 0, 1) * np.clip((lower[-1, 0] - x) / 3, 0, 1)
    teeth = np.clip((edge - y) / 0.8 + 0.5, 0, 1) * inside
    cavity = np.array(_CAVITY, np.float32)
    return np.asarray(cavity + (image - cavity) * teeth[..., None], np.uint8)


def _alpha(portrait: Portrait) -> Picture:
    height, width = portrait.picture.shape[:2]
    mask = np.zeros((height * DETAIL, width * DETAIL), np.uint8)
    cv2.fillPoly(mask, [np.int32((portrait.outline + 0.5) * DETAIL)], 255, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.9 * DETAIL), np.uint8)
