"""Glasses and face masks, drawn over the shaded head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Project = Callable[[Floats], Floats]
"""Points of the head's frame, cm, float32[N, 3], to pixels."""


@dataclass(frozen=True, slots=True)
class Glasses:
    """Two rims, a bridge and arms; centimetres."""

    wide: float
    high: float
    square: float
    """Exponent of the rim's superellipse: 2 is round."""
    thick: float
    shade: float
    """Reflectance of the frame."""
    tint: float
    """Light that the lenses take away."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Glasses:
        """Mostly clear lenses, one pair in six dark."""
        dark = rng.random() < 0.17
        return cls(
            float(rng.uniform(2.1, 2.7)),
            float(rng.uniform(1.5, 2.2)),
            float(rng.uniform(2.0, 5.0)),
            float(rng.uniform(0.08, 0.35)),
            float(np.exp(rng.uniform(np.log(0.005), np.log(0.3)))),
            float(rng.uniform(0.6, 0.95)) if dark else float(rng.uniform(0.0, 0.15)),
        )


def _fixed(points: Floats) -> NDArray[np.int32]:
    return np.rint(points[:, :2] * 8).astype(np.int32)


def draw_glasses(
    value: Floats, alpha: Floats, glasses: Glasses, project: Project, yaw: float
) -> None:
    """Change linear brightness `value` and cover `alpha` in place."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    c, s = np.cos(turn), np.sin(turn)
    power = 2.0 / glasses.square
    across = np.sign(c) * np.abs(c) ** power * glasses.wide
    along = np.sign(s) * np.abs(s) ** power * glasses.high
    middle = 3.25
    rims = []
    for side in (-1.0, 1.0):
        x = side * middle + across
        z = 10.9 - 0.05 * x**2
        rims.append(_fixed(project(np.stack([x, 3.1 + along, z], 1).astype(np.float32))))
    unit = project(np.array([[0, 3, 10], [1, 3, 10]], np.float32))
    pixels = float(np.hypot(*(unit[1] - unit[0])[:2]))
    thick = max(round(glasses.thick * pixels), 1)
    light = float(value[alpha > 0].mean()) * glasses.shade / 0.2 if (alpha > 0).any() else 0.0
    if glasses.tint > 0.0:
        lens = np.zeros(value.shape, np.uint8)
        cv2.fillPoly(lens, rims, 255, cv2.LINE_AA, 3)
        value *= 1.0 - glasses.tint * (lens.astype(np.float32) / 255.0)
    frame = np.zeros(value.shape, np.uint8)
    cv2.polylines(frame, rims, True, 255, thick, cv2.LINE_AA, 3)
    gap = middle - glasses.wide
    bridge = np.array([[-gap, 3.7, 10.95], [0, 3.95, 11.3], [gap, 3.7, 10.95]], np.float32)
    cv2.polylines(frame, [_fixed(project(bridge))], False, 255, thick, cv2.LINE_AA, 3)
    for side in (-1.0, 1.0):
        if side * yaw < 8.0:  # the other arm is behind the face
            edge = side * (middle + glasses.wide)
            arm = np.array([[edge, 3.8, 10.9 - 0.05 * edge**2], [side * 7.7, 3.9, 3.0]], np.float32)
            cv2.polylines(frame, [_fixed(project(arm))], False, 255, thick, cv2.LINE_AA, 3)
    over = frame.astype(np.float32) / 255.0
    value += (light - value) * over
    np.maximum(alpha, over, out=alpha)


def draw_mask(value: Floats, marks: Floats, reflectance: float, ambient: Floats) -> None:
    """A surgical mask from the nose's bridge to below the chin; it keeps the face's shading."""
    chin = marks[8] + 0.06 * (marks[8] - marks[27])
    outline = np.concatenate(
        [marks[2:8], chin[None], marks[9:15], marks[28:29] * 0.4 + marks[29:30] * 0.6]
    )
    area = np.zeros(value.shape, np.uint8)
    cv2.fillPoly(area, [_fixed(outline)], 255, cv2.LINE_AA, 3)
    inside = area.astype(np.float32) / 255.0
    if inside.sum() < 1.0:
        return
    soft = cv2.GaussianBlur(value, (0, 0), max(float(np.hypot(*(marks[54] - marks[48]))) / 6, 1.0))
    level = float((soft * inside).sum() / inside.sum())
    cloth = soft / max(level, 1e-4) * np.float32(reflectance * (0.25 + float(ambient[0])))
    for a, b in ((2, 14), (3, 13), (4, 12)):  # pleats
        middle = (
            (marks[a] + marks[b]) / 2 * 0.3
            + marks[33] * 0.7
            + (a - 2) * 0.35 * (marks[57] - marks[33])
        )
        fold = np.zeros(value.shape, np.uint8)
        cv2.polylines(
            fold, [_fixed(np.stack([marks[a], middle, marks[b]]))], False, 90, 2, cv2.LINE_AA, 3
        )
        cloth *= 1.0 - fold.astype(np.float32) / 255.0 * 0.6
    value += (cloth - value) * inside
