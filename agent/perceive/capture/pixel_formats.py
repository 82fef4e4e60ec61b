"""From a camera's uncompressed buffers to luma: one table of V4L2's pixel formats.

Of YUV formats luma is a matter of which bytes; colours are weighted by ITU-R BT.601, raw Bayer is
interpolated without gamma. Values are left in the camera's own range, 16 to 235 or 0 to 255, which
few drivers state rightly.

Source: the kernel's "Image Formats", https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Grey

MAX_SIDE = 4096
"""Pixels, as `source.width` and `source.height`; larger pictures are refused."""
SAMPLE = 61
"""Of the bytes that tell whether a buffer is green one in so many is looked at: a prime, so that
all columns are."""
Bytes = NDArray[np.uint8]
Samples = NDArray[np.uint8] | NDArray[np.uint16]
Reader = Callable[[Bytes, int], Samples]


@dataclass(frozen=True, slots=True)
class Picture:
    """One converted frame."""

    luma: Grey
    """uint8[H, W], C-contiguous, a copy."""
    green: bool = False
    """The picture that a buffer of zeros shows: chroma that is zero all over, or colours without
    red and blue. No scene looks like that; a failed driver or image processor does."""


class DamagedError(Exception):
    """A frame that must not be shown to anybody; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Size of the pictures in pixels, and the bytes from one row of the first plane to the next
    (0: not stated)."""

    width: int
    height: int
    stride: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes of a format lie."""

    row: tuple[int, int]
    """Bytes per pixel of the first plane, as a fraction."""
    rank: int
    """Of two formats with the same size and rate the one with the lower rank is used."""
    luma: Reader
    """From the first plane's uint8[H, bytes] and the width; may be a view."""
    chroma: Callable[[Bytes], Bytes] | None = None
    """The first plane's bytes that are zero in a green picture."""
    more: tuple[int, int] = (0, 1)
    """Size of the planes that follow, all together, as a fraction of the first."""
    only_in_colour: bool = False
    """A green picture is one whose other bytes are not all zero."""

    def bytes_per_row(self, width: int) -> int:
        """Without padding."""
        return -(-width * self.row[0] // self.row[1])

    def size(self, geometry: Geometry) -> int:
        """Bytes of a whole frame; of odd heights the smaller half."""
        first = geometry.stride * geometry.height
        return first + first * self.more[0] // self.more[1] - (
            geometry.stride * self.more[0] // self.more[1] if geometry.height % 2 else 0
        )  # fmt: skip


class Converter:
    """Converts the frames of one stream. It remembers how many bits deep its samples are."""

    def __init__(self, name: str, geometry: Geometry) -> None:
        """`name`: a key of `LAYOUTS`. Raises `ValueError` for a size out of bounds."""
        if not (0 < geometry.width <= MAX_SIDE and 0 < geometry.height <= MAX_SIDE):
            raise ValueError(f"{geometry.width}x{geometry.height} is not within {MAX_SIDE} pixels")
        self._layout = LAYOUTS[name]
        self._geometry = geometry
        self._depth = _Depth(*DEPTHS[name]) if name in DEPTHS else None
        self._demosaic = _BAYER.get(name)

    def __call__(self, planes: Sequence[Bytes]) -> Picture:
        """`planes`: what the driver filled of each memory plane; of formats with several planes in
        one, that one. Raises `DamagedError` where it is not a whole frame."""
        size = self._geometry
        stride = self._stride(planes)
        first = planes[0][: stride * size.height]
        rows = first.reshape(size.height, stride)[:, : self._layout.bytes_per_row(size.width)]
        samples = self._layout.luma(rows, size.width)
        luma = self._depth(samples) if self._depth is not None else samples
        if self._demosaic is not None:
            luma = _converted(luma, self._demosaic)
        copied = np.array(luma, np.uint8, order="C", copy=True)
        return Picture(copied, self._green(rows, planes, stride * size.height))

    def _stride(self, planes: Sequence[Bytes]) -> int:
        """The stated stride, or none at all where the frame has exactly that size: some drivers
        state one and pack the rows."""
        size = self._geometry
        tight = self._layout.bytes_per_row(size.width)
        got = sum(map(len, planes))
        for stride in (max(size.stride, tight), tight):
            needed = self._layout.size(Geometry(size.width, size.height, stride))
            if got == needed or (got > needed and stride >= size.stride):
                if len(planes[0]) >= stride * size.height:
                    return stride
                break
        raise DamagedError(f"{got:,} bytes of {needed:,}")

    def _green(self, rows: Bytes, planes: Sequence[Bytes], luma_size: int) -> bool:
        layout = self._layout
        if layout.chroma is not None:
            if layout.chroma(rows[::7, :]).any():
                return False
            return bool(rows[::7].any()) or not layout.only_in_colour
        if layout.more[0]:
            rest = planes[0][luma_size:] if len(planes) == 1 else np.concatenate(
                [plane[::SAMPLE] for plane in planes[1:]]
            )  # fmt: skip
            sample = rest[::SAMPLE] if len(planes) == 1 else rest
            return len(sample) > 0 and not sample.any()
        return False


