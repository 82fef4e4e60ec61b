"""Training crops of the landmark network: cut, jittered and degraded.

Many pictures are tight chips: what lies outside them is filled in several ways, so that the network
learns nothing from black borders. Crops without a face, or with one far out of place, teach
presence, and so does what a detector offers (`candidates`), where no points are known.
"""

from __future__ import annotations

import cv2
import numpy as np

from agent.base.types import Float, Grey
from agent.vision.faces.align import FLIP, apply, five_points, similarity
from tools.train.landmarks.candidates import Candidates
from tools.train.landmarks.cover import cover, hard_light
from tools.train.landmarks.data import SIZE, TARGET, TARGET_FIVE, Faces, about_centre, chain

JAW_WEIGHT = 0.3
HIDDEN_WEIGHT = 0.5
"""Of points below a mask, a hand or hair: known, but not to be seen."""
OFFERED, OFFERED_FACES = 0.24, 0.5
"""How many crops are what a detector offers, and how many of these are faces."""
Item = tuple[Grey, Float, Float, np.float32]


def jitter(rng: np.random.Generator) -> Float:
    """How far off a crop may be: tracking (slight), detection (more), rescue (much)."""
    kind = rng.random()
    if kind < 0.55:
        turn, zoom, move = rng.normal(0, 2.5), rng.normal(0, 0.025), rng.normal(0, 0.013, 2)
    elif kind < 0.9:
        turn, zoom, move = rng.normal(0, 6), rng.normal(0, 0.07), rng.normal(0, 0.035, 2)
    else:
        turn, zoom = rng.uniform(-30, 30), rng.uniform(-0.25, 0.25)
        move = rng.uniform(-0.12, 0.12, 2)
    aspect = float(np.exp(rng.normal(0, 0.02)))
    return about_centre(float(turn), float(np.exp(zoom)), (move * SIZE).astype(np.float32), aspect)


def misplacement(rng: np.random.Generator) -> Float:
    """A crop that should not count as a face: far off, far too large or small, or turned."""
    kind = rng.integers(4)
    turn, zoom, move = rng.uniform(-30, 30), rng.uniform(-0.2, 0.2), rng.uniform(-0.1, 0.1, 2)
    if kind == 0:
        angle = rng.uniform(0, 2 * np.pi)
        move = rng.uniform(0.55, 0.95) * np.array([np.cos(angle), np.sin(angle)])
    elif kind == 1:
        zoom = -rng.uniform(1.0, 1.6)
    elif kind == 2:
        zoom = rng.uniform(1.0, 1.6)
    else:
        turn = rng.uniform(85, 275)
    return about_centre(float(turn), float(np.exp(zoom)), (move * SIZE).astype(np.float32))


