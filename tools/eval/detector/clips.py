"""Films drawn from unseen pictures: faces of known size and place that move, and none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from tools.eval.data import Scenes
from tools.eval.detector.boxes import short_sides

FPS = 30.0
SIZES = ((480, 640), (720, 1280))
"""Height and width of the films, pixels."""
SIDES = (24.0, 32.0, 48.0)
"""Short side of the main face in the films, pixels."""
NOISE = 3.0
"""Standard deviation of the sensor's noise, grey levels; fresh in every frame."""
_ROOM = 1.5
"""Enlargement of the background beyond the frame, room for the pan."""

Double = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Labelled faces of one frame."""

    boxes: Float
    """float32[N, 4], xyxy, frame pixels."""
    wanted: NDArray[np.bool_]
    """bool[N]: whole in the frame, certain, and large enough."""


@dataclass(slots=True, eq=False)
class Film:
    """A scene with faces, shrunk, that drifts over a face-free background which pans; or the
    background alone. Frames are drawn when asked for, the same each time."""

    background: Grey
    shape: tuple[int, int]
    """Height and width, pixels."""
    seconds: float
    seed: int
    scene: Grey | None = None
    boxes: Float = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    """float32[N, 4], of the scene, its pixels."""
    certain: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    kinds: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    scale: float = 1.0
    """Frame pixels per scene pixel, in the middle of the film."""
    smallest: float = SIDES[0]
    """Short side from which a face is wanted, frame pixels."""

    def frames(self) -> Iterator[tuple[Grey, Truth]]:
        """Every frame and its faces."""
        rng = np.random.default_rng(self.seed)
        rows, columns = self.shape
        grain = [rng.normal(0, NOISE, self.shape).astype(np.float32) for _ in range(3)]
        count = round(self.seconds * FPS)
        pan = _course(rng, count, 0.5 * (_ROOM - 1) * np.array([columns, rows]), 6.0)
        drift = _course(rng, count, np.array([0.06 * columns, 0.06 * rows]), 4.0)
        zoom = 1 + 0.08 * _course(rng, count, np.ones(1), 5.0)[:, 0]
        fit = _ROOM * max(columns / self.background.shape[1], rows / self.background.shape[0])
        behind = cv2.resize(self.background, None, fx=fit, fy=fit, interpolation=cv2.INTER_LINEAR)
        spare = np.array([behind.shape[1] - columns, behind.shape[0] - rows]) / 2
        place = self._place(rng)
        patch, ratio = self._patch()
        for i in range(count):
            shift = np.clip(spare + pan[i], 0, 2 * spare)
            view = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]])
            frame = cv2.warpAffine(behind, view, (columns, rows), flags=cv2.INTER_LINEAR)
            truth = Truth(self.boxes[:0], self.certain[:0])
            if patch is not None:
                scale = self.scale * float(zoom[i])
                origin = place + drift[i] - scale / self.scale * self._half()
                paste(frame, patch, scale / ratio, origin)
                truth = self._truth(scale, origin)
            noise = np.roll(grain[i % 3], (17 * i, 29 * i), (0, 1))
            yield np.clip(frame + noise, 0, 255).astype(np.uint8), truth

    def _half(self) -> Double:
        """Half the scene's size in the frame, x and y."""
        assert self.scene is not None
        return self.scale / 2 * np.array([self.scene.shape[1], self.scene.shape[0]], np.float64)

    def _place(self, rng: np.random.Generator) -> Double:
        """Where the scene's middle lies: its labelled faces stay in the frame where they can."""
        rows, columns = self.shape
        middle = np.array([columns, rows], np.float64) / 2
        if self.scene is None:
            return middle
        low, high = self.boxes[self.certain, :2].min(0), self.boxes[self.certain, 2:].max(0)
        reach = self.scale * 1.1
        off = reach * (low + high) / 2 - reach / self.scale * self._half()
        free = np.maximum(middle - reach * (high - low) / 2 - 0.08 * 2 * middle, 0)
        return np.asarray(middle - off + rng.uniform(-1, 1, 2) * free)

    def _patch(self) -> tuple[Grey | None, float]:
        """The scene at up to twice its size in the film, so that warping does not alias; and its
        pixels per scene pixel."""
        if self.scene is None:
            return None, 1.0
        ratio = min(1.5 * self.scale, 1.0)
        small = cv2.resize(self.scene, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), ratio

    def _truth(self, scale: float, origin: Double) -> Truth:
        boxes = (self.boxes.reshape(-1, 2, 2) * scale + origin).reshape(-1, 4).astype(np.float32)
        rows, columns = self.shape
        inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] < [columns, rows]).all(1)
        return Truth(boxes, self.certain & inside & (short_sides_of(boxes) >= self.smallest))


def paste(frame: Grey, patch: Grey, scale: float, origin: Double) -> None:
    """Draw `patch` at `scale` frame pixels per pixel, its top-left corner at `origin`."""
    matrix = np.array([[scale, 0, origin[0]], [0, scale, origin[1]]])
    size = (frame.shape[1], frame.shape[0])
    cv2.warpAffine(
        patch, matrix, size, frame, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )


def short_sides_of(boxes: Float) -> Float:
    """float32[N]; empty for no boxes."""
    return short_sides(boxes) if len(boxes) else np.zeros(0, np.float32)


def _course(rng: np.random.Generator, count: int, reach: Double, period: float) -> Double:
    """Two slow sines per axis, float64[count, A], within +-`reach`."""
    time = np.arange(count)[:, None] / FPS
    parts = [
        np.sin(2 * math.pi * time / (period * rng.uniform(0.7, 1.5, len(reach))) + phase)
        for phase in rng.uniform(0, 2 * math.pi, (2, len(reach)))
    ]
    return np.asarray(reach * (0.6 * parts[0] + 0.4 * parts[1]))


def with_faces(
    scenes: Scenes, blanks: Sequence[Grey], shape: tuple[int, int], side: float, count: int,
    seconds: float,
) -> list[Film]:  # fmt: skip
    """Up to `count` films whose scene's largest certain face is `side` px wide, from scenes in
    which it has 1.25 times that or more: the film, not the label, makes it small."""
    films: list[Film] = []
    rng = np.random.default_rng(int(side) + shape[0])
    order = rng.permutation(len(scenes.pictures))
    for i in order:
        certain = ~scenes.ignored[i]
        sides = np.where(certain, short_sides_of(scenes.boxes[i]), 0.0)
        if not len(sides) or sides.max() < 1.25 * side or len(films) == count:
            continue
        films.append(
            Film(
                blanks[int(rng.integers(len(blanks)))], shape, seconds, int(i),
                scenes.pictures[i], scenes.boxes[i], certain, scenes.kinds[i],
                1.09 * side / float(sides.max()), side,
            )
        )  # fmt: skip
    return films


def without_faces(
    blanks: Sequence[Grey], shape: tuple[int, int], count: int, seconds: float
) -> list[Film]:
    """Films that pan over pictures without a face."""
    chosen = np.linspace(0, len(blanks) - 1, min(count, len(blanks))).astype(int)
    return [Film(blanks[i], shape, seconds, int(i)) for i in chosen]
