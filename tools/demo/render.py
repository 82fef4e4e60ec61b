"""Draw one visitor into a frame: warp, lids, mouth, outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agent.base.types import Float
from tools.demo.portrait import Picture, Portrait
from tools.demo.rig import REGION, STEP, Movement, Rig
from tools.demo.textures import DETAIL, Look, textures


@dataclass(frozen=True, slots=True)
class LandmarkEstimate:
    """Where a visitor stands in the frame."""

    x: float
    """Frame pixels: the point midway between the outer eye corners."""
    y: float
    scale: float
    """Frame pixels per photograph pixel, vertical."""
    aspect: float = 1.0
    """Width over height against the photograph."""
    mirror: bool = False
    tilt: float = 0.0
    """Degrees, clockwise as seen, about the shoulders."""


class Visitor:
    """One person made of the photograph."""

    def __init__(self, portrait: Portrait, look: Look, identity: Float | None = None) -> None:
        self.portrait = portrait
        self.rig = Rig(portrait, identity)
        self._textures = textures(portrait, look)

    def matrix(self, place: LandmarkEstimate) -> Float:
        """float64[2, 3]: photograph pixels to frame pixels."""
        sx = place.scale * place.aspect * (-1 if place.mirror else 1)
        angle = np.deg2rad(place.tilt)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn @ np.diag([sx, place.scale])
        origin = self.portrait.origin.astype(np.float64)
        shoulders = np.array([0.0, 110.0 * place.scale])
        # the tilt turns about the shoulders: the head swings
        target = np.array([place.x, place.y]) + shoulders - turn @ shoulders
        return np.concatenate([linear, (target - linear @ origin)[:, None]], 1)

    def landmarks(self, movement: Movement, place: LandmarkEstimate) -> Float:
        """The 68 landmarks in frame pixels, float32[68, 2] (not re-ordered by mirroring)."""
        matrix = self.matrix(place)
        points = self.rig.landmarks(movement)
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)

    def draw(
        self, frame: Float, movement: Movement, place: LandmarkEstimate, opacity: float = 1.0
    ) -> None:
        """Paint the visitor over `frame`, float32[H, W, 3] BGR 0-255, in place."""
        matrix = self.matrix(place)
        window = _window(matrix, self.portrait, frame.shape)
        if window is None:
            return
        x0, y0, x1, y1 = window
        inverse = cv2.invertAffineTransform(matrix).astype(np.float32)
        x = np.arange(x0, x1, dtype=np.float32)[None]
        y = np.arange(y0, y1, dtype=np.float32)[:, None]
        at_x = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
        at_y = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
        maps = self.rig.maps(movement)
        upper = _look_up(maps.upper, at_x, at_y)
        face = self._sample(*upper, movement.smile)
        self._paint_lids(face, *upper, movement)
        edge = at_y - np.interp(at_x, maps.lip[:, 0], maps.lip[:, 1]).astype(np.float32)
        self._paint_mouth(face, upper, _look_up(maps.lower, at_x, at_y), edge, movement)
        alpha = _sample(self._textures.alpha, *upper).astype(np.float32)[..., None] / 255
        part = frame[y0:y1, x0:x1]
        part += (face - part) * (alpha * opacity)

    def _sample(self, x: Float, y: Float, smile: float) -> Float:
        smiling = _sample(self._textures.smiling, x, y).astype(np.float32)
        if smile >= 1:
            return smiling
        resting = _sample(self._textures.resting, x, y).astype(np.float32)
        return np.asarray(resting + (smiling - resting) * smile, np.float32)

    def _paint_lids(self, face: Float, x: Float, y: Float, m: Movement) -> None:
        """Draw the upper lids where they have moved; `x`, `y`: photograph pixels shown."""
        if m.lids == 0:
            return
        for top, bottom in zip(self.portrait.upper_lids, self.portrait.lower_lids, strict=True):
            near = (x > top[0, 0]) & (x < top[-1, 0]) & (y > top[:, 1].min() - 7)
            near &= y < bottom[:, 1].max() + 2
            rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
            if not len(rows):
                continue
            box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            at, row, part = x[box], y[box], face[box]
            upper = np.interp(at, top[:, 0], top[:, 1]).astype(np.float32)
            lower = np.maximum(np.interp(at, bottom[:, 0], bottom[:, 1]), upper).astype(np.float32)
            edge = upper + m.lids * (lower - upper + 0.3)
            if m.lids < 0:  # raised: the eye behind stretches to fill the opening
                opening = lower - (lower - row) * (lower - upper) / np.maximum(lower - edge, 1e-3)
                behind = self._sample(at, np.where(row < lower, opening, row), m.smile)
            else:
                behind = part
            lid = self._sample(at, _lid(row, upper, edge), m.smile)
            # the rim throws a shadow once it lies on the lower lid
            rim = np.exp(-(((row - edge - 0.2) / 0.9) ** 2)) * (lower - upper > 0.5)
            lid *= 1 - 0.45 * max(m.lids, 0.0) * rim[..., None]
            over = np.clip((edge + 0.5 - row) / 0.9 + 0.5, 0, 1)[..., None]
            inside = (near[box] & (row > upper - 5.0))[..., None]
            part[:] = np.where(inside, behind + (lid - behind) * over, part)

    def _paint_mouth(
        self,
        face: Float,
        upper: tuple[Float, Float],
        lower: tuple[Float, Float],
        depth: Float,
        m: Movement,
    ) -> None:
        """Lower lip and chin below the mouth line, teeth and dark between the lips.

        `depth`: photograph pixels below the edge of the upper lip.
        """
        lip_up, lip_lo = self.portrait.upper_lip, self.portrait.lower_lip
        line = np.interp(upper[0], lip_up[:, 0], lip_up[:, 1]).astype(np.float32)
        above = line - upper[1]
        rim = np.interp(lower[0], lip_lo[:, 0], lip_lo[:, 1]).astype(np.float32)
        below = lower[1] - rim
        beyond = np.maximum(np.maximum(lip_up[0, 0] - upper[0], upper[0] - lip_up[-1, 0]), 0)
        soft = 0.35 + 0.5 * beyond
        w_up = np.clip(0.5 + above / (2 * soft), 0, 1)
        w_lo = np.clip(0.5 + below / (2 * soft), 0, 1)
        parted = float(np.clip(10 * max(m.jaw, m.smile - 0.3), 0, 1))
        w_in = parted * np.clip(1 - w_up - w_lo, 0, 1) * (beyond < 0.5)
        # beside a turned mouth's far corner the maps may leave a gap: the nearer lip fills it
        gap = w_up + w_lo + w_in < 0.2
        w_up, w_lo = np.where(gap, above > below, w_up), np.where(gap, above <= below, w_lo)
        total = w_up + w_lo + w_in
        rows = np.flatnonzero((w_lo + w_in).max(1) > 0)
        if not len(rows):
            return
        band = slice(rows[0], rows[-1] + 1)
        skin = self._sample(lower[0][band], np.maximum(lower[1], rim)[band], m.smile)
        lip = self._sample(upper[0][band], np.minimum(upper[1], line)[band], m.smile)
        tucked = 3.0 * m.jaw  # the upper lip hides part of the teeth
        inside = _sample(self._textures.mouth, upper[0][band], (line + depth)[band] + tucked)
        weights = np.stack([w_up, w_lo, w_in])[:, band, :, None] / total[band, :, None]
        seam = np.exp(-((above[band] ** 2 + below[band] ** 2) / 0.9)) * (beyond[band] < 0.5)
        mixed = (
            weights[0] * np.where(above[band, :, None] < 0, lip, face[band])
            + weights[1] * skin
            + weights[2] * inside
        )
        face[band] = mixed * (1 - 0.38 * seam[..., None])


def _lid(row: Float, upper: Float, edge: Float) -> Float:
    """Photograph rows that the lid shows when its rim has moved from `upper` to `edge`."""
    crease = upper - 5.0
    keep = 1.6  # lashes and the rim keep their thickness; the skin above stretches
    stretch = (upper - keep - crease) / np.maximum(edge - keep - crease, 1e-3)
    return np.asarray(
        np.where(row > edge - keep, row - edge + upper, crease + (row - crease) * stretch),
        np.float32,
    )


def _look_up(field: Float, x: Float, y: Float) -> tuple[Float, Float]:
    """The map at photograph coordinates; outside its region nothing moves."""
    x0, y0, x1, y1 = REGION
    u, v = (x - x0) / STEP, (y - y0) / STEP
    moved = cv2.remap(field, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return (
        np.where(inside, moved[..., 0], x).astype(np.float32),
        np.where(inside, moved[..., 1], y).astype(np.float32),
    )


def _sample(texture: Picture, x: Float, y: Float) -> Picture:
    u, v = (x + 0.5) * DETAIL - 0.5, (y + 0.5) * DETAIL - 0.5
    return np.asarray(
        cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _window(
    matrix: Float, portrait: Portrait, shape: tuple[int, ...]
) -> tuple[int, int, int, int] | None:
    low = np.minimum(portrait.outline.min(0), REGION[:2]) - 4
    high = np.maximum(portrait.outline.max(0), REGION[2:]) + 4
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], high])
    points = corners @ matrix[:, :2].T + matrix[:, 2]
    x0, y0 = np.maximum(np.floor(points.min(0)).astype(int), 0)
    x1 = min(int(np.ceil(points[:, 0].max())) + 1, shape[1])
    y1 = min(int(np.ceil(points[:, 1].max())) + 1, shape[0])
    return (int(x0), int(y0), x1, y1) if x1 > x0 and y1 > y0 else None
