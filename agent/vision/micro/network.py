"""The spotter's temporal network: shared weights, and state per face."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.errors import ModelError, reason
from agent.base.types import Float
from agent.kernels.temporal import network_step
from agent.vision.micro.outputs import OUTPUTS
from agent.vision.micro.stream import INPUTS


class SpotterNetwork:
    """Network weights, shared by all faces."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        """`arrays`: named as the parameters of `network_step`, with their axes as stored: first
        [K, I, W], middle [L, J, W, W], head [W, O].

        Raises `ModelError` when one is missing or the shapes do not match.
        """
        try:
            floats = [
                np.ascontiguousarray(arrays[name], np.float32)
                for name in ("first", "first_bias", "middle", "middle_bias", "head", "head_bias")
            ]
            self.dilations = np.ascontiguousarray(arrays["dilations"], np.int64)
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"The spotter's weights cannot be read: {reason(error)}.") from None
        self.first, self.first_bias, self.middle, self.middle_bias, self.head, self.head_bias = (
            floats
        )
        width, layers = self.first.shape[-1], len(self.dilations)
        fits = (
            self.first.ndim == 3
            and self.first.shape[1] == INPUTS
            and self.first_bias.shape == (width,)
            and self.middle.ndim == 4
            and self.middle.shape[0] == layers
            and self.middle.shape[2:] == (width, width)
            and self.middle_bias.shape == (layers, width)
            and self.head.shape == (width, OUTPUTS)
            and self.head_bias.shape == (OUTPUTS,)
            and self.dilations.min(initial=1) >= 1
            and all(np.isfinite(array).all() for array in floats)
        )
        if not fits:
            raise ModelError("The spotter's weights do not belong to this version of the agent.")
        rows = (
            np.ascontiguousarray(self.first.reshape(-1, width).T),
            self.first_bias,
            np.ascontiguousarray(self.middle.reshape(layers, -1, width).transpose(0, 2, 1)),
            self.middle_bias,
            self.dilations,
            np.ascontiguousarray(self.head.T),
            self.head_bias,
        )
        self.rows: tuple[Float | NDArray[np.int64], ...] = rows
        """As `network_step` takes them: one row of weights per output."""

    @classmethod
    def load(cls, content: bytes) -> SpotterNetwork:
        """From the bytes of an `.npz` file. Raises `ModelError`."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(dict(arrays))
        except (ValueError, OSError, EOFError) as error:
            raise ModelError(f"The spotter's weights cannot be read: {reason(error)}.") from None


class NetworkState:
    """Network state of one face: past activations in ring buffers."""

    __slots__ = ("_network", "_past", "_past_inputs", "_position", "outputs")

    def __init__(self, network: SpotterNetwork) -> None:
        taps, inputs, width = network.first.shape
        layers, span = network.middle.shape[:2]
        longest = (span - 1) * int(network.dilations.max(initial=1)) + 1
        self._network = network
        self._past_inputs = np.zeros((taps, inputs), np.float32)
        self._past = np.zeros((layers, longest, width), np.float32)
        self._position = np.zeros(1, np.int64)
        self.outputs = np.zeros(OUTPUTS, np.float32)
        """float32[26], of the latest step."""

    def step(self, inputs: Float) -> Float:
        """Outputs float32[26] for inputs float32[38]; overwritten by the next step."""
        network_step(
            inputs,
            *self._network.rows,
            self._past_inputs,
            self._past,
            self._position,
            self.outputs,
        )
        return self.outputs
