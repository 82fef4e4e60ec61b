"""Causal temporal convolutional network, evaluated one time step at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.machine_code import kernel

Float = NDArray[np.float32]
Count = NDArray[np.int64]


@kernel(fastmath=True, error_model="numpy")
def _dot(weights: Float, window: Float) -> np.float32:  # pragma: no cover
    total = np.float32(0)
    for k in range(window.size):
        total += weights[k] * window[k]
    return total


@kernel(fastmath=True, error_model="numpy")
def network_step(
    inputs: Float,
    first: Float,
    first_bias: Float,
    middle: Float,
    middle_bias: Float,
    dilations: Count,
    head: Float,
    head_bias: Float,
    past_inputs: Float,
    past: Float,
    position: Count,
    outputs: Float,
) -> None:  # pragma: no cover
    """Outputs at the latest step.

    Parameters
    ----------
    inputs : float32[I]
        The latest step.
    first, first_bias : float32[W, K I], float32[W]
        Convolution over the latest K steps, oldest first; then ReLU. One row per output, so that
        its products are contiguous.
    middle, middle_bias : float32[L, W, J W], float32[L, W]
        Residual layers: x + ReLU(convolution of x over J steps `dilations[l]` apart).
    dilations : int64[L]
    head, head_bias : float32[O, W], float32[O]
    past_inputs : float32[K, I]
        State, initially zero.
    past : float32[L, R, W]
        State, initially zero: ring buffers, R >= (J - 1) * max(dilations) + 1.
    position : int64[1]
        State, initially 0: steps so far.
    outputs : float32[O]
        Overwritten.

    Notes
    -----
    K I W + L J W^2 + W O multiply-adds, two small allocations: each layer is computed for the
    latest step only, from buffered activations. Dilated causal convolutions after van den Oord et
    al., WaveNet, arXiv:1609.03499 (2016), and Bai, Kolter & Koltun, arXiv:1803.01271 (2018); ours
    has no gates, no normalisation and one convolution per residual layer.
    Twin: tests/kernels/naive_spotter.py.
    """
    taps, channels = past_inputs.shape
    layer_count, length, width = past.shape
    kernel_size = middle.shape[2] // width
    now = position[0]
    position[0] = now + 1
    for i in range(channels):
        past_inputs[now % taps, i] = inputs[i]
    state = np.empty(width, np.float32)
    window = np.empty(max(taps * channels, kernel_size * width), np.float32)
    for k in range(taps):
        row = past_inputs[(now + 1 + k) % taps]
        for i in range(channels):
            window[k * channels + i] = row[i]
    for o in range(width):
        total = first_bias[o] + _dot(first[o], window[: taps * channels])
        state[o] = max(total, np.float32(0))
    for layer in range(layer_count):
        for o in range(width):
            past[layer, now % length, o] = state[o]
        for k in range(kernel_size):
            row = past[layer, (now - (kernel_size - 1 - k) * dilations[layer]) % length]
            for i in range(width):
                window[k * width + i] = row[i]
        for o in range(width):
            total = middle_bias[layer, o] + _dot(middle[layer, o], window[: kernel_size * width])
            state[o] += max(total, np.float32(0))
    for o in range(outputs.shape[0]):
        outputs[o] = head_bias[o] + _dot(head[o], state)
