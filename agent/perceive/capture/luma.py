"""Decoded pictures as a viewer shows them, in grey: levels, alpha, high dynamic range, geometry."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

MAX_PIXELS = 8192 * 4608
"""Of one picture, 8K with room: more memory is not given to what a file states."""
Grey = npt.NDArray[np.uint8]

FULL = 2
"""`AVCOL_RANGE_JPEG`."""
_PQ, _HLG = 16, 18
"""Transfer characteristics of high dynamic range (ITU-T H.273, table 3)."""
_WHITE = 203.0
"""cd/m2 of white paper in high dynamic range (ITU-R BT.2408), here white."""
_PEAK = 1000.0
"""cd/m2 that become 255; what is brighter is cut off."""
_KNEE = 0.75
"""Share of white up to which brightness stays as it is."""
_MAX_ASPECT = 16.0
"""A pixel aspect ratio beyond it, or below its inverse, is a mistake."""


class Converter:
    """Grey pictures of one file's frames; remembers what the last frame needed."""

    def __init__(self) -> None:
        self._layouts: dict[str, _Layout] = {}

    def __call__(self, frame: Any, limited: bool = False) -> Grey:
        """uint8[H, W], full range, in the size and orientation of the file, of an
        `av.VideoFrame`. `limited`: it is grey with the limited range of video. Raises `ValueError`
        for a pixel format that cannot be converted.

        Luma where the frame has it, BT.601 weights of red, green and blue where not. Transparent
        parts are black, unless all is transparent. PQ and HLG become what a screen without high
        dynamic range shows: white paper keeps its place, highlights are compressed.
        """
        name = frame.format.name
        layout = self._layouts.get(name)
        if layout is None:
            layout = self._layouts[name] = _Layout(frame.format)
        transfer = int(frame.color_trc or 0)
        hdr = transfer in (_PQ, _HLG)
        if layout.alpha:
            grey, alpha = _with_alpha(frame, deep=hdr)
        elif layout.plain and not hdr:
            plane = _plane(frame)
            full = not limited and (layout.full or frame.color_range == FULL)
            return np.array(plane) if full else cv2.LUT(plane, _expansion())
        else:
            grey, alpha = _converted(frame, "gray16le" if hdr else "gray"), None
        if hdr:
            grey = _curve(transfer)[_expanded(grey) if limited else grey]
        elif limited:
            grey = cv2.LUT(grey, _expansion())
        if alpha is not None and alpha.any():
            grey = cv2.multiply(grey, alpha, scale=1 / 255)
        return np.ascontiguousarray(grey, np.uint8)


class _Layout:
    """What a pixel format needs."""

    def __init__(self, form: Any) -> None:
        name, parts = form.name, form.components
        self.alpha = any(part.is_alpha for part in parts) or name == "pal8"
        self.full = name.startswith(("yuvj", "gray"))
        """Full range whatever the file says: FFmpeg's grey is."""
        first = parts[0]
        self.plain = bool(
            not form.is_rgb
            and name != "pal8"  # FFmpeg calls its indices luma
            and first.is_luma
            and first.bits == 8
            and first.plane == 0
            and all(part.plane for part in parts[1:])
        )
        """The first plane is 8-bit luma and nothing else."""


def _plane(frame: Any, width: int = 1) -> npt.NDArray[Any]:
    """The first plane, `width` bytes a pixel, without copying."""
    plane = frame.planes[0]
    stride = abs(plane.line_size)
    rows = np.frombuffer(plane, np.uint8).reshape(-1, stride)[: frame.height]
    return rows[:, : frame.width * width]


def _converted(frame: Any, form: str) -> npt.NDArray[Any]:
    """The first plane after FFmpeg's conversion to a grey format."""
    try:
        done = frame.reformat(format=form, threads=1)
    except (OSError, ValueError):  # formats with a way to RGB only, such as raw sensors'
        try:
            done = frame.reformat(format="rgb24", threads=1).reformat(format=form, threads=1)
        except (OSError, ValueError):
            raise ValueError(frame.format.name) from None
    if form == "gray16le":
        return np.ascontiguousarray(_plane(done, 2)).view("<u2")
    return _plane(done)


