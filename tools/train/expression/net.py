"""A small residual network for 48x48 grey faces: eight expression logits and twelve action units.

Convolutions, batch normalisation and ReLU only, so that XNNPACK takes all of it in int8. Residual
blocks after He et al. 2016 (arXiv:1512.03385).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class Layout(NamedTuple):
    """Size of a network."""

    channels: tuple[int, int, int, int, int]
    """At 48, 24, 12 and 6 px, and of what is averaged."""
    blocks: tuple[int, int, int]
    """Residual blocks that keep the size of the map, at 24, 12 and 6 px."""

    def times(self, width: int) -> Layout:
        """As deep, with `width` times the channels: the work grows with its square."""
        a, b, c, d, e = (width * channels for channels in self.channels)
        return Layout((a, b, c, d, e), self.blocks)


PLAIN = Layout((16, 32, 48, 96, 128), (0, 1, 1))
"""0.39 M parameters, 25 M multiply-accumulates."""
FINE = Layout(PLAIN.channels, (1, 1, 1))
"""0.41 M parameters, 36 M multiply-accumulates: one block more at 24 px, where lids and brows are
more than one cell high. It costs work rather than bytes, and begins as the identity, so that the
network can start as what a plain one is."""
SHIPPED = {"research": FINE, "clean": PLAIN}
"""By the set of models."""


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


class FaceReader(nn.Module):
    """What all networks here answer, from the features float32[N, `width`] of a subclass.

    Action units are linear outputs, to be clipped to [0, 1]. `other_units`, where there are any,
    are learnt beside the rest and left out of what is shipped.
    """

    features: nn.Module

    def __init__(self, width: int, dropout: float, other_units: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(width, 8)
        self.action_units = nn.Linear(width, 12)
        self.other_units = nn.Linear(width, other_units) if other_units else None

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """float32[N, 1, 48, 48] in [0, 1] -> logits float32[N, 8], units float32[N, 12]."""
        v = self.dropout(self.features(x))
        return self.logits(v), self.action_units(v)

    def answer(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """The same, and the other units float32[N, M]."""
        v = self.dropout(self.features(x))
        other = self.other_units(v) if self.other_units is not None else None
        return self.logits(v), self.action_units(v), other


class ExpressionNet(FaceReader):
    """The network that is shipped, and wider and deeper ones of its kind."""

    def __init__(self, layout: Layout = PLAIN, dropout: float = 0.1, other_units: int = 0) -> None:
        a, b, c, d, e = layout.channels
        super().__init__(e, dropout, other_units)
        self.layout = layout
        at24, at12, at6 = layout.blocks
        self.features = nn.Sequential(
            _convolve(1, a, 3),  # 48 px
            _convolve(a, b, 3, 2),  # 24 px
            *[Block(b, b) for _ in range(at24)],
            Block(b, c, 2),  # 12 px
            *[Block(c, c) for _ in range(at12)],
            Block(c, d, 2),  # 6 px
            *[Block(d, d) for _ in range(at6)],
            _convolve(d, e, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
