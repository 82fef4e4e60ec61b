"""Made-up training packs, and faces whose landmarks are known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.align import MEAN_SHAPE, apply
from tools.train.landmarks.data import Faces

SIDED = ("browOuterUp", "browDown", "eyeWide", "eyeSquint", "mouthUpperUp", "mouthSmile",
         "mouthPress", "eyeBlink", "mouthLowerDown")  # fmt: skip
BLENDSHAPES = np.array(
    ["browInnerUp", "mouthPucker", "jawOpen"] + [n + s for n in SIDED for s in ("Left", "Right")]
)
"""As many of MediaPipe's as the action units need."""


def blob(pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Coded pictures one after another, and where each begins; the last number is the end."""
    coded = [cv2.imencode(".png", picture)[1].ravel() for picture in pictures]
    return np.concatenate(coded), np.cumsum([0, *map(len, coded)]).astype(np.int64)


def noise_faces(count: int = 4) -> Faces:
    """Blurred noise with a label somewhere in it."""
    rng = np.random.default_rng(5)
    pictures, points = [], []
    for _ in range(count):
        noise = rng.integers(0, 256, (140, 130), dtype=np.uint8)
        pictures.append(np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8))
        c, s = 50 * np.cos(0.2), 50 * np.sin(0.2)
        points.append(apply(np.array([[c, -s, 64], [s, c, 50]], np.float32), MEAN_SHAPE))
    return Faces(
        pictures,
        np.stack(points),
        np.ones((count, 68), np.float32),
        np.arange(count, dtype=np.uint8) % 2,
        np.linspace(-35, 35, count).astype(np.float32),
        np.ones(count, np.float32),
    )
