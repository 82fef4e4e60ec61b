"""Exposure of pictures with more than eight bits, or numbers, for a value.

A camera's 10, 12 or 14 bits often lie in the lower bits of 16, which a viewer shows almost black.
The models need the exposure, so white is taken to be the smallest usual full scale that holds the
picture's brightest value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Grey

_SCALES = tuple(2.0**bits - 1.0 for bits in (8, 10, 12, 14, 16, 24, 32))
_MAX_UNIT = 16.0
"""Brightest value of numbers whose white is 1; above are highlights, which are clipped. Brighter
pictures count from 0 to 255 or further."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Of red, green, blue (ITU-R BT.601), as the camera's luma."""


class NoNumberError(Exception):
    """No value is a finite number. The sentence lacks its subject, the file's name."""


def to_grey(values: NDArray[Any], *, white_is_zero: bool = False) -> tuple[Grey, list[str]]:
    """Eight bits of luma, and what to say of them.

    Parameters
    ----------
    values
        Integers or real numbers [H, W], [H, W, 1], [H, W, 2] (grey, alpha), [H, W, 3] (red, green,
        blue) or [H, W, 4] (and alpha, not multiplied in). What is no number counts as black.
    white_is_zero
        0 is white (TIFF 6.0, PhotometricInterpretation 0).

    Raises `NoNumberError`.
    """
    picture = values if values.ndim == 3 else values[..., None]
    real = np.issubdtype(picture.dtype, np.floating)
    if real:
        finite = np.isfinite(picture)
        if not finite.any():
            raise NoNumberError("holds no finite number. Save it anew, as PNG.")
        picture = np.where(finite, picture, 0.0)
    colours = picture[..., : 1 if picture.shape[2] < 3 else 3]
    scale = _scale_of(float(colours.max(initial=0)), picture.dtype)
    scaled = np.clip(colours.astype(np.float32) / np.float32(scale), 0.0, 1.0)
    shown = scaled[..., 0] if scaled.shape[2] == 1 else scaled @ _LUMA
    if white_is_zero:
        shown = 1.0 - shown
    notes = _said(scale, picture.dtype)
    if picture.shape[2] in (2, 4):
        alpha = np.clip(picture[..., -1].astype(np.float32) / _most(picture.dtype), 0.0, 1.0)
        if alpha.min() < 1.0:
            shown = shown * alpha + (1.0 - alpha)
            notes.append("transparent parts are shown on white")
    return np.rint(shown * 255.0).astype(np.uint8), notes


def _scale_of(brightest: float, dtype: np.dtype[Any]) -> float:
    if np.issubdtype(dtype, np.floating) and brightest <= _MAX_UNIT:
        return 1.0
    most = [_most(dtype)] if np.issubdtype(dtype, np.signedinteger) else []
    return next((scale for scale in sorted([*_SCALES, *most]) if brightest <= scale), brightest)


def _most(dtype: np.dtype[Any]) -> float:
    """What white would be by the type alone."""
    return 1.0 if np.issubdtype(dtype, np.floating) else float(np.iinfo(dtype).max)


def _said(scale: float, dtype: np.dtype[Any]) -> list[str]:
    """Where it is something else."""
    if scale == _most(dtype):
        return []
    return [f"its values go to {scale:,.0f}, which is shown as white"]
