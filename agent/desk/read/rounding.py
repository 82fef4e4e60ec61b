"""What a published number can have been before it was rounded (`agent.base.report.quantize`)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from agent.base.report.base import Ranges


@lru_cache(maxsize=8)
def _edges(ranges: Ranges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Permitted values ascending; how far below and above each the number can have been. int64[V].
    Ties count for both neighbours; the first and last values are open, see `is_open`."""
    values = np.concatenate([np.arange(low, high + 1, step) for low, high, step in ranges])
    gaps = np.diff(values)
    below = np.concatenate([gaps[:1], gaps]) // 2
    above = np.concatenate([gaps, gaps[-1:]]) // 2
    return values, below, above


def spread(ranges: Ranges, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far below and above each published value the number can have been; int64[N] both, >= 0.
    `values`: float64[N] or int64[N], each permitted."""
    permitted, below, above = _edges(ranges)
    place = np.searchsorted(permitted, values)
    return below[place], above[place]


def is_open(ranges: Ranges, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a value is the least or the greatest that is permitted, so that it can have been any
    less, or more; bool[N] both."""
    return values <= ranges[0][0], values >= ranges[-1][1]


def kinds(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of columns of one length N: float64[K, C], and int64[N], which of them each row
    is. (np.unique by rows sorts them as bytes, ten times as slow.)"""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, inverse = np.unique(column, return_inverse=True)
        codes = np.unique(codes * len(values) + inverse.reshape(-1), return_inverse=True)[1]
        codes = codes.reshape(-1)
    first = np.full(codes.max() + 1 if len(codes) else 0, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    return np.column_stack([np.asarray(column, float)[first] for column in columns]), codes


@lru_cache(maxsize=4096)
def slack(scale: float, step: int) -> float:
    """Most that rounding to multiples of `step` can move the mean of a number whose noise has the
    scale b, whatever the truth: (step / pi) sum over m of |phi(2 pi m / step)| / m, by Poisson's
    summation of the rounding error's Fourier series, phi the noise's characteristic function. It
    vanishes where the noise is wider than the step; 0 where nothing is rounded.
    """
    if step <= 1:
        return 0.0
    if scale <= 0:
        return step / 2
    p = math.exp(-1 / scale)
    t = 2 * np.pi * np.arange(1, step // 2 + 1) / step
    phi = (1 - p) ** 2 / (1 - 2 * p * np.cos(t) + p * p)
    return min(step / 2, float(step / np.pi * np.sum(phi / np.arange(1, step // 2 + 1))))
