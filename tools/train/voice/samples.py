"""Which stretches a training step sees, how they are varied, and what is asked about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agent.base.types import TONES, Float
from tools.train.voice.corpora import CORPORA, EMOTIONS
from tools.train.voice.material import Material
from tools.train.voice.net import emotions_of

FOREIGN = 0.4
"""Weight of ASED in the answers that are given out: its labels follow other conventions."""
_CLEAN = 2.0
"""How much oftener the clean copy is drawn than a disturbed one."""
Rng = np.random.Generator


class Drawn:
    """Rows at random: corpora by their shares, their emotions alike."""

    def __init__(
        self, material: Material, corpus: NDArray[np.int64], rows: NDArray[np.bool_],
        shares: Mapping[str, float],
    ) -> None:  # fmt: skip
        weight = np.zeros(len(rows))
        for index, name in enumerate(CORPORA):
            here = rows & (corpus == index)
            kinds = np.unique(material.emotion[here])
            for kind in kinds:
                chosen = here & (material.emotion == kind)
                copies = np.where(material.copy[chosen] == 0, _CLEAN, 1.0)
                weight[chosen] = shares.get(name, 0.0) / len(kinds) * copies / copies.sum()
        self._sums = np.cumsum(weight / weight.sum())

    def __call__(self, rng: Rng, count: int) -> NDArray[np.int64]:
        found = np.searchsorted(self._sums, rng.random(count))
        return np.minimum(found, len(self._sums) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Soft labels of N rows; a row of zeros, or a weight of zero, where there is none."""

    corpus: Tensor
    """int64[N]"""
    emotion: Tensor
    """float32[N, 9]"""
    tone: Tensor
    """float32[N, 4]"""
    high: Tensor
    """float32[N], share of high arousal."""
    known: Tensor
    """float32[N], weight of `high`."""
    valence: Tensor
    """float32[N], in [0, 1]."""

    @classmethod
    def of(cls, material: Material, corpus: NDArray[np.int64]) -> Labels:
        tone = torch.from_numpy(material.tone)
        return cls(
            torch.from_numpy(corpus),
            nn.functional.one_hot(torch.from_numpy(material.emotion), len(EMOTIONS)).float(),
            nn.functional.one_hot(tone.clamp(min=0), len(TONES)).float() * (tone >= 0)[:, None],
            torch.from_numpy(material.high == 1).float(),
            torch.from_numpy(_evenly(material, corpus)),
            torch.from_numpy((material.valence + 1) / 2).float(),
        )

    def mixed(self, rows: Tensor, others: Tensor, share: Tensor) -> Labels:
        """Of `rows` with `share` float32[N], and of `others` with the rest."""
        rest = 1 - share
        known = share * self.known[rows] + rest * self.known[others]
        high = share * self.known[rows] * self.high[rows]
        high += rest * self.known[others] * self.high[others]
        return Labels(
            self.corpus[rows],
            share[:, None] * self.emotion[rows] + rest[:, None] * self.emotion[others],
            share[:, None] * self.tone[rows] + rest[:, None] * self.tone[others],
            (high / known.clamp(min=1e-6)).clamp(0, 1),
            known,
            share * self.valence[rows] + rest * self.valence[others],
        )

    def possible(self) -> Tensor:
        """float32[3, 9]: 0 for the emotions that a corpus has, else far below: no network shall
        learn to tell corpora by what they lack."""
        out = torch.full((len(CORPORA), len(EMOTIONS)), -1e4)
        for index in range(len(CORPORA)):
            out[index, self.emotion[self.corpus == index].sum(0) > 0] = 0.0
        return out


def _evenly(material: Material, corpus: NDArray[np.int64]) -> Float:
    """float32[N]: weights by which high and low arousal count alike in each corpus, whose emotions
    are drawn alike; 0 where it is neither."""
    out = np.zeros(len(corpus), np.float32)
    for index in np.unique(corpus):
        sides = [(corpus == index) & (material.high == side) for side in (0, 1)]
        kinds = [len(np.unique(material.emotion[side])) for side in sides]
        for side, count in zip(sides, kinds, strict=True):
            out[side] = sum(kinds) / 2 / max(count, 1)
    return out


def loss(logits: Tensor, labels: Labels, possible: Tensor) -> Tensor:
    """Of answers float32[N, ANSWERS]: cross entropies of tone, arousal, valence and, as a help,
    of the corpus's own emotions."""
    binary = nn.functional.binary_cross_entropy_with_logits
    weight = torch.where(labels.corpus == CORPORA.index("ased"), FOREIGN, 1.0)
    emotions = torch.log_softmax(emotions_of(logits, labels.corpus) + possible[labels.corpus], 1)
    tones = torch.log_softmax(logits[:, : len(TONES)], 1)
    told = labels.tone * weight[:, None]
    known = labels.known * weight
    high = binary(logits[:, 4], labels.high, reduction="none")
    valence = binary(logits[:, 5], labels.valence, reduction="none")
    return (
        -(labels.emotion * emotions).sum(1).mean()
        - (told * tones).sum() / told.sum().clamp(min=1.0)
        + (known * high).sum() / known.sum().clamp(min=1.0)
        + (weight * valence).mean()
    )


def varied(rng: Rng, pictures: NDArray[np.uint8]) -> Float:
    """Pictures float32[N, 300, 26] in [0, 1] as of another speaker on another day: faster or
    slower, with a longer or shorter vocal tract (Jaitly & Hinton 2013), with bands and moments
    masked (Park et al. 2019, arXiv:1904.08779)."""
    _, height, width = pictures.shape
    out = np.zeros(pictures.shape, np.float32)
    bands = np.arange(width)
    for i, picture in enumerate(pictures.astype(np.float32) / 255.0):
        rate, late = np.exp(rng.uniform(-0.15, 0.15)), rng.integers(0, 20)
        row = np.rint((np.arange(height) - height) * rate + height - late).astype(int)
        row = np.clip(row, -1, height - 1)
        moved = np.where((row >= 0)[:, None], picture[row], 0.0)
        place = np.clip(bands * np.exp(rng.uniform(-0.1, 0.1)) + rng.uniform(-0.7, 0.7), 0, 25)
        low = place.astype(int)
        part = (place - low).astype(np.float32)
        moved = moved[:, low] * (1 - part) + moved[:, np.minimum(low + 1, width - 1)] * part
        for _ in range(2):
            if rng.random() < 0.5:
                start = rng.integers(width - 4)
                moved[:, start : start + rng.integers(1, 5)] *= rng.choice((0.0, 0.5))
            if rng.random() < 0.5:
                start = rng.integers(height - 30)
                moved[start : start + rng.integers(5, 30)] = 0.0
        out[i] = moved * rng.uniform(0.95, 1.05) + rng.normal(0, 0.03) * (moved > 0)
    return np.clip(out, 0.0, 1.0)
