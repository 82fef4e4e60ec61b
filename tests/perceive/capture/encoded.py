"""One picture in many pixel formats, for cameras in tests."""

from __future__ import annotations

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 80, 64
_RNG = np.random.default_rng(16)
RGB = cv2.resize(
    _RNG.integers(20, 236, (6, 8, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
)
"""uint8[H, W, 3], smooth and colourful."""


def by_ffmpeg(pixel_format: str, picture: np.ndarray = RGB) -> bytes:
    """Its bytes without padding, luma after BT.601, limited range."""
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    if not pixel_format.startswith(("rgb", "bgr", "0", "a")) or pixel_format == "ayuv":
        frame = frame.reformat(format="yuv444p")
    frame = frame.reformat(format=pixel_format)
    bits = frame.format.components[0].bits
    assert bits <= 16
    rows = []
    for number, plane in enumerate(frame.planes):
        data = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        used = plane.width * _bytes_per_pixel(pixel_format, number)
        rows.append(data[: plane.height, :used].tobytes())
    return b"".join(rows)


def mosaic(pattern: str) -> np.ndarray:
    """uint8[H, W]: what a sensor behind these colour filters sees; two rows of two, as letters."""
    seen = np.empty((HEIGHT, WIDTH), np.uint8)
    for n, letter in enumerate(pattern):
        seen[n // 2 :: 2, n % 2 :: 2] = RGB[n // 2 :: 2, n % 2 :: 2, "RGB".index(letter)]
    return seen


def _bytes_per_pixel(pixel_format: str, plane: int) -> int:
    if pixel_format.startswith("nv"):
        return 2 if plane else 1
    if pixel_format.endswith("p"):
        return 1
    if pixel_format in ("yuyv422", "yvyu422", "uyvy422", "rgb565le", "rgb555le"):
        return 2
    return 3 if pixel_format.endswith("24") else 4


Y = np.frombuffer(by_ffmpeg("yuv444p"), np.uint8)[: WIDTH * HEIGHT].reshape(HEIGHT, WIDTH)
"""Luma of `RGB`, uint8[H, W]; its largest value needs all eight bits."""
assert Y.max() >= 128


def wide(bits: int) -> np.ndarray:
    """uint16[H, W]: `Y` with so many bits, low bits not zero."""
    return Y.astype(np.uint16) << (bits - 8) | ((1 << (bits - 8)) - 1)


def raw_of(name: str, luma: np.ndarray) -> bytes:
    """A V4L2 format's bytes of uint8[H, W] luma, or of uint16 samples for packed ones."""
    chroma = np.full_like(luma, 100)
    if name in ("YUYV", "UYVY"):
        order = (luma, chroma) if name == "YUYV" else (chroma, luma)
        return np.stack(order, -1).tobytes()
    if name in ("NV12", "YU12"):
        return luma.tobytes() + bytes([100]) * (luma.size // 2)
    if name == "NV16":
        return luma.tobytes() + chroma.tobytes()
    if name in ("BGR3", "YUV3"):
        return np.stack([luma] * 3, -1).tobytes()
    if name == "AYUV":
        return np.stack([chroma, luma, chroma, chroma], -1).tobytes()
    if name in ("Y10 ", "Y16 "):
        return (luma.astype("<u2") << (2 if name == "Y10 " else 8)).tobytes()
    if name in ("Y10P", "Y12P", "Y14P"):
        bits = int(name[1:3])
        pixels, group = {10: (4, 5), 12: (2, 3), 14: (4, 7)}[bits]
        high = (luma >> (bits - 8)).astype(np.uint8).reshape(-1, pixels)
        low = np.full((len(high), group - pixels), 0xAB, np.uint8)
        return np.concatenate([high, low], axis=1).tobytes()
    return luma.tobytes()
