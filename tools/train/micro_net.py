"""The spotter's network in torch, its loss, and what makes its training hard enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from agent.vision.micro.channels import CHANNEL_NAMES, FACE_CHANNELS
from agent.vision.micro.outputs import AMPLITUDE, CENTRE, HEAT, OTHERS, OUTPUTS, UNITS
from agent.vision.micro.stream import INPUTS

Float = NDArray[np.float32]
WIDTH = 48
TAPS, SPAN = 9, 5
DILATIONS = (1, 2, 4, 4)
REACH = TAPS + (SPAN - 1) * sum(DILATIONS)
"""Steps that an output depends on."""


class MicroNet(nn.Module):
    """Causal convolutions over time; twin of `agent.vision.kernels.temporal.network_step`."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.first = nn.Conv1d(INPUTS, width, TAPS)
        self.middle = nn.ModuleList(
            nn.Conv1d(width, width, SPAN, dilation=dilation) for dilation in DILATIONS
        )
        self.head = nn.Conv1d(width, OUTPUTS, 1)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias[HEAT] = -4.0  # movements are rare

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs float32[N, 38, T] to outputs float32[N, 26, T]."""
        state = functional.relu(self.first(functional.pad(inputs, (TAPS - 1, 0))))
        for layer, dilation in zip(self.middle, DILATIONS, strict=True):
            past = functional.pad(state, ((SPAN - 1) * dilation, 0))
            state = state + functional.relu(layer(past))
        return torch.as_tensor(self.head(state))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Weights as `agent.vision.micro.network.SpotterNetwork` takes them."""

        def kernel(layer: nn.Module) -> Float:
            weight = layer.get_parameter("weight").detach().cpu().numpy()
            return np.ascontiguousarray(weight.transpose(2, 1, 0), np.float32)

        def bias(layer: nn.Module) -> Float:
            return np.asarray(layer.get_parameter("bias").detach().cpu().numpy(), np.float32)

        return {
            "first": kernel(self.first),
            "first_bias": bias(self.first),
            "middle": np.stack([kernel(layer) for layer in self.middle]),
            "middle_bias": np.stack([bias(layer) for layer in self.middle]),
            "dilations": np.array(DILATIONS, np.int64),
            "head": kernel(self.head)[0],
            "head_bias": bias(self.head),
        }


def loss(outputs: Tensor, batch: Sequence[Tensor]) -> Tensor:
    """Scalar; `batch`: heat, shape, units, near, kinds of `Sample`, stacked, float32[N, T, ...].

    The first `REACH` steps of each row do not count: their past is missing.
    """
    heat, shape, units, near, kinds = (part[:, REACH:] for part in batch)
    outputs = outputs.transpose(1, 2)[:, REACH:]
    # Steps close to a centre are one in forty; they weigh four times as much.
    found = functional.binary_cross_entropy_with_logits(
        outputs[..., HEAT], heat, weight=1.0 + 3.0 * (heat > 0.05)
    )
    count = near.sum().clamp(min=1.0)
    where = functional.smooth_l1_loss(
        outputs[..., CENTRE : UNITS.start], shape, reduction="none", beta=0.2
    )
    where = where.clone()
    where[..., AMPLITUDE - CENTRE] *= 0.5
    placed = (where.sum(-1) * near).sum() / count
    named = functional.binary_cross_entropy_with_logits(
        outputs[..., UNITS], units, reduction="none"
    )
    told = (named.mean(-1) * near).sum() / count
    known = ~torch.isnan(kinds)
    others = functional.binary_cross_entropy_with_logits(outputs[..., OTHERS][known], kinds[known])
    return 10.0 * found + 0.5 * placed + 0.3 * told + 0.3 * others


def mirrored(inputs: Float) -> Float:
    """Inputs float32[T, 38] of the face in a mirror."""
    return inputs[:, _SWAP] * _SIGN


def _mirror() -> tuple[NDArray[np.int64], Float]:
    swap = np.arange(INPUTS)
    sign = np.ones(INPUTS, np.float32)
    for row, name in enumerate(CHANNEL_NAMES):
        other = name.replace("left", "?").replace("right", "left").replace("?", "right")
        swap[row] = CHANNEL_NAMES.index(other)
        if name.endswith("_x"):
            sign[row] = -1.0
    yaw, roll, across = FACE_CHANNELS + 1, FACE_CHANNELS + 3, FACE_CHANNELS + 5
    sign[[yaw, roll, across]] = -1.0
    return swap, sign


_SWAP, _SIGN = _mirror()


def disturbed(rng: np.random.Generator, inputs: Float) -> Float:
    """Inputs float32[T, 38] with movements that are no micro-expressions, in directions that no
    generator knows: steps, jumps that fade, oscillations, single frames, slow swells. Gains and
    levels of the channels vary, too."""
    inputs = inputs.copy()
    count = len(inputs)
    step = np.arange(count, dtype=np.float32)
    plain = 4.0 * np.sinh(inputs[:, :FACE_CHANNELS] / 4.0)
    plain *= np.exp(rng.normal(0.0, 0.15, FACE_CHANNELS)).astype(np.float32)
    if rng.random() < 0.5:
        plain += rng.normal(0.0, 1.0, FACE_CHANNELS).astype(np.float32)
    for _ in range(rng.integers(0, 4)):
        taking_part = rng.random(FACE_CHANNELS) < rng.uniform(0.05, 1.0)
        direction = rng.normal(0.0, 1.0, FACE_CHANNELS) * taking_part
        size = np.exp(rng.uniform(np.log(1.5), np.log(14.0)))
        start = rng.uniform(0.0, count)
        course = (_ramp, _fading, _oscillation, _glitch, _swell)[rng.integers(5)]
        plain += (size * course(rng, step - start)[:, None] * direction).astype(np.float32)
    inputs[:, :FACE_CHANNELS] = 4.0 * np.arcsinh(plain / 4.0)
    return inputs


def _ramp(rng: np.random.Generator, since: Float) -> Any:
    return np.clip(since / rng.uniform(0.5, 12.0), 0.0, 1.0)


def _fading(rng: np.random.Generator, since: Float) -> Any:
    return (since >= 0) * np.exp(-np.clip(since, 0.0, None) / rng.uniform(8.0, 90.0))


def _oscillation(rng: np.random.Generator, since: Float) -> Any:
    frequency = rng.uniform(0.8, 5.0) / 30.0
    length = rng.uniform(1.6, 7.0) / frequency
    fade = np.clip(since / 5.0, 0.0, 1.0) * np.clip((length - since) / 5.0, 0.0, 1.0)
    return np.sin(2 * np.pi * frequency * since) * fade


def _glitch(rng: np.random.Generator, since: Float) -> Any:
    return ((since >= 0) & (since < rng.integers(1, 3))).astype(np.float32)


def _swell(rng: np.random.Generator, since: Float) -> Any:
    share = np.clip(since / rng.uniform(22.0, 120.0), 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(2 * np.pi * share)
