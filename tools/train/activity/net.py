"""The network of activity: convolutions over the latest bands, answering the newest frames."""

from __future__ import annotations

from torch import Tensor, nn

from agent.voice.activity import COLUMNS, ROWS, STEP

SIZE = (ROWS, COLUMNS)
_LAST = 8
"""Positions in time, 8 frames apart, that an answer is made of."""


def _layer(into: int, out: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Module:
    """Depthwise and pointwise convolution (Howard et al. 2017, arXiv:1704.04861), filled up at the
    edges of the spectrum but not of time."""
    return nn.Sequential(
        nn.Conv2d(into, into, kernel, stride, (0, kernel[1] // 2), groups=into, bias=False),
        nn.BatchNorm2d(into),
        nn.ReLU(),
        nn.Conv2d(into, out, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class ActivityNet(nn.Module):
    """Logits of speech, float32[N, 16 (1 + K)], of the newest frames of float32[N, 1, R, 52] in
    [0, 1], R = 177 + 16 K rows: K is 0 in the agent, and training answers long stretches at once.

    The first kernel spans six columns and moves by four: three bands in both of their shades.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, (5, 6), (2, 4), (0, 1), bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            _layer(16, 24, (3, 3), (2, 2)),
            _layer(24, 32, (3, 3), (1, 1)),
            _layer(32, 48, (3, 3), (2, 2)),
            nn.Conv2d(48, width, (1, 4), bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _layer(width, width, (5, 1), (1, 1)),
            _layer(width, width, (5, 1), (1, 1)),
            _layer(width, width, (5, 1), (1, 1)),
        )
        self.drop = nn.Dropout2d(0.1)
        self.answer = nn.Conv2d(width, STEP, (_LAST, 1), (STEP // 8, 1))

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.answer(self.drop(self.body(x)))
        return answers.permute(0, 2, 3, 1).flatten(1)
