"""Image sources to inject into: animated photographs, and short clips played to and fro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Frame, Grey
from agent.vision.faces.align import MEAN_SHAPE, apply, similarity
from tools.common.errors import ToolError
from tools.common.film import greys
from tools.micro.injection import Injection, displacements
from tools.micro.warp import field as field_of
from tools.micro.warp import moved

WIDTH, HEIGHT, FPS = 640, 480, 30.0
SMOOTH = 2.0
"""Frames: standard deviation over which a clip's landmarks are averaged before skin is moved."""


class Source(Protocol):
    """A face on film before anything is injected."""

    name: str
    kind: str
    """photograph | video | rendered."""
    located: str
    """Source of the landmarks."""

    def frame(self, index: int, injected: Sequence[Injection]) -> Grey:
        """Picture uint8[H, W], movements injected, no sensor noise yet."""
        ...

    def direction(self, injected: Injection) -> Float:
        """Which way the frontal face's landmarks go, float32[68, 2], the largest has length 1."""
        ...

    def moment(self, time: float) -> float:
        """Seconds of the material that `time` shows: the same for what is shown again."""
        ...


class Photographed:
    """Common part of photographs and clips: movements are warped into the skin."""

    def at(self, index: int) -> tuple[Grey, Float]:
        """Picture and landmarks float32[68, 2], before anything is injected."""
        raise NotImplementedError

    def frame(self, index: int, injected: Sequence[Injection]) -> Grey:
        """As `Source.frame`."""
        luma, points = self.at(index)
        for p in injected:
            course = p.course(index / FPS)
            if course > 0.0:
                luma = moved(luma, field_of(points, self.direction(p), p.amplitude * course))
        return luma

    def direction(self, injected: Injection) -> Float:
        """As `Source.direction`."""
        return displacements(injected.units, injected.side)

    def moment(self, time: float) -> float:
        """As `Source.moment`."""
        return time


