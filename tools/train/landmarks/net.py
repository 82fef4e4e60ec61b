"""The landmark network: a small residual CNN from a grey crop to 68 points and their spread.

The crop is folded first, 4 x 4 pixels into 16 channels: int8 kernels work on groups of 8 input
channels, so a convolution over one grey channel would waste seven eighths of its time. Bottleneck
residual blocks (He et al. 2016, arXiv:1512.03385) follow, with ReLU throughout, so that every int8
operation stays inside XNNPACK. The heads see the whole 7 x 7 map: averaging it away would lose
where things are. Points are regressed as offsets from the mean shape in the crop.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from agent.vision.faces.align import LANDMARK_CROP, MEAN_SHAPE

SIZE = LANDMARK_CROP.size
FOLD = 4


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
    """Grey / 255 float32[N, 1, 112, 112] to points, presence and spread.

    - points [N, 136]: x0, y0, x1, y1 ... in crop pixels / 112
    - presence [N, 1]: logit
    - spread [N, 68]: log of the expected distance of each point from its true place, IOD
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _unit(FOLD * FOLD, 32, 3),
            Bottleneck(32, 16),
            _unit(32, 48, 2, 2),
            Bottleneck(48, 32),
            Bottleneck(48, 32),
            _unit(48, 96, 2, 2),
            Bottleneck(96, 48),
            Bottleneck(96, 48),
            Bottleneck(96, 48),
            _unit(96, 32, 1),
        )
        self.points = nn.Linear(32 * 49, 136)
        self.presence = nn.Sequential(nn.Linear(32 * 49, 32), nn.ReLU(), nn.Linear(32, 1))
        self.spread = nn.Sequential(nn.Linear(32 * 49, 32), nn.ReLU(), nn.Linear(32, 68))
        nn.init.normal_(self.points.weight, std=0.002)
        nn.init.normal_(self.spread[2].weight, std=0.02)
        nn.init.constant_(self.spread[2].bias, math.log(0.03))
        with torch.no_grad():
            mean = torch.from_numpy(LANDMARK_CROP.place(MEAN_SHAPE) / SIZE)
            self.points.bias.copy_(mean.flatten())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.answers(functional.pixel_unshuffle(x, FOLD))

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Older checkpoints have a linear presence: x = relu(x) - relu(-x) takes its place, beside
        hidden units that are new and not yet listened to."""
        weight = state.pop(f"{prefix}presence.weight", None)
        if weight is not None:
            bias = state.pop(f"{prefix}presence.bias")
            hidden = {k: v.detach().clone() for k, v in self.presence.state_dict().items()}
            hidden["0.weight"][:2] = torch.cat([weight, -weight])
            hidden["0.bias"][:2] = torch.cat([bias, -bias])
            hidden["2.weight"].zero_()[:, :2] = torch.tensor([1.0, -1.0])
            hidden["2.bias"].zero_()
            state.update({f"{prefix}presence.{key}": value for key, value in hidden.items()})
        super()._load_from_state_dict(state, prefix, *rest)

    def answers(self, folded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From the folded crop float32[N, 16, 28, 28]."""
        return self.heads(self.features(folded))

    def heads(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From the last map float32[N, 32, 7, 7]."""
        # channel-last flattening is what the converted file does without a transpose
        y = features.permute(0, 2, 3, 1).flatten(1)
        # the spread watches the features and does not shape them: points come first
        return self.points(y), self.presence(y), self.spread(y.detach())


def former() -> LandmarkNet:
    """As published before, with a linear presence; `LandmarkNet` takes its weights over."""
    net = LandmarkNet()
    net.presence = nn.Linear(32 * 49, 1)
    return net


class ExportNet(nn.Module):
    """The same network for the converter: folds in NHWC order, which costs one small TRANSPOSE."""

    def __init__(self, net: LandmarkNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        side = SIZE // FOLD
        x = x.reshape(1, side, FOLD, side, FOLD).permute(0, 1, 3, 2, 4)
        return self.net.answers(x.reshape(1, side, side, FOLD * FOLD).permute(0, 3, 1, 2))


def distances(answer: Tensor, target: Tensor) -> Tensor:
    """Distance of every point from its label, IOD, float32[N, 68].

    Parameters
    ----------
    answer : float32[N, 136]
    target : float32[N, 68, 2]
        Both in crop pixels / 112.
    """
    iod = (target[:, 45] - target[:, 36]).norm(dim=1).clamp_min(0.1)
    shift = (answer.view(-1, 68, 2) - target) / iod[:, None, None]
    # smooth within a thousandth of the IOD, linear beyond: bad labels weigh little
    return (shift.square().sum(2) + 1e-6).sqrt()


def point_loss(distance: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of `distances`, IOD; weight float32[N, 68], 0 where a point has no label."""
    return (distance * weight).sum() / weight.sum().clamp_min(1.0)


def spread_loss(spread: Tensor, distance: Tensor, weight: Tensor) -> Tensor:
    """Negative log-likelihood of the distances under an isotropic Laplace density, less constants.

    With density exp(-r / b) / (2 pi b^2) the expected distance is m = 2 b and the loss, halved,
    r / m + log m: least where m is the mean distance (Kendall & Gal 2017, arXiv:1703.04977).

    Parameters
    ----------
    spread : float32[N, 68]
        log m, m in IOD.
    distance, weight : float32[N, 68]
        As for `point_loss`; no gradient goes through `distance`.
    """
    spread = spread.clamp(-8.0, 2.0)
    return point_loss(distance.detach() * torch.exp(-spread) + spread, (weight > 0).float())


def presence_loss(logit: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of float32[N, 1] against 0 or 1 float32[N]."""
    return functional.binary_cross_entropy_with_logits(logit[:, 0], target)