class _Depth:
    """Which bits of 16 hold the samples, learnt from the largest value so far.

    V4L2 puts N bits into the low ones, and says of Y16 that its precision may be lower; some
    drivers put them into the high ones.
    """

    def __init__(self, *depths: int) -> None:
        self._depths = depths
        self._most = 0

    def __call__(self, samples: Samples) -> Grey:
        self._most = max(self._most, int(samples.max(initial=0)))
        depth = next(each for each in self._depths if self._most >> each == 0)
        return (samples >> (depth - 8)).astype(np.uint8)


def _every(offset: int, step: int) -> Reader:
    return lambda rows, width: rows[:, offset::step][:, :width]


def _bytes_at(*offsets: int, step: int) -> Callable[[Bytes], Bytes]:
    return lambda rows: np.concatenate([rows[:, offset::step] for offset in offsets], axis=1)


def _rows(rows: Bytes, width: int) -> Samples:
    return rows[:, :width]


def _wide(kind: str) -> Reader:
    """Samples of 16 bits; `kind` is NumPy's."""

    def read(rows: Bytes, width: int) -> Samples:
        samples = np.ascontiguousarray(rows[:, : 2 * width]).view(kind)
        return samples.astype(np.uint16, copy=False)

    return read


def _packed(pixels: int, group: int) -> Reader:
    """MIPI's packing: the high bytes of `pixels` pixels, then their low bits."""

    def read(rows: Bytes, width: int) -> Samples:
        groups = -(-width // pixels)
        padded = np.zeros((rows.shape[0], groups * group), np.uint8)
        padded[:, : rows.shape[1]] = rows
        high = padded.reshape(rows.shape[0], groups, group)[:, :, :pixels]
        return high.reshape(rows.shape[0], -1)[:, :width]

    return read


def _converted(samples: Samples, code: str) -> Samples:
    """By OpenCV, which most formats can do without; `code`: the name of one of its constants."""
    import cv2

    return np.asarray(cv2.cvtColor(samples, getattr(cv2, code)))


def _colour(code: str, channels: int, first: int = 0) -> Reader:
    def read(rows: Bytes, width: int) -> Samples:
        pixels = rows[:, : width * channels].reshape(rows.shape[0], width, channels)
        return _converted(np.ascontiguousarray(pixels[:, :, first:]), code)

    return read


_GREY, _PLANAR, _PACKED_YUV, _RGB, _WIDE, _RAW = 0, 1, 2, 3, 5, 7
"""Ranks: the fewer bytes for the same luma the better. JPEG comes between RGB and the samples of 16
bits, H.264 last."""
_planar = partial(Layout, (1, 1), _PLANAR, _rows)
_wide_grey = partial(Layout, (2, 1), _WIDE)

LAYOUTS: dict[str, Layout] = {
    "GREY": Layout((1, 1), _GREY, _rows),
    "Y8  ": Layout((1, 1), _GREY, _rows),
    "Y800": Layout((1, 1), _GREY, _rows),
    "Y10 ": _wide_grey(_wide("<u2")),
    "Y12 ": _wide_grey(_wide("<u2")),
    "Y14 ": _wide_grey(_wide("<u2")),
    "Y16 ": _wide_grey(_wide("<u2")),
    "Y16 -BE": _wide_grey(_wide(">u2")),
    "Y10P": Layout((5, 4), _WIDE, _packed(4, 5)),
    "Y12P": Layout((3, 2), _WIDE, _packed(2, 3)),
    "Y14P": Layout((7, 4), _WIDE, _packed(4, 7)),
    "NV12": _planar(more=(1, 2)),
    "NV21": _planar(more=(1, 2)),
    "YU12": _planar(more=(1, 2)),
    "YV12": _planar(more=(1, 2)),
    "NM12": _planar(more=(1, 2)),
    "NM21": _planar(more=(1, 2)),
    "YM12": _planar(more=(1, 2)),
    "YM21": _planar(more=(1, 2)),
    "411P": _planar(more=(1, 2)),
    "YUV9": _planar(more=(1, 8)),
    "YVU9": _planar(more=(1, 8)),
    "NV16": _planar(more=(1, 1)),
    "NV61": _planar(more=(1, 1)),
    "422P": _planar(more=(1, 1)),
    "NM16": _planar(more=(1, 1)),
    "NM61": _planar(more=(1, 1)),
    "YM16": _planar(more=(1, 1)),
    "YM61": _planar(more=(1, 1)),
    "NV24": _planar(more=(2, 1)),
    "NV42": _planar(more=(2, 1)),
    "YM24": _planar(more=(2, 1)),
    "YM42": _planar(more=(2, 1)),
    "YUYV": Layout((2, 1), _PACKED_YUV, _every(0, 2), _bytes_at(1, step=2)),
    "YVYU": Layout((2, 1), _PACKED_YUV, _every(0, 2), _bytes_at(1, step=2)),
    "UYVY": Layout((2, 1), _PACKED_YUV, _every(1, 2), _bytes_at(0, step=2)),
    "VYUY": Layout((2, 1), _PACKED_YUV, _every(1, 2), _bytes_at(0, step=2)),
    "YUV3": Layout((3, 1), _PACKED_YUV, _every(0, 3), _bytes_at(1, 2, step=3)),
    "YUV4": Layout((4, 1), _PACKED_YUV, _every(1, 4), _bytes_at(2, 3, step=4)),
    "AYUV": Layout((4, 1), _PACKED_YUV, _every(1, 4), _bytes_at(2, 3, step=4)),
    "XYUV": Layout((4, 1), _PACKED_YUV, _every(1, 4), _bytes_at(2, 3, step=4)),
    "VUYA": Layout((4, 1), _PACKED_YUV, _every(2, 4), _bytes_at(0, 1, step=4)),
    "VUYX": Layout((4, 1), _PACKED_YUV, _every(2, 4), _bytes_at(0, 1, step=4)),
    "YUVA": Layout((4, 1), _PACKED_YUV, _every(0, 4), _bytes_at(1, 2, step=4)),
    "YUVX": Layout((4, 1), _PACKED_YUV, _every(0, 4), _bytes_at(1, 2, step=4)),
    **{
        name: Layout(
            (channels, 1),
            _RGB,
            _colour(code, channels, first),
            _bytes_at(*red_and_blue, step=channels),
            only_in_colour=True,
        )
        for names, code, channels, first, red_and_blue in (
            ("BGR3", "COLOR_BGR2GRAY", 3, 0, (0, 2)),
            ("RGB3", "COLOR_RGB2GRAY", 3, 0, (0, 2)),
            ("BGR4 AR24 XR24", "COLOR_BGRA2GRAY", 4, 0, (0, 2)),
            ("AB24 XB24", "COLOR_RGBA2GRAY", 4, 0, (0, 2)),
            ("RGB4 BA24 BX24", "COLOR_RGB2GRAY", 4, 1, (1, 3)),
            ("RA24 RX24", "COLOR_BGR2GRAY", 4, 1, (1, 3)),
        )
        for name in names.split()
    },
    "RGBP": Layout((2, 1), _RGB, _colour("COLOR_BGR5652GRAY", 2)),
    "RGBO": Layout((2, 1), _RGB, _colour("COLOR_BGR5552GRAY", 2)),
    "AR15": Layout((2, 1), _RGB, _colour("COLOR_BGR5552GRAY", 2)),
    "XR15": Layout((2, 1), _RGB, _colour("COLOR_BGR5552GRAY", 2)),
}
"""By the four characters of V4L2's formats, see `v4l2_abi.fourcc`."""

_BAYER: dict[str, str] = {}
"""OpenCV's interpolation by format."""
for _code, _names in (
    ("COLOR_BayerRGGB2GRAY", "RGGB RG10 RG12 RG14 RG16 pRAA pRCC pREE"),
    ("COLOR_BayerGRBG2GRAY", "GRBG BA10 BA12 GR14 GR16 pgAA pgCC pgEE"),
    ("COLOR_BayerGBRG2GRAY", "GBRG GB10 GB12 GB14 GB16 pGAA pGCC pGEE"),
    ("COLOR_BayerBGGR2GRAY", "BA81 BG10 BG12 BG14 BYR2 pBAA pBCC pBEE"),
):
    _eight, *_others = _names.split()
    LAYOUTS[_eight] = Layout((1, 1), _RAW, _rows)
    LAYOUTS |= dict.fromkeys(_others[:4], Layout((2, 1), _RAW, _wide("<u2")))
    for _name, _base in zip(_others[4:], ("Y10P", "Y12P", "Y14P"), strict=True):
        LAYOUTS[_name] = Layout(LAYOUTS[_base].row, _RAW, LAYOUTS[_base].luma)
    _BAYER |= dict.fromkeys(_names.split(), _code)
RAW = frozenset(_BAYER)
"""Formats of sensors without an image processor: unbalanced, unfocused and often dark."""

_EVERY_DEPTH = (8, 10, 12, 14, 16)
DEPTHS: dict[str, tuple[int, ...]] = {
    **{f"{prefix}10": (10, 16) for prefix in ("RG", "BA", "GB", "BG")},
    **{f"{prefix}12": (12, 16) for prefix in ("RG", "BA", "GB", "BG")},
    **{f"{prefix}14": (14, 16) for prefix in ("RG", "GR", "GB", "BG")},
    **dict.fromkeys(("RG16", "GR16", "GB16", "BYR2", "Y16 ", "Y16 -BE"), _EVERY_DEPTH),
    "Y10 ": (10, 16),
    "Y12 ": (12, 16),
    "Y14 ": (14, 16),
}
"""Bits that hold the samples: the first of these that the largest value fits."""
