"""The spotter's network in torch, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from agent.vision.micro.outputs import AMPLITUDE, CENTRE, HEAT, OTHERS, OUTPUTS, UNITS
from agent.vision.micro.stream import INPUTS

Float = NDArray[np.float32]
WIDTH = 48
TAPS, SPAN = 9, 5
DILATIONS = (1, 2, 4, 8, 8)
REACH = TAPS + (SPAN - 1) * sum(DILATIONS)
"""Steps that an output depends on."""


class MicroNet(nn.Module):
    """Causal convolutions over time; twin of `agent.kernels.temporal.network_step`."""

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
        return torch.as_tensor(self.head(state)).float()

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
