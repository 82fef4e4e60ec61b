"""Background, slow camera drift and sensor noise of the clip."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from agent.base.types import Float
from tools.demo.portrait import Picture, Portrait
from tools.demo.render import Visitor
from tools.demo.script import CAST, DURATION, FPS, HEIGHT, WIDTH, order

MARGIN = 16
"""Pixels of room beyond the frame, for the drift."""
NOISE = 1.1
"""Standard deviation of the sensor noise, grey levels."""


def room() -> Float:
    """An out-of-focus interior of our own making, float32[H, W, 3] with `MARGIN` all round."""
    height, width = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    light = 176 + 30 * np.exp(-(((x - 0.3) / 0.45) ** 2) - ((y - 0.15) / 0.6) ** 2) - 22 * y
    wall = np.stack([light * 0.97, light * 0.99, light], -1).astype(np.float32)

    def box(
        left: float, top: float, right: float, bottom: float, colour: tuple[float, ...]
    ) -> None:
        corners = (int(left * width), int(top * height)), (int(right * width), int(bottom * height))
        cv2.rectangle(wall, *corners, colour, -1)

    box(0.00, 0.86, 1.00, 1.00, (118, 132, 142))
    box(0.70, 0.10, 0.93, 0.40, (92, 96, 104))
    box(0.715, 0.12, 0.915, 0.38, (196, 188, 172))
    box(0.74, 0.27, 0.89, 0.36, (140, 150, 128))
    box(0.04, 0.00, 0.07, 1.00, (150, 156, 164))
    box(0.00, 0.00, 0.04, 1.00, (206, 204, 196))
    return np.asarray(cv2.GaussianBlur(wall, (0, 0), 5.0), np.float32)


def frames(portrait: Portrait) -> Iterator[Picture]:
    """The clip's frames, uint8[480, 640, 3] BGR, in order; the same ones every time."""
    background = room()
    visitors = [Visitor(portrait, cast.look, cast.identity) for cast in CAST]
    # the larger stand nearer: they are painted last
    depth = sorted(range(len(CAST)), key=lambda index: CAST[index].place.scale)
    random = np.random.default_rng(2026)
    for number in range(round(DURATION * FPS)):
        time = number / FPS
        frame = background.copy()
        canvas = frame[MARGIN:-MARGIN, MARGIN:-MARGIN]
        for index in depth:
            cast = CAST[index]
            if cast.in_view(time):
                visitors[index].draw(canvas, cast.movement(time), cast.placement(time))
        yield _sensor(frame, time, random)


def marks(portrait: Portrait, index: int, time: float) -> Float:
    """True landmarks of one visitor, float32[68, 2], frame pixels, iBUG order, drift included."""
    cast = CAST[index]
    visitor = Visitor(portrait, cast.look, cast.identity)
    points = visitor.landmarks(cast.movement(time), cast.placement(time))
    drift = _drift(time)
    return np.asarray(points[order(cast.place.mirror)] + drift, np.float32)


def _drift(time: float) -> Float:
    """Pixels by which the hand has moved the picture, about 1.5 at most."""
    return np.array(
        [
            0.9 * np.sin(2 * np.pi * 0.21 * time) + 0.4 * np.sin(2 * np.pi * 0.57 * time + 1),
            0.7 * np.sin(2 * np.pi * 0.17 * time + 2) + 0.4 * np.sin(2 * np.pi * 0.49 * time),
        ],
        np.float32,
    )


def _sensor(frame: Float, time: float, random: np.random.Generator) -> Picture:
    dx, dy = _drift(time)
    shift = np.array([[1, 0, dx - MARGIN], [0, 1, dy - MARGIN]], np.float32)
    seen = cv2.warpAffine(frame, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    noise = random.standard_normal(seen.shape[:2], np.float32)[..., None]
    return np.asarray(np.clip(seen + NOISE * noise + 0.5, 0, 255), np.uint8)
