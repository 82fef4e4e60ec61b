"""Weights to begin a training with: of a checkpoint, or of a published int8 file.

Checkpoints are not kept with the code; the published network is. Its weights are read back from
the file (int8 per channel, normalisation folded in) and may be grown into a larger network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tools.train import common, lite
from tools.train.detector.labels import HEIGHT, WIDTH, Picture
from tools.train.detector.net import DetectorNet, grow

FORMER: tuple[tuple[tuple[int, int, int], int, int], ...] = (((48, 80, 112), 0, 0),)
"""Widths, fine channels and residual blocks of networks published before."""
SETTLING = 192
"""Pictures over which the normalisation's means and variances are taken."""


def start(path: Path, net: DetectorNet, draw: Callable[[], tuple[Picture, Any]]) -> None:
    """Give `net` the weights of a checkpoint of its own kind, or of a published file.

    `draw` yields training pictures. Raises `SystemExit` where the file fits no known network.
    """
    if path.suffix != ".tflite":
        net.load_state_dict(common.averaged(path)["average"])
        return
    layers = lite.convolutions(path.read_bytes())
    for old in (DetectorNet(), *(DetectorNet(*kind) for kind in FORMER)):
        if fill(old, layers):
            grow(old.state_dict(), net)
            settle(net, [draw()[0] for _ in range(SETTLING)])
            return
    raise SystemExit(f"{path} is no detector whose structure is known.")


@torch.no_grad()
def fill(net: DetectorNet, layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> bool:
    """Give a network the weights of `lite.convolutions`, each normalisation adding the bias alone.

    False, and the network unusable, where the shapes differ.
    """
    order = _order(net)
    if [tuple(conv.weight.shape) for conv, _ in order] != [kernel.shape for kernel, _ in layers]:
        return False
    for (conv, norm), (kernel, bias) in zip(order, layers, strict=True):
        conv.weight.copy_(torch.from_numpy(kernel.copy()))
        if norm is None:
            assert conv.bias is not None
            conv.bias.copy_(torch.from_numpy(bias))
            continue
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)
        norm.weight.fill_(1.0)
        norm.bias.copy_(torch.from_numpy(bias))
    return True


def _order(net: DetectorNet) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Convolutions in the order in which they run, each with the normalisation that follows."""
    order: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []

    def note(module: nn.Module, given: Any, result: Any) -> None:
        if isinstance(module, nn.Conv2d):
            order.append((module, None))
        elif isinstance(module, nn.BatchNorm2d):
            order[-1] = (order[-1][0], module)

    hooks = [m.register_forward_hook(note) for m in net.modules()]
    net.eval()(torch.zeros(1, 1, HEIGHT, WIDTH))
    for hook in hooks:
        hook.remove()
    return order


@torch.no_grad()
def settle(net: nn.Module, pictures: list[Picture]) -> None:
    """Give each normalisation the mean and variance that its input has on these pictures.

    What the network computes in evaluation does not change; training, which normalises by the
    batch, then computes nearly the same.
    """
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    sums: dict[nn.Module, list[Tensor]] = {m: [] for m in norms}

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].double()
        sums[module].append(torch.stack([x.mean((0, 2, 3)), (x * x).mean((0, 2, 3))]))

    hooks = [m.register_forward_pre_hook(note) for m in norms]
    net.eval()
    for first in range(0, len(pictures), 16):
        batch = torch.from_numpy(np.stack(pictures[first : first + 16])[:, None])
        net(batch.float() / 255.0)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, square = torch.stack(sums[norm]).mean(0).float()
        variance = (square - mean**2).clamp(min=1e-6)
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        offset = norm.bias - norm.running_mean * gain
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(gain * (variance + norm.eps).sqrt())
        norm.bias.copy_(offset + mean * gain)
