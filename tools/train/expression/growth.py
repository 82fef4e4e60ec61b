"""Larger networks that begin as a smaller one that is trained already (Chen et al. 2016,
arXiv:1511.05641): wider, with every channel twice, or deeper, with blocks that do nothing yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tools.common.files import MODELS
from tools.train import start
from tools.train.expression.net import SHIPPED, ExpressionNet, Layout

NOISE = 0.05
"""Of widened kernels, of their standard deviation: copies of a channel must come apart."""
SHIPPED_FILE = MODELS / "expression" / "model.tflite"


def from_file(net: nn.Module, pictures: NDArray[np.uint8], file: Path = SHIPPED_FILE) -> None:
    """Begin an `ExpressionNet` as the network of a `.tflite` file of fewer blocks and channels.

    Parameters
    ----------
    pictures
        uint8[N, 48, 48], as in training: normalisation takes its statistics from them.

    Raises SystemExit where the file is of none of the layouts that are shipped.
    """
    assert isinstance(net, ExpressionNet)
    for layout in dict.fromkeys(SHIPPED.values()):
        small = ExpressionNet(layout)
        try:
            start.load(small, file.read_bytes(), list(pictures))
        except ValueError:
            continue
        if layout.channels != net.layout.channels:
            small = widened(small, net.layout.channels[0] // layout.channels[0])
        deepen(small, net)
        return
    raise SystemExit(f"{file} is no expression network whose layout is known.")


@torch.no_grad()
def widened(small: ExpressionNet, times: int) -> ExpressionNet:
    """The same answers, but for a little noise, from `times` as many channels everywhere."""
    net = ExpressionNet(small.layout.times(times))
    wide = net.state_dict()
    for name, value in small.state_dict().items():
        larger = wide[name]
        repeats = [n // m for n, m in zip(larger.shape, value.shape, strict=True)]
        copied = value.repeat(repeats) if repeats else value.clone()
        if value.ndim > 1 and repeats[1] > 1:  # each input comes so many times
            copied = copied / repeats[1]
        if value.ndim == 4:
            copied = copied + NOISE * copied.std() * torch.randn_like(copied)
        larger.copy_(copied)
    return net


@torch.no_grad()
def deepen(small: ExpressionNet, net: ExpressionNet) -> None:
    """Give `net` the weights of one with the same channels and no more blocks; the answers stay.

    Blocks that `small` lacks are left as they are: new ones do nothing. Raises ValueError where it
    does not fit.
    """
    if small.layout.channels != net.layout.channels:
        raise ValueError("Networks of different channels cannot be grown into one another.")
    if any(a > b for a, b in zip(small.layout.blocks, net.layout.blocks, strict=True)):
        raise ValueError("The network to begin as has more blocks.")
    places = zip(_kept(small.layout, small.layout), _kept(net.layout, small.layout), strict=True)
    for of, into in places:
        net.features[into].load_state_dict(small.features[of].state_dict())
    net.logits.load_state_dict(small.logits.state_dict())
    net.action_units.load_state_dict(small.action_units.state_dict())


def _kept(layout: Layout, small: Layout) -> list[int]:
    """Where the parts of a network of layout `small` stand in one of `layout`."""
    places, at = [0, 1], 2
    for count, kept in zip(layout.blocks, small.blocks, strict=True):
        places += range(at, at + kept)
        places.append(at + count)  # what halves the map, or the last convolution
        at += count + 1
    return places