class Crops:
    """Random training crops.

    Each draw: crop uint8[112, 112]; points float32[68, 2], crop pixels / 112; weight float32[68],
    all 0 where no face is to be found; presence 0 or 1.
    """

    def __init__(
        self,
        faces: Faces,
        negatives: list[Grey],
        seed: int,
        candidates: Candidates | None = None,
    ) -> None:
        self._faces = faces
        self._negatives = negatives
        self._candidates = candidates
        present = np.array(candidates.present if candidates else [], np.bool_)
        self._offered = np.flatnonzero(present), np.flatnonzero(~present)
        # turned heads are rare in the packs and hardest: drawn up to three times as often
        share = faces.share * np.clip(np.abs(faces.yaw) / 12.0, 1.0, 3.0)
        self._cumulative = np.cumsum(share / share.sum())
        point_weight = np.ones(68, np.float32)
        point_weight[:17] = JAW_WEIGHT
        self._point_weight = point_weight
        noise = np.random.default_rng(seed)
        self._noise = noise.standard_normal((512, 512), np.float32)
        y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j].astype(np.float32)
        self._x, self._y = x, y

    def draw(self, rng: np.random.Generator) -> Item:
        """Crop, points, weight and presence, as the class describes them."""
        weight = np.zeros(68, np.float32)
        points = np.zeros((68, 2), np.float32)
        kind = rng.random()
        if kind < 0.04:
            return self.spoil(self.background(rng), rng), points, weight, np.float32(0)
        if kind < 0.04 + OFFERED and all(map(len, self._offered)):
            offered, there = self.offered(rng)
            return offered, points, weight, np.float32(there)
        i = min(int(np.searchsorted(self._cumulative, rng.random())), len(self._faces.points) - 1)
        label = self._faces.points[i]
        if rng.random() < 0.75:
            matrix = similarity(label, TARGET)
        else:
            matrix = similarity(five_points(label), TARGET_FIVE)
        present = rng.random() > 0.03
        matrix = chain(jitter(rng) if present else misplacement(rng), matrix)
        placed = apply(matrix, label)
        crop = self._cut(self._faces.pictures[i], matrix, placed, rng)
        if rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
            placed = (placed * [-1, 1] + [SIZE - 1, 0])[FLIP].astype(np.float32)
            seen = self._faces.weight[i][FLIP]
        else:
            seen = self._faces.weight[i]
        if present:
            points = (placed / SIZE).astype(np.float32)
            weight = seen * self._point_weight
            if rng.random() < 0.16:
                hidden = cover(crop, placed, lambda: self.background(rng), rng)
                weight[hidden] *= HIDDEN_WEIGHT
            if rng.random() < 0.07:
                crop = hard_light(crop, placed, rng)
        if rng.random() < 0.06:
            self._occlude(crop, rng)
        return self.spoil(crop, rng), points, weight, np.float32(present)

    def offered(self, rng: np.random.Generator) -> tuple[Grey, bool]:
        """A crop of what a detector offers, and whether it is a face."""
        assert self._candidates is not None
        present = rng.random() < OFFERED_FACES
        rows = self._offered[0 if present else 1]
        i = int(rows[rng.integers(len(rows))])
        five = similarity(self._candidates.keypoints[i], TARGET_FIVE)
        border = cv2.BORDER_CONSTANT if rng.random() < 0.5 else cv2.BORDER_REFLECT_101
        crop = np.asarray(
            cv2.warpAffine(
                self._candidates.pictures[i],
                chain(jitter(rng), five),
                (SIZE, SIZE),
                flags=cv2.INTER_LINEAR,
                borderMode=border,
            ),
            np.uint8,
        )
        if rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
        # small faces have little detail already
        return self.spoil(crop, rng, shrink=self._candidates.side[i] > 60), present

    def background(self, rng: np.random.Generator) -> Grey:
        """A random piece of a picture without a face."""
        picture = self._negatives[int(rng.integers(len(self._negatives)))]
        height, width = picture.shape
        scale = SIZE / (min(height, width) * np.exp(rng.uniform(np.log(0.12), 0.1)))
        matrix = about_centre(float(rng.uniform(-30, 30)), float(scale), np.zeros(2, np.float32))
        at = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        matrix[:, 2] = (SIZE - 1) / 2 - matrix[:, :2] @ at
        flags = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        return np.asarray(
            cv2.warpAffine(
                picture, matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REFLECT_101
            ),
            np.uint8,
        )

    def _cut(self, picture: Grey, matrix: Float, points: Float, rng: np.random.Generator) -> Grey:
        fill = rng.random()
        border = cv2.BORDER_CONSTANT
        if fill < 0.2:
            border = cv2.BORDER_REFLECT_101
        elif fill < 0.3:
            border = cv2.BORDER_REPLICATE
        crop = np.asarray(
            cv2.warpAffine(
                picture, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=border
            ),
            np.uint8,
        )
        oval = rng.random() < 0.05
        if fill < 0.6 and not oval:
            return crop
        if oval:
            # the head alone, cut out roughly and put elsewhere
            centre = points[17:].mean(0) - [0, 0.1 * (points[8, 1] - points[27, 1])]
            grown = (points - centre) * rng.uniform(1.1, 1.5) + centre
            brow = grown[17:27] - 0.5 * (points[33] - points[27])
            mask = np.zeros((SIZE, SIZE), np.uint8)
            hull = cv2.convexHull(np.concatenate([grown, brow]).astype(np.float32))
            cv2.fillConvexPoly(mask, hull.astype(np.int32), 255)
            mask = cv2.blur(mask, (5, 5))
            inside = cv2.warpAffine(np.full_like(picture, 255), matrix, (SIZE, SIZE))
            mask = np.minimum(mask, inside)
        else:
            mask = cv2.warpAffine(np.full_like(picture, 255), matrix, (SIZE, SIZE))
        if fill < 0.9:
            behind = self.background(rng)
        elif fill < 0.95:
            behind = np.full((SIZE, SIZE), rng.integers(256), np.uint8)
        else:
            noise = self._patch(SIZE, rng) * rng.uniform(5, 60) + rng.uniform(20, 235)
            behind = np.clip(noise, 0, 255).astype(np.uint8)
        share = mask.astype(np.float32) / 255
        return (crop * share + behind * (1 - share)).astype(np.uint8)

    def _patch(self, size: int, rng: np.random.Generator) -> Float:
        """White noise of unit variance, float32[size, size]."""
        x, y = rng.integers(0, 512 - size, 2)
        patch = self._noise[y : y + size, x : x + size]
        return patch.T if rng.random() < 0.5 else patch

    def _occlude(self, crop: Grey, rng: np.random.Generator) -> None:
        """Occlusion by a turned box or an ellipse, flat or textured. In place."""
        centre = rng.uniform(0.1, 0.9, 2) * SIZE
        size = rng.uniform(0.08, 0.45, 2) * SIZE
        mask = np.zeros((SIZE, SIZE), np.uint8)
        box = (tuple(centre), tuple(size), float(rng.uniform(0, 180)))
        if rng.random() < 0.5:
            cv2.ellipse(mask, box, 255, -1)
        else:
            cv2.fillConvexPoly(mask, cv2.boxPoints(box).astype(np.int32), 255)
        front = self.background(rng) if rng.random() < 0.6 else rng.integers(256)
        np.copyto(crop, np.uint8(front), where=mask > 0)

    def spoil(self, crop: Grey, rng: np.random.Generator, shrink: bool = True) -> Grey:
        """Light, blur, low resolution, sensor noise and JPEG, in the order in which they happen."""
        if rng.random() < 0.15:
            angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6)
            light = 1 + slope * (np.cos(angle) * self._x + np.sin(angle) * self._y)
            crop = np.clip(crop * light, 0, 255).astype(np.uint8)
        if rng.random() < 0.7:
            gamma = np.exp(rng.normal(0, 0.2))
            gain, offset = np.exp(rng.normal(0, 0.2)), rng.normal(0, 15)
            ramp = np.linspace(0, 1, 256) ** gamma * 255
            table = np.clip((ramp - 128) * gain + 128 + offset, 0, 255).astype(np.uint8)
            crop = np.asarray(cv2.LUT(crop, table), np.uint8)
        if rng.random() < 0.12:
            crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.4, 2.0)), np.uint8)
        elif rng.random() < 0.05:
            crop = _motion(crop, rng)
        size = SIZE
        if rng.random() < 0.27 and shrink:
            # faces of 20 px and more: an IOD of 11 px and more
            size = int(SIZE * np.exp(rng.uniform(np.log(0.2), 0)))
            crop = np.asarray(
                cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA), np.uint8
            )
        if rng.random() < 0.6:
            sigma = abs(rng.normal(0, 4)) if rng.random() < 0.92 else rng.uniform(5, 18)
            crop = np.clip(crop + self._patch(size, rng) * sigma + 0.5, 0, 255).astype(np.uint8)
        if rng.random() < 0.1:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
            coded = cv2.imencode(".jpg", crop, quality)[1]
            crop = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
        if size != SIZE:
            crop = np.asarray(
                cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), np.uint8
            )
        return crop


def _motion(crop: Grey, rng: np.random.Generator) -> Grey:
    """Blur along a line of 3 to 9 px."""
    length = int(rng.choice([3, 5, 7, 9]))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0
    turn = cv2.getRotationMatrix2D((length // 2, length // 2), float(rng.uniform(0, 180)), 1.0)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return np.asarray(cv2.filter2D(crop, -1, kernel / max(float(kernel.sum()), 1e-6)), np.uint8)
