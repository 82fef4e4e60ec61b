"""Frames decoded once, untimed: the same pictures, grey for ours and RGB for the peer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.common.errors import ToolError


@dataclass(frozen=True, slots=True)
class Decoded:
    """Raw pictures, one after the other, in two files."""

    grey: Path
    """uint8[N, H, W]."""
    rgb: Path
    """uint8[N, H, W, 3]."""
    count: int
    height: int
    width: int
    fps: float


def decode(
    video: Path, folder: Path, most: int, size: tuple[int, int] | None, fps: float | None
) -> Decoded:
    """Up to `most` frames of `video` into `folder`.

    `size` is (width, height): pictures are scaled to fit and centred on black. Raises `ToolError`
    when the video holds none.
    """
    capture = cv2.VideoCapture(str(video))
    stated = float(capture.get(cv2.CAP_PROP_FPS))
    grey, rgb = folder / "grey.raw", folder / "rgb.raw"
    count, shape = 0, (0, 0)
    with grey.open("wb") as grey_file, rgb.open("wb") as rgb_file:
        while count < most:
            good, picture = capture.read()
            if not good:
                break
            fitted = fit(picture, size) if size else picture
            if count and fitted.shape[:2] != shape:
                break  # a stream that changes its size cannot be compared frame by frame
            shape = (int(fitted.shape[0]), int(fitted.shape[1]))
            grey_file.write(cv2.cvtColor(fitted, cv2.COLOR_BGR2GRAY).tobytes())
            rgb_file.write(cv2.cvtColor(fitted, cv2.COLOR_BGR2RGB).tobytes())
            count += 1
    capture.release()
    if not count:
        raise ToolError(f"{video} holds no frame that can be decoded. Name another video.")
    return Decoded(grey, rgb, count, *shape, fps or (stated if 1.0 <= stated <= 240.0 else 30.0))


def fit(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """`picture` scaled to fit (width, height), centred on black."""
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        picture, inner, interpolation=way
    )
    return canvas
