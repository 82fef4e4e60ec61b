"""Parts of made-up training packs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

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
