"""What a published number can have been before it was rounded (`agent.base.report.quantize`)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from agent.base.report.base import Ranges


@lru_cache(maxsize=8)
def _halves(ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
    """Permitted values ascending, and half of the wider gap beside each, int64[V]."""
    values = np.concatenate([np.arange(low, high + 1, step) for low, high, step in ranges])
    gaps = np.diff(values)
    return values, np.maximum(np.append(gaps[0], gaps), np.append(gaps, gaps[-1])) // 2


def half(ranges: Ranges, values: np.ndarray) -> np.ndarray:
    """How far from each published value the number can have been before, int64[N], >= 0. `values`:
    [N], each permitted. The least and the greatest are open as well, see `is_open`."""
    permitted, halves = _halves(ranges)
    found: np.ndarray = halves[np.searchsorted(permitted, values)]
    return found


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
    scale b, whatever the truth. It vanishes where the noise is wider than the step; 0 where nothing
    is rounded."""
    if step <= 1:
        return 0.0
    if scale <= 0:
        return step / 2
    x = np.arange(2 * step)  # ties go to even multiples
    error = step * np.round(x / step) - x
    p = math.exp(-1 / scale)
    # of each remainder of the noise by 2 step
    mass = p**x + p ** (2 * step - x)
    mass /= mass.sum()
    means = np.fft.irfft(np.fft.rfft(error) * np.conj(np.fft.rfft(mass)), 2 * step)
    return float(np.max(np.abs(means)))
