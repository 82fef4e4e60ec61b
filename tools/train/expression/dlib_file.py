"""Parameters of a network that dlib has saved (King 2017), without dlib.

dlib writes a layer as its name, the version of its tensor, four sizes and the numbers; integers as
a byte of length and then that many bytes, lowest first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
_KERNEL, _AFFINE = b"con_4", b"affine_"


def layers(content: bytes) -> Iterator[Layer]:
    """Of each convolution, in order: kernels and then biases float32[K]; and scales and then shifts
    float32[2 * C] of the affine layer after it. Raises ValueError where the file breaks off."""
    at = 0
    while (at := content.find(_KERNEL, at)) >= 0:
        kernel, at = _tensor(content, at + len(_KERNEL))
        at = content.find(_AFFINE, at)
        if at < 0:
            raise ValueError("A convolution of the dlib file has no affine layer after it.")
        scale, at = _tensor(content, at + len(_AFFINE))
        yield kernel, scale


def _tensor(content: bytes, at: int) -> tuple[NDArray[np.float32], int]:
    """The tensor that begins there, flat, and where it ends."""
    sizes = []
    for _ in range(5):  # version, then samples, channels, rows, columns
        length = content[at] & 0x0F
        sizes.append(int.from_bytes(content[at + 1 : at + 1 + length], "little"))
        at += 1 + length
    count = int(np.prod(sizes[1:]))
    if at + 4 * count > len(content):
        raise ValueError("The dlib file ends within a layer.")
    return np.frombuffer(content, "<f4", count, at), at + 4 * count
