"""The tone's networks: depthwise convolutions over log-mel, joined with the functionals."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agent.voice.prosody import NAMES
from tools.train.voice.corpora import EMOTIONS
from tools.train.voice.material import TONES

EMBEDDING = 64


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


class Ear(nn.Module):
    """Embedding float32[N, 64] of pictures float32[N, 1, 300, 26] in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, (5, 3), (2, 2), (2, 1), bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            Separable(24, 32, (2, 1)),
            Separable(32, 32),
            Separable(32, 48, (2, 2)),
            Separable(48, 48),
            Separable(48, 64, (2, 1)),
            Separable(64, 64),
        )
        self.last = nn.Conv2d(64, EMBEDDING, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.last(self.body(x).mean((2, 3), keepdim=True))).flatten(1)


class ToneNet(nn.Module):
    """Logits of the tones, arousal and valence; in training also of all emotions."""

    def __init__(self) -> None:
        super().__init__()
        self.ear = Ear()
        self.register_buffer("mean", torch.zeros(len(NAMES)))
        self.register_buffer("spread", torch.ones(len(NAMES)))
        self.values = nn.Sequential(nn.Dropout(0.3), nn.Linear(len(NAMES), 48), nn.ReLU())
        self.head = nn.Sequential(
            nn.Dropout(0.4), nn.Linear(EMBEDDING + 48, 48), nn.ReLU(), nn.Dropout(0.2)
        )
        self.tone = nn.Linear(48, len(TONES))
        self.circumplex = nn.Linear(48, 2)
        self.emotion = nn.Linear(48, len(EMOTIONS))

    def forward(self, pictures: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        standard = ((values - self.mean) / self.spread).clamp(-4, 4)
        joined = self.head(torch.cat([self.ear(pictures), self.values(standard)], 1))
        return self.tone(joined), torch.tanh(self.circumplex(joined)), self.emotion(joined)