@dataclass(eq=False)
class Photograph(Photographed):
    """A photograph whose head sways: a slow similarity of a degree and a few pixels."""

    name: str
    picture: Grey
    points: Float
    """float32[68, 2], pixels of the photograph."""
    iod: float
    """Outer eye corners in the video, pixels."""
    background: Grey
    """uint8[480, 640]."""
    seed: int
    located: str = "labels"
    kind: str = "photograph"
    _waves: NDArray[np.float64] = field(init=False)
    _alpha: Float = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        # Slow sway: eight waves of 0.05 to 0.5 Hz for x, y, angle, scale; fast ones are small.
        rate = np.exp(rng.uniform(np.log(0.05), np.log(0.5), (4, 8)))
        size = rng.normal(0.0, 1.0, (4, 8)) * np.minimum(1.0, 0.1 / rate)
        self._waves = np.stack([rate, size, rng.uniform(0, 2 * np.pi, (4, 8))])
        height, width = self.picture.shape
        down = np.minimum(np.arange(height), np.arange(height)[::-1])[:, None]
        across = np.minimum(np.arange(width), np.arange(width)[::-1])[None]
        band = max(min(height, width) * 0.06, 2.0)
        self._alpha = np.clip(np.minimum(down, across) / band, 0.0, 1.0).astype(np.float32)

    def at(self, index: int) -> tuple[Grey, Float]:
        """As `Photographed.at`."""
        rate, size, phase = self._waves
        sway = (size * np.sin(2 * np.pi * rate * index / FPS + phase)).sum(1)
        corners = self.points[[36, 45]]
        scale = self.iod / float(np.hypot(*(corners[1] - corners[0]))) * (1 + 0.004 * sway[3])
        angle = np.radians(0.5) * sway[2]
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = self.points[[36, 45, 48, 54]].mean(0)
        goal = np.array([WIDTH / 2, HEIGHT / 2]) + 0.02 * self.iod * sway[:2]
        matrix = np.concatenate([turn, (goal - turn @ middle)[:, None]], 1)
        out = self.background.copy()
        height, width = self.picture.shape
        ends = np.array([(0, 0), (width, 0), (0, height), (width, height)]) @ turn.T + matrix[:, 2]
        left, top = np.maximum(np.floor(ends.min(0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(ends.max(0)).astype(int), (WIDTH, HEIGHT))
        part, size = out[top:bottom, left:right], (int(right - left), int(bottom - top))
        placed = matrix - np.array([[0, 0, left], [0, 0, top]])
        person = cv2.warpAffine(
            self.picture, placed, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        cover = cv2.warpAffine(self._alpha, placed, size)
        part[:] = cv2.blendLinear(person, part, cover, 1.0 - cover)
        points = self.points @ turn.T + matrix[:, 2]
        return out, points.astype(np.float32)


@dataclass(eq=False)
class Clip(Photographed):
    """A short clip, to and fro without a jump; real head movement, blinks and compression."""

    name: str
    pictures: list[Grey]
    points: Float
    """float32[N, 68, 2], frame pixels, averaged over time."""
    located: str
    kind: str = "video"

    def at(self, index: int) -> tuple[Grey, Float]:
        """As `Photographed.at`."""
        last = len(self.pictures) - 1
        at = last - abs(index % (2 * last) - last) if last else 0
        return self.pictures[at], self.points[at]

    def moment(self, time: float) -> float:
        """As `Source.moment`: folded back at both ends."""
        last = (len(self.pictures) - 1) / FPS
        return last - abs(time % (2 * last) - last) if last else 0.0


def read_clip(video: Path, enlarged: float = 1.0, teacher: Path | None = None) -> Clip:
    """The longest stretch of a video that shows one face throughout.

    `enlarged` cuts a window around the face and scales it up to the video's size. Landmarks are
    FaceMesh v2's where `teacher` names its file, else this agent's own. Raises `ToolError` where
    no face stays for a second.
    """
    pictures = list(islice(greys(video), 900))
    if enlarged != 1.0 and pictures:
        pictures = _enlarged(pictures, enlarged)
    own = located_by_agent(pictures)
    first, last = _longest(np.isfinite(own[:, 0, 0]))
    if last - first < FPS:
        raise ToolError(f"{video} shows no face for a second on end. Name another video.")
    pictures, own = pictures[first:last], own[first:last]
    points = located_by_teacher(pictures, own[0], teacher) if teacher else own
    name = video.stem + (f" x{enlarged:g}" if enlarged != 1.0 else "")
    return Clip(name, pictures, _smoothed(points), "FaceMesh v2" if teacher else "this agent")


def located_by_agent(pictures: list[Grey]) -> Float:
    """The first face's landmarks float32[N, 68, 2] in each picture, NaN where it is not seen."""
    from agent.base.config import AgentConfig
    from agent.vision.pipeline import Pipeline

    pipeline = Pipeline(AgentConfig(), expressions=False)
    out = np.full((len(pictures), 68, 2), np.nan, np.float32)
    track = None
    for index, luma in enumerate(pictures):
        for face in pipeline(Frame(index / FPS, luma)).faces:
            track = face.track_id if track is None else track
            if face.track_id == track:
                out[index] = face.landmarks.points
    return out


def located_by_teacher(pictures: list[Grey], start: Float, network: Path) -> Float:
    """FaceMesh v2's landmarks float32[N, 68, 2], begun at `start` in the first picture.

    The jaw is the mean face's, laid onto the other points: the mesh has another convention.
    """
    from tools.eval.peers.landmarkers import mesh, mesh_points

    follow = mesh(network)
    eyes = [start[36:42].mean(0), start[42:48].mean(0)]
    own = np.stack([*eyes, start[30], start[48], start[54]]).astype(np.float32)
    own = follow(pictures[0], own)
    out = np.empty((len(pictures), 68, 2), np.float32)
    for index, luma in enumerate(pictures):
        own = follow(luma, own)
        points = mesh_points(own)
        points[:17] = apply(similarity(MEAN_SHAPE[17:], points[17:]), MEAN_SHAPE[:17])
        out[index] = points
    return out


def _smoothed(points: Float) -> Float:
    """Gaussian over time, ends mirrored as the clip is."""
    reach = int(4 * SMOOTH)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTH) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(points, ((reach, reach), (0, 0), (0, 0)), mode="reflect")
    return sum(
        (k * padded[i : i + len(points)] for i, k in enumerate(kernel)), np.zeros_like(points)
    ).astype(np.float32)


def _longest(seen: NDArray[np.bool_]) -> tuple[int, int]:
    best, start = (0, 0), 0
    for index in range(len(seen) + 1):
        if index == len(seen) or not seen[index]:
            if index - start > best[1] - best[0]:
                best = (start, index)
            start = index + 1
    return best


def _enlarged(pictures: list[Grey], factor: float) -> list[Grey]:
    """A window around the face's usual place, scaled up to the picture's own size."""
    points = located_by_agent(pictures)
    if not np.isfinite(points).any():
        return pictures
    middle = np.nanmedian(points.reshape(-1, 2), 0)
    height, width = pictures[0].shape
    size = np.array([width, height]) / factor
    left, top = np.clip(middle - size / 2, 0, np.array([width, height]) - size)
    matrix = np.array([[factor, 0, -left * factor], [0, factor, -top * factor]])
    return [
        np.asarray(cv2.warpAffine(p, matrix, (width, height), flags=cv2.INTER_CUBIC), np.uint8)
        for p in pictures
    ]
