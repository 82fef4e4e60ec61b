"""The landmark network: a small residual CNN from a grey crop to 68 points and a presence logit.

Bottleneck residual blocks (He et al. 2016, arXiv:1512.03385) with ReLU throughout, so that every
int8 operation stays inside XNNPACK. The head sees the whole 7 x 7 map: averaging it away would
lose where things are. Points are regressed as offsets from the mean shape in the crop.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from agent.faces.align import LANDMARK_CROP, MEAN_SHAPE

SIZE = LANDMARK_CROP.size


def _unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU. Strided kernels are even: no one-sided padding."""
    padding = (kernel - stride + 1) // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Bottleneck(nn.Module):
    """1 x 1 reduction, 3 x 3, 1 x 1 expansion, residual (He et al. 2016)."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _unit(channels, middle, 1),
            _unit(middle, middle, 3),
            nn.Conv2d(middle, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class LandmarkNet(nn.Module):
    """grey / 255 float32[N, 1, 112, 112] to points [N, 136] (crop pixels / 112), logit [N, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _unit(1, 8, 4, 2),
            _unit(8, 24, 4, 2),
            Bottleneck(24, 16),
            _unit(24, 48, 2, 2),
            Bottleneck(48, 32),
            Bottleneck(48, 32),
            _unit(48, 96, 2, 2),
            Bottleneck(96, 48),
            Bottleneck(96, 48),
            _unit(96, 32, 1),
        )
        self.points = nn.Linear(32 * 49, 136)
        self.presence = nn.Linear(32 * 49, 1)
        nn.init.normal_(self.points.weight, std=0.002)
        with torch.no_grad():
            mean = torch.from_numpy(LANDMARK_CROP.place(MEAN_SHAPE) / SIZE)
            self.points.bias.copy_(mean.flatten())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # channel-last flattening is what the converted file does without a transpose
        y = self.features(x).permute(0, 2, 3, 1).flatten(1)
        return self.points(y), self.presence(y)


def point_loss(answer: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean distance of points, IOD, of crops that show a face.

    Parameters
    ----------
    answer : float32[N, 136]
    target : float32[N, 68, 2]
        Crop pixels / 112.
    weight : float32[N, 68]
        0 where a point has no label.
    """
    iod = (target[:, 45] - target[:, 36]).norm(dim=1).clamp_min(0.1)
    shift = (answer.view(-1, 68, 2) - target) / iod[:, None, None]
    # smooth within a thousandth of the IOD, linear beyond: bad labels weigh little
    distance = (shift.square().sum(2) + 1e-6).sqrt()
    return (distance * weight).sum() / weight.sum().clamp_min(1.0)


def presence_loss(logit: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of float32[N, 1] against 0 or 1 float32[N]."""
    return functional.binary_cross_entropy_with_logits(logit[:, 0], target)
