"""A small residual network for 48x48 grey faces: eight expression logits and twelve action units.

Convolutions, batch normalisation and ReLU only, so that XNNPACK takes all of it in int8. Residual
blocks after He et al. 2016 (arXiv:1512.03385).
"""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; a stride of 2 halves the map."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        # starts as the identity (Goyal et al. 2017, arXiv:1706.02677, section 5.1)
        nn.init.zeros_(self.body[4].weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.shortcut(x) + self.body(x))


def _convolve(channels_in: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class ExpressionNet(nn.Module):
    """float32[N, 1, 48, 48] in [0, 1] -> logits float32[N, 8], action units float32[N, 12].

    About 0.4 M parameters and 26 M multiply-accumulates at width 1, the one that is shipped; both
    grow with the square of `width`. Action units are a linear output, to be clipped to [0, 1].
    """

    def __init__(self, dropout: float = 0.1, width: int = 1) -> None:
        super().__init__()
        a, b, c, d, e = (width * channels for channels in (16, 32, 48, 96, 128))
        self.features = nn.Sequential(
            _convolve(1, a, 3),  # 48 px
            _convolve(a, b, 3, 2),  # 24 px
            Block(b, c, 2),  # 12 px
            Block(c, c),
            Block(c, d, 2),  # 6 px
            Block(d, d),
            _convolve(d, e, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(e, 8)
        self.action_units = nn.Linear(e, 12)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        v = self.dropout(self.features(x))
        return self.logits(v), self.action_units(v)
