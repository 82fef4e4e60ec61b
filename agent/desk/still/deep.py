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
_NO_LIGHT = 1e15
"""Real numbers from here on stand for no value (3.4e38, 1e36, 1e20)."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Of red, green, blue (ITU-R BT.601), as the camera's luma."""


class NoNumberError(Exception):
    """No value is a finite number. The sentence lacks its subject, the file's name."""


def to_grey(
    values: NDArray[Any], *, white_is_zero: bool = False, no_data: float | None = None
) -> tuple[Grey, list[str]]:
    """Eight bits of luma, and what to say of them.

    Parameters
    ----------
    values
        Integers or real numbers [H, W], [H, W, 1], [H, W, 2] (grey, alpha), [H, W, 3] (red, green,
        blue) or [H, W, 4] (and alpha, not multiplied in). What is no number is black.
    white_is_zero
        0 is white (TIFF 6.0, PhotometricInterpretation 0).
    no_data
        A value that means that there is none; black too.

    Raises `NoNumberError`.
    """
    picture = values if values.ndim == 3 else values[..., None]
    many = 1 if picture.shape[2] < 3 else 3
    colours = picture[..., :many]
    empty = _empty(colours, no_data)
    if empty is not None:
        colours = np.where(empty, np.zeros_like(colours), colours)
    scale = _scale_of(float(colours.max(initial=0)), picture.dtype)
    scaled = np.clip(colours.astype(np.float32) / np.float32(scale), 0.0, 1.0)
    if white_is_zero:
        scaled = 1.0 - scaled
    if empty is not None:
        scaled[empty] = 0.0
    shown = scaled[..., 0] if scaled.shape[2] == 1 else scaled @ _LUMA
    notes = _said(scale, picture.dtype)
    if empty is not None:
        notes.append("parts without a value are shown black")
    if picture.shape[2] in (2, 4):
        alpha = np.clip(picture[..., -1].astype(np.float32) / _most(picture.dtype), 0.0, 1.0)
        if alpha.min() < 1.0:
            shown = shown * alpha + (1.0 - alpha)
            notes.append("transparent parts are shown on white")
    return np.rint(shown * 255.0).astype(np.uint8), notes


def _empty(colours: NDArray[Any], no_data: float | None) -> NDArray[np.bool_] | None:
    """Which samples are no value; None: all are. Raises `NoNumberError`."""
    empty = np.zeros(colours.shape, np.bool_)
    real = np.issubdtype(colours.dtype, np.floating)
    if real:
        empty |= ~(np.abs(colours) < _NO_LIGHT)
        if empty.all():
            raise NoNumberError("holds no finite number. Save it anew, as PNG.")
    if no_data is not None:
        with np.errstate(over="ignore"):  # -3.4028234663852886e+38 is what single precision holds
            meant = colours.dtype.type(no_data) if real else no_data
        empty |= (colours == meant).all(axis=-1, keepdims=True)
    return empty if empty.any() else None


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
