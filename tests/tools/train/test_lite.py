"""What is read from a `.tflite` file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.train.lite import LiteModel, convolutions

TINY = Path(__file__).parents[2] / "golden" / "tiny" / "tiny.tflite"
Floats = NDArray[np.float32]


def convolved(x: NDArray[Any], kernel: Floats, bias: Floats, stride: int) -> Floats:
    """[I, H, W] with padding that keeps the size, then every `stride`-th place."""
    pad = kernel.shape[2] // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], (1, 2))
    out = np.einsum("ihwab,oiab->ohw", windows[:, ::stride, ::stride], kernel)
    return np.asarray(out + bias[:, None, None], np.float32)


def test_convolutions_read_back_compute_what_the_file_does() -> None:
    content = TINY.read_bytes()
    layers = convolutions(content)
    assert [kernel.shape for kernel, _ in layers] == [(4, 1, 3, 3), (8, 4, 3, 3), (2, 8, 1, 1)]
    picture = np.random.default_rng(3).integers(0, 256, (16, 16), dtype=np.uint8)
    x = picture[None].astype(np.float32) / 255
    for kernel, bias in layers[:2]:
        x = np.maximum(convolved(x, kernel, bias, 2), 0)
    wanted = LiteModel(content)(picture)[0][0].transpose(2, 0, 1)
    got = convolved(x, *layers[2], 1)
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max() + 0.02
