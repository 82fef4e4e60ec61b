"""Faces cut out of the bundled clip or rendered, and where they are put into a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.types import Float, Frame, Grey
from agent.vision.pipeline import Pipeline
from tools.common.errors import ToolError
from tools.common.film import greys

_MOMENTS = ((2.0, 3.2), (21.0, 23.0), (28.8, 30.0), (39.9, 41.2))
"""Seconds of the clip in which one visitor each looks at the camera."""


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A face on film, cut out: played to and fro."""

    pictures: Sequence[Grey]
    cover: Float
    """float32[H, W]: 1 where the face covers what is behind."""
    height: float
    """Of the face's box, pixels."""

    def at(self, index: int) -> Grey:
        last = len(self.pictures) - 1
        return self.pictures[last - abs(index % (2 * last) - last)] if last else self.pictures[0]


Place = tuple[float, float, float]
"""Middle of a face as shares of the picture's sides, and its height as a share of the picture's."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One face and where it is at each second; None: not in the picture."""

    sprite: Sprite
    place: Callable[[float], Place | None]


def draw(
    actors: Sequence[Actor], seconds: float, size: tuple[int, int], fps: float
) -> Iterator[Grey]:
    """Pictures uint8[H, W]; later actors stand in front. `size`: width and height, pixels."""
    ground = backdrop(size)
    for index in range(round(seconds * fps)):
        picture = ground.copy()
        for actor in actors:
            place = actor.place(index / fps)
            if place is not None:
                _paste(picture, actor.sprite, index, place)
        yield picture


def _paste(picture: Grey, sprite: Sprite, index: int, place: Place) -> None:
    height, width = picture.shape
    x, y, share = place
    scale = share * height / sprite.height
    rows, columns = sprite.cover.shape
    matrix = np.array(
        [[scale, 0, x * width - scale * columns / 2], [0, scale, y * height - scale * rows / 2]]
    )
    left, top = (max(int(v), 0) for v in matrix[:, 2])
    right = min(int(matrix[0, 2] + scale * columns) + 1, width)
    bottom = min(int(matrix[1, 2] + scale * rows) + 1, height)
    if right <= left or bottom <= top:
        return
    matrix[:, 2] -= (left, top)
    part, extent = picture[top:bottom, left:right], (right - left, bottom - top)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    face = cv2.warpAffine(sprite.at(index), matrix, extent, flags=way)
    cover = cv2.warpAffine(sprite.cover, matrix, extent)
    part[:] = cv2.blendLinear(face, part, cover, 1.0 - cover)


@cache
def backdrop(size: tuple[int, int]) -> Grey:
    """The clip's empty room."""
    return np.asarray(cv2.resize(clip()[0], size, interpolation=cv2.INTER_AREA), np.uint8)


@cache
def clip() -> tuple[Grey, ...]:
    """The bundled clip's frames."""
    return tuple(read(CLIP))


def read(video: Path) -> list[Grey]:
    """All frames of a video. Raises `ToolError`."""
    return list(greys(video))


@cache
def sprites() -> tuple[Sprite, ...]:
    """The clip's four visitors."""
    return tuple(cut_out(clip()[round(30 * a) : round(30 * b)]) for a, b in _MOMENTS)


def cut_out(pictures: Sequence[Grey]) -> Sprite:
    """The largest face of a stretch in which it hardly moves. Raises `ToolError`."""
    faces = Pipeline(AgentConfig(), expressions=False)(Frame(0.0, pictures[0])).faces
    if not faces:
        raise ToolError("No face was found where one was to be cut out. Name another video.")
    box = max((face.box for face in faces), key=lambda box: float(box[3] - box[1]))
    height = float(box[3] - box[1])
    left, top = (int(v) for v in box[:2] - 0.45 * height)
    right, bottom = (int(v) for v in box[2:] + 0.45 * height)
    left, top = max(left, 0), max(top, 0)
    parts = [np.ascontiguousarray(p[top:bottom, left:right]) for p in pictures]
    cover = np.zeros(parts[0].shape, np.float32)
    middle = (int((box[0] + box[2]) / 2) - left, int((box[1] + box[3]) / 2) - top)
    axes = (int(0.62 * float(box[2] - box[0])), int(0.68 * height))
    cv2.ellipse(cover, middle, axes, 0, 0, 360, 1.0, -1)
    return Sprite(parts, cv2.GaussianBlur(cover, (0, 0), 0.03 * height), height)


def back_of_head(sprite: Sprite) -> Sprite:
    """Hair where the face was."""
    rng = np.random.default_rng(3)
    grain = cv2.GaussianBlur(rng.normal(45, 60, sprite.cover.shape).astype(np.float32), (0, 0), 2)
    return Sprite([np.clip(grain, 0, 255).astype(np.uint8)], sprite.cover, sprite.height)


def board(sprite: Sprite) -> Sprite:
    """A grey sheet held before the face."""
    cover = np.zeros_like(sprite.cover)
    rows, columns = cover.shape
    cover[rows // 6 : -rows // 6, columns // 6 : -columns // 6] = 1.0
    return Sprite([np.full(cover.shape, 150, np.uint8)], cover, sprite.height)
