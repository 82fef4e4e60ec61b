"""A short video with much texture, made anew for each session: an honest and a leaking agent see
the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

SIZE = (160, 120)
"""Width and height, pixels."""


def frames(count: int = 75, seed: int = 7) -> list[npt.NDArray[np.uint8]]:
    """Grey clouds that drift; uint8[120, 160] each."""
    rng = np.random.default_rng(seed)
    world = np.zeros((240, 400), np.float32)
    for scale in (4, 10, 30):
        rough = rng.normal(0, 1, (240 // scale + 2, 400 // scale + 2)).astype(np.float32)
        world += cv2.resize(rough, (400, 240), interpolation=cv2.INTER_CUBIC)
    world = cv2.normalize(world, None, 10, 245, cv2.NORM_MINMAX)
    width, height = SIZE
    return [
        world[n % 100 : n % 100 + height, 2 * n % 200 : 2 * n % 200 + width].astype(np.uint8)
        for n in range(count)
    ]


def write(path: Path, pictures: list[npt.NDArray[np.uint8]], fps: float = 25.0) -> Path:
    """As lossless FFV1 in Matroska, so that the agent sees exactly these pixels."""
    height, width = pictures[0].shape
    code = cv2.VideoWriter.fourcc(*"FFV1")
    writer = cv2.VideoWriter(str(path), code, fps, (width, height), True)
    assert writer.isOpened()
    for each in pictures:
        writer.write(cv2.cvtColor(each, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path
