"""The tone's networks: depthwise convolutions over log-mel, and perceptrons over functionals."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agent.base.types import TONES
from agent.voice.prosody import NAMES
from tools.train.voice.corpora import CORPORA, EMOTIONS

SHIPPED = len(TONES) + 2
"""Logits that are given out: tones, arousal, valence. Emotions, per corpus, follow in training."""
ANSWERS = SHIPPED + len(CORPORA) * len(EMOTIONS)
DEVIATE = 3.0
"""Functionals are coded as 0 to 1 for -DEVIATE to DEVIATE standard deviations."""


class Separable(nn.Module):
    """Depthwise 3 x 3 and pointwise convolution (Howard et al. 2017, arXiv:1704.04861)."""

    def __init__(self, into: int, out: int, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(into, into, 3, stride, 1, groups=into, bias=False),
            nn.BatchNorm2d(into),
            nn.ReLU(),
            nn.Conv2d(into, out, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        )
        self.keeps = into == out and stride == (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.keeps else y


class Spectrum(nn.Module):
    """Logits float32[N, ANSWERS] of pictures float32[N, 1, 300, 26] in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, (7, 3), (3, 2), (3, 1), bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            Separable(24, 40, (2, 2)),
            Separable(40, 40),
            Separable(40, 64, (2, 1)),
            Separable(64, 64),
            Separable(64, 96, (2, 2)),
            Separable(96, 96),
        )
        self.drop = nn.Dropout(0.4)
        self.answers = nn.Linear(2 * 96, ANSWERS)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        pooled = torch.cat([y.mean((2, 3)), nn.functional.max_pool2d(y, y.shape[2:]).flatten(1)], 1)
        out: Tensor = self.answers(self.drop(pooled))
        return out


class Prosody(nn.Module):
    """K perceptrons at once: logits float32[K, N, ANSWERS] of deviates float32[K or 1, N, 82].

    Each learns from samples of its own; together they are one wide layer, see `Merged`.
    """

    def __init__(self, count: int = 8, hidden: int = 96) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(count, len(NAMES), hidden) * (2 / len(NAMES)) ** 0.5)
        self.first_bias = nn.Parameter(torch.zeros(count, 1, hidden))
        self.last = nn.Parameter(torch.randn(count, hidden, ANSWERS) * hidden**-0.5)
        self.last_bias = nn.Parameter(torch.zeros(count, 1, ANSWERS))
        self.seen, self.drop = nn.Dropout(0.1), nn.Dropout(0.4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(torch.relu(self.seen(x) @ self.first + self.first_bias))
        out: Tensor = y @ self.last + self.last_bias
        return out


class Two(nn.Module):
    """As it is shipped: logits of the tones, and of arousal and valence, as two outputs."""

    def __init__(self, answers: nn.Linear) -> None:
        super().__init__()
        self.tone, self.circumplex = nn.Linear(1, 1), nn.Linear(1, 1)
        for layer, rows in (
            (self.tone, slice(0, len(TONES))),
            (self.circumplex, slice(len(TONES), SHIPPED)),
        ):
            layer.weight = nn.Parameter(answers.weight[rows].detach().clone())
            layer.bias = nn.Parameter(answers.bias[rows].detach().clone())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.tone(x), self.circumplex(x)


class ShippedSpectrum(nn.Module):
    """`Spectrum` without what only training needs."""

    def __init__(self, net: Spectrum) -> None:
        super().__init__()
        self.body, self.two = net.body, Two(net.answers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.body(x)
        size = (int(y.shape[2]), int(y.shape[3]))
        mean = y.mean((2, 3), keepdim=True)
        highest = nn.functional.max_pool2d(y, size)
        out: tuple[Tensor, Tensor] = self.two(torch.cat([mean, highest], 1).flatten(1))
        return out


class Merged(nn.Module):
    """The mean of `Prosody`'s perceptrons as one, on coded functionals float32[N, 1, 1, 82] in
    [0, 1]."""

    def __init__(self, net: Prosody) -> None:
        super().__init__()
        count, values, hidden = net.first.shape
        weight = net.first.detach().permute(0, 2, 1).reshape(count * hidden, values)
        bias = net.first_bias.detach().reshape(-1)
        self.hidden = nn.Linear(values, count * hidden)
        self.hidden.weight = nn.Parameter(2 * DEVIATE * weight)
        self.hidden.bias = nn.Parameter(bias - DEVIATE * weight.sum(1))
        answers = nn.Linear(1, 1)
        answers.weight = nn.Parameter(net.last.detach().reshape(count * hidden, -1).T / count)
        answers.bias = nn.Parameter(net.last_bias.detach().mean(0)[0])
        self.two = Two(answers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out: tuple[Tensor, Tensor] = self.two(torch.relu(self.hidden(x.flatten(1))))
        return out


def emotions_of(logits: Tensor, corpus: Tensor) -> Tensor:
    """float32[N, 9]: emotions as the corpus of each row int64[N] has them."""
    parts = logits[:, SHIPPED:].view(len(logits), len(CORPORA), len(EMOTIONS))
    return parts[torch.arange(len(logits)), corpus]
