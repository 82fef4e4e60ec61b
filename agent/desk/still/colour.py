"""Luma of pictures with eight bits a colour: colour models, profiles, transparency."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from agent.base.types import Grey

_TRANSPARENT = {"LA", "La", "PA", "RGBA", "RGBa"}
_SAME_CURVE = ("sRGB", "Display P3", "c2", "Artifex")
"""In the descriptions of profiles whose tone curve is sRGB's: luma is taken as it is."""

_STRIP = 1 << 22
"""Pixels that are converted at once."""
_SCREEN = 2.2
"""Exponent of a usual screen."""
_SAME = 0.05
"""An exponent this near to 1 changes nothing that could be seen."""


def to_grey(picture: Any) -> tuple[Grey, list[str]]:
    """Luma uint8[H, W] of Pillow's picture, not loaded yet, and what to say of it. Raises what
    Pillow does."""
    if picture.format in ("JPEG", "MPO") and picture.mode == "RGB" and not _has_curve(picture):
        picture.draft("L", picture.size)  # libjpeg gives luma as it was coded
    frame = _first_frame(picture)
    picture.load()
    form = picture.format
    picture = _by_gamma(picture, exponent(picture))
    if picture.mode in _TRANSPARENT or "transparency" in picture.info or frame is not None:
        return _on_white(picture, frame, form)
    return _luma(_in_srgb(picture)), []


def _first_frame(picture: Any) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of a GIF's first frame, where it leaves some of the canvas free:
    nothing is drawn there (GIF89a, 20, and what browsers do)."""
    if picture.format != "GIF" or not picture.tile:
        return None
    extents = tuple(picture.tile[0].extents)
    return None if extents == (0, 0, *picture.size) else extents


def _on_white(
    picture: Any, frame: tuple[int, int, int, int] | None, form: str
) -> tuple[Grey, list[str]]:
    if form in ("BMP", "DIB") and picture.getextrema()[-1][1] == 0:
        # a bitmap's fourth byte is often unused, whatever its header calls it
        return _luma(picture), []
    left, top, right, bottom = frame or (0, 0, *picture.size)
    luma = np.full(picture.size[::-1], 255, np.uint8)
    drawn = luma[top:bottom, left:right]
    lowest = 255 if frame is None else 0
    for rows, part in _strips(picture.crop(frame) if frame else picture):
        clear = part.convert("RGBA")
        lowest = min(lowest, clear.getextrema()[3][0])
        ground = Image.new("RGBA", part.size, (255, 255, 255, 255))
        drawn[rows] = _luma(Image.alpha_composite(ground, clear))
    return luma, [] if lowest == 255 else ["transparent parts are shown on white"]


def _strips(picture: Any) -> Iterator[tuple[slice, Any]]:
    """Its rows in parts that are small in any colour model: a large picture fits in memory once."""
    width, height = picture.size
    many = max(1, _STRIP // width)
    for top in range(0, height, many):
        bottom = min(top + many, height)
        yield slice(top, bottom), picture.crop((0, top, width, bottom))


def _luma(picture: Any) -> Grey:
    if picture.mode == "YCbCr":
        return np.asarray(picture.getchannel(0), np.uint8)
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"), np.uint8)
    luma = np.empty(picture.size[::-1], np.uint8)
    for rows, part in _strips(picture):
        luma[rows] = cv2.cvtColor(np.asarray(part.convert("RGB"), np.uint8), cv2.COLOR_RGB2GRAY)
    return luma


def _has_curve(picture: Any) -> bool:
    return _profile(picture) is not None


def _profile(picture: Any) -> Any:
    """The embedded profile where it changes luma, else None; also where it cannot be read, as
    viewers do."""
    data = picture.info.get("icc_profile")
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        name = ImageCms.getProfileDescription(profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if name.strip().startswith(_SAME_CURVE) else profile


def _in_srgb(picture: Any) -> Any:
    """CMYK, Lab and pictures with another tone curve in sRGB, by LittleCMS; others unchanged."""
    profile = _profile(picture)
    if picture.mode == "LAB":
        profile = profile or ImageCms.createProfile("LAB")
    if profile is None or picture.mode not in ("L", "RGB", "CMYK", "LAB"):
        return picture
    try:
        return ImageCms.profileToProfile(
            picture, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        # a profile for another colour model; Lab without one cannot be shown
        if picture.mode == "LAB":
            raise
        return picture


def exponent(picture: Any) -> float:
    """By which values of a PNG, from 0 to 1, are raised for a screen (PNG 3rd edition, 11.3.2.1);
    1 where it states no gamma, the usual one, or a profile, which comes first."""
    gamma = picture.info.get("gamma")
    if picture.format != "PNG" or not gamma or {"icc_profile", "srgb"} & set(picture.info):
        return 1.0
    found = 1.0 / (_SCREEN * float(gamma))
    return 1.0 if abs(found - 1.0) <= _SAME else found


def values_in_srgb(values: NDArray[Any], power: float) -> NDArray[Any]:
    """Deep samples [H, W] or [H, W, C] with their colours, not their alpha, raised to `power`."""
    if power == 1.0:
        return values
    most = np.iinfo(values.dtype).max
    table = np.rint(most * np.linspace(0.0, 1.0, most + 1) ** power).astype(values.dtype)
    shown: NDArray[Any] = table[values]
    if values.ndim == 3 and values.shape[2] in (2, 4):
        shown[..., -1] = values[..., -1]
    return shown


def _by_gamma(picture: Any, power: float) -> Any:
    if power == 1.0 or picture.mode == "1":
        return picture
    clear = "transparency" in picture.info
    if clear or picture.mode not in ("L", "LA", "RGB", "RGBA"):
        picture = picture.convert("RGBA" if clear or picture.mode in _TRANSPARENT else "RGB")
    table = [round(255.0 * (each / 255.0) ** power) for each in range(256)]
    alpha = int("A" in picture.getbands())
    colours = len(picture.getbands()) - alpha
    return picture.point(table * colours + list(range(256)) * alpha)
