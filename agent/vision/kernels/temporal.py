"""Causal temporal convolutional network, evaluated one time step at a time."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]
Count = NDArray[np.int64]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
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
    first, first_bias : float32[K, I, W], float32[W]
        Convolution over the latest K steps, oldest first; then ReLU.
    middle, middle_bias : float32[L, J, W, W], float32[L, W]
        Residual layers: x + ReLU(convolution of x over J steps `dilations[l]` apart).
    dilations : int64[L]
    head, head_bias : float32[W, O], float32[O]
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
    Twin: tests/vision/kernels/naive_spotter.py.
    """
    taps, channels, width = first.shape
    layer_count, kernel_size = middle.shape[0], middle.shape[1]
    length = past.shape[1]
    now = position[0]
    position[0] = now + 1
    for i in range(channels):
        past_inputs[now % taps, i] = inputs[i]
    state = np.empty(width, np.float32)
    change = np.empty(width, np.float32)
    for o in range(width):
        state[o] = first_bias[o]
    for k in range(taps):
        row = (now + 1 + k) % taps
        for i in range(channels):
            x = past_inputs[row, i]
            for o in range(width):
                state[o] += x * first[k, i, o]
    for o in range(width):
        state[o] = max(state[o], np.float32(0))
    for layer in range(layer_count):
        for o in range(width):
            past[layer, now % length, o] = state[o]
            change[o] = middle_bias[layer, o]
        for k in range(kernel_size):
            row = (now - (kernel_size - 1 - k) * dilations[layer]) % length
            for i in range(width):
                x = past[layer, row, i]
                for o in range(width):
                    change[o] += x * middle[layer, k, i, o]
        for o in range(width):
            state[o] += max(change[o], np.float32(0))
    for o in range(outputs.shape[0]):
        outputs[o] = head_bias[o]
    for i in range(width):
        for o in range(outputs.shape[0]):
            outputs[o] += state[i] * head[i, o]