def _with_alpha(frame: Any, deep: bool) -> tuple[npt.NDArray[Any], Grey]:
    """Grey (16 bits where deep) and alpha, by FFmpeg's conversion."""
    try:
        both = frame.reformat(format="ya8", threads=1)
    except (OSError, ValueError):
        raise ValueError(frame.format.name) from None
    pairs = np.ascontiguousarray(_plane(both, 2)).reshape(frame.height, frame.width, 2)
    grey = _converted(frame, "gray16le") if deep else np.ascontiguousarray(pairs[:, :, 0])
    return grey, np.ascontiguousarray(pairs[:, :, 1])


@cache
def _expansion() -> Grey:
    """Limited to full range (ITU-R BT.601: black 16, white 235)."""
    return np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


def _expanded(deep: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same for 16 bits."""
    wide = (deep.astype(np.float32) - 4096.0) * np.float32(65_535 / 56_064)
    return np.asarray(np.clip(wide, 0.0, 65_535.0).astype(np.uint16))


@cache
def _curve(transfer: int) -> Grey:
    """uint8[65536]: what a screen of standard dynamic range shows of a luma value.

    PQ: SMPTE ST 2084. HLG: ITU-R BT.2100 with its system gamma for 1000 cd/m2. Below the knee
    brightness stays; above, a hyperbola leads to the peak with the slope it began with. The screen
    has a gamma of 2.2.
    """
    signal = np.arange(65_536) / 65_535.0
    if transfer == _PQ:
        powered = signal ** (32 / 2523)
        low, high = powered - 0.8359375, 18.8515625 - 18.6875 * powered
        light = 10_000.0 * (np.maximum(low, 0.0) / high) ** (8192 / 1305)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        light = 1000.0 * scene**1.2
    share = np.minimum(light, _PEAK) / _WHITE
    room, rest = 1.0 - _KNEE, _PEAK / _WHITE - _KNEE
    # x / (1 + k x) over the knee, with k such that the peak is white
    over = np.maximum(share - _KNEE, 0.0)
    shown = np.minimum(share, _KNEE) + over / (1.0 + over * (1 / room - 1 / rest))
    return np.rint(255.0 * np.clip(shown, 0.0, 1.0) ** (1 / 2.2)).astype(np.uint8)


def square_pixels(grey: Grey, aspect: float) -> Grey:
    """The picture with square pixels, grown along one side, or where that made it too large shrunk
    along the other. `aspect`: width of a pixel over its height."""
    if not math.isfinite(aspect) or not 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
        return grey
    height, width = grey.shape
    wider, higher = round(width * aspect), round(height / aspect)
    grown = (wider, height) if aspect > 1 else (width, higher)
    shrunk = (width, max(higher, 1)) if aspect > 1 else (max(wider, 1), height)
    size = grown if grown[0] * grown[1] <= MAX_PIXELS else shrunk
    if size == (width, height):
        return grey
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def upright(grey: Grey, matrix: tuple[int, ...] | None) -> Grey:
    """The picture turned and mirrored as a display matrix says, by the nearest quarter.

    `matrix`: nine numbers (ISO/IEC 14496-12, 6.2.2); a pixel at (x, y) goes to
    (a x + c y, b x + d y), y down. None: as it is.
    """
    if matrix is None:
        return grey
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    mirrored = a * d < b * c
    if mirrored:  # left and right change places first: a pixel goes to (-a x + c y, ...)
        a, b = -a, -b
    turns = round(math.atan2(b - c, a + d) / (math.pi / 2)) % 4
    turned = np.rot90(grey[:, ::-1] if mirrored else grey, -turns)
    return np.ascontiguousarray(turned)
