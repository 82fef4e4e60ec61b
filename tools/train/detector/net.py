"""The detector's network: grey, anchor-free, three strides, depthwise-separable.

The stem folds 4x4 pixels into 16 channels before its first convolution: int8 kernels work on groups
of 8 input channels, so a convolution over one grey channel would waste seven eighths of its time.
One dense convolution strides to every eighth pixel at once; beside it a thin path of two
nonlinear layers stays at every fourth pixel, which is what faces of 8 to 20 pixels need.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from agent.vision.faces.detect import SIZE_UNIT, STRIDES
from tools.train.detector.labels import HEIGHT, WIDTH

WIDTHS = (48, 88, 128)
"""Channels per stride."""
FINE = 16
"""Channels of the path at stride 4."""
RESIDUAL = 2
"""Residual blocks at stride 8."""


def _conv(into: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    pad = (kernel - 1) // 2
    conv = nn.Conv2d(into, out, kernel, stride, pad, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out, momentum=0.05)]


def _block(into: int, out: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and pointwise, a ReLU after each (Howard et al. 2017)."""
    return nn.Sequential(
        *_conv(into, into, 3, stride, into),
        nn.ReLU(inplace=True),
        *_conv(into, out, 1),
        nn.ReLU(inplace=True),
    )


def _stage(into: int, out: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(_block(into, out, 2), *[_block(out, out) for _ in range(blocks - 1)])


def _scale(layers: nn.Sequential) -> Tensor:
    """Weight of the normalisation that comes last."""
    last = layers[-1]
    assert isinstance(last, nn.BatchNorm2d)
    return last.weight


class _Stem(nn.Module):
    """The folded picture to stride 8: the dense convolution and the fine path, added.

    The fine path begins with zero: a network without it can be grown into one with it.
    """

    def __init__(self, out: int, thin: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(*_conv(16, out, 3, 2))
        self.fine: nn.Sequential | None = None
        if thin:
            self.fine = nn.Sequential(
                *_conv(16, thin, 1),
                nn.ReLU(inplace=True),
                _block(thin, thin),
                *_conv(thin, thin, 3, 2, thin),
                nn.ReLU(inplace=True),
                *_conv(thin, out, 1),
            )
            nn.init.zeros_(_scale(self.fine))

    def forward(self, folded: Tensor) -> Tensor:
        y = self.dense(folded)
        return fn.relu(y if self.fine is None else y + self.fine(folded))


class _Residual(nn.Module):
    """A block beside its input; the identity at first (zero-initialised, Goyal et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(*list(_block(width, width))[:-1])
        nn.init.zeros_(_scale(self.block))

    def forward(self, x: Tensor) -> Tensor:
        return fn.relu(x + self.block(x))


class DetectorNet(nn.Module):
    """float32[B, 1, 256, 320] in [0, 1] -> nine maps [B, C, H/s, W/s] in `OUTPUTS` order."""

    def __init__(
        self, widths: tuple[int, int, int] = WIDTHS, thin: int = FINE, residual: int = RESIDUAL
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        first = nn.Sequential(
            _Stem(fine, thin), _block(fine, fine), *[_Residual(fine) for _ in range(residual)]
        )
        self.stages = nn.ModuleList([first, _stage(fine, middle, 4), _stage(middle, coarse, 2)])
        self.lateral = nn.ModuleList(
            [nn.Sequential(*_conv(c, fine, 1), nn.ReLU(inplace=True)) for c in (middle, coarse)]
        )
        self.head = nn.ModuleList([_block(fine, fine) for _ in STRIDES])
        self.out = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(fine, c, 1) for c in (1, 4, 10)]) for _ in STRIDES]
        )
        for maps in self.out:
            nn.init.constant_(maps[0].bias, -4.6)  # prior 0.01 (Lin et al. 2017, section 4.1)
            nn.init.normal_(maps[0].weight, std=0.01)

    def maps(self, folded: Tensor) -> tuple[Tensor, ...]:
        """From the folded picture float32[B, 16, 64, 80]."""
        levels = [self.stages[0](folded)]
        x = levels[0]
        for stage, lateral in zip(self.stages[1:], self.lateral, strict=True):
            x = stage(x)
            levels.append(lateral(x))
        for i in (1, 0):  # top-down; bilinear, because XNNPACK leaves int8 nearest to the CPU
            up = fn.interpolate(levels[i + 1], scale_factor=2.0, mode="bilinear")
            levels[i] = levels[i] + up
        out: list[Tensor] = []
        for level, head, maps in zip(levels, self.head, self.out, strict=True):
            y = head(level)
            out += [conv(y) for conv in maps]
        return tuple(out)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.maps(fn.pixel_unshuffle(x, 4))


class ExportNet(nn.Module):
    """The same network for the converter: folds in NHWC order, which costs one small TRANSPOSE."""

    def __init__(self, net: DetectorNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = x.reshape(1, HEIGHT // 4, 4, WIDTH // 4, 4).permute(0, 1, 3, 2, 4)
        return self.net.maps(x.reshape(1, HEIGHT // 4, WIDTH // 4, 16).permute(0, 3, 1, 2))


@torch.no_grad()
def grow(old: Mapping[str, Tensor], net: DetectorNet) -> None:
    """Start `net` from the weights of a narrower or shallower one (Chen et al. 2016, Net2Net).

    Old channels compute what they did: they take nothing from new ones, whose own weights stay as
    they were initialised. New layers keep theirs; the fine path and residual blocks begin with 0.
    """
    state = net.state_dict()
    for name, value in old.items():
        target = state[name]
        if target.ndim == 4 and target.shape[1] > value.shape[1]:
            target[: value.shape[0], value.shape[1] :] = 0.0
        target[tuple(slice(n) for n in value.shape)] = value
    net.load_state_dict(state)


def cells() -> tuple[Tensor, Tensor]:
    """Centres float32[1680, 2] (input pixels) and strides float32[1680] of all cells, by rows."""
    centres, strides = [], []
    for s in STRIDES:
        y, x = torch.meshgrid(torch.arange(HEIGHT // s), torch.arange(WIDTH // s), indexing="ij")
        centres.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * s - 0.5)
        strides.append(torch.full((len(centres[-1]),), float(s)))
    return torch.cat(centres), torch.cat(strides)


def flatten(maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Nine NCHW maps -> score [B, 1680], box code [B, 1680, 4], keypoint code [B, 1680, 5, 2]."""
    flat = [m.permute(0, 2, 3, 1).flatten(1, 2) for m in maps]
    score = torch.cat(flat[0::3], 1)[..., 0]
    return score, torch.cat(flat[1::3], 1), torch.cat(flat[2::3], 1).unflatten(2, (5, 2))


def decode_boxes(code: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Box code -> xyxy input pixels: centre = cell + t * stride, side = exp(t) * 3 * stride."""
    middle = centres + code[..., :2] * strides[:, None]
    half = code[..., 2:].clamp(-6, 4).exp() * (SIZE_UNIT / 2 * strides[:, None])
    return torch.cat([middle - half, middle + half], -1)
