"""The sentiment network in training; `agent/text/sentiment.py` computes the same in NumPy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agent.text.features import FLAGS, GRAMS, MAX_GRAMS, Parsed, grams, parse
from agent.text.normalise import clean
from agent.text.sentiment import HIDDEN, WIDTH
from tools.train.text.generate import LANGUAGES, Line

OFTEN = 4
"""Lines that a pair of words must stand in."""
LONGEST = 72
"""Items of a line in training; longer ones are cut."""


class Vocabulary:
    """The words and frequent pairs of the training lines, numbered from 1; 0 is none."""

    def __init__(self, parsed: Sequence[Parsed], languages: Sequence[str]) -> None:
        seen: Counter[str] = Counter()
        for line, language in zip(parsed, languages, strict=True):
            seen.update(f"{language}:{item}" for item in line.items[line.words :])
        self._often = {name for name, count in seen.items() if count >= OFTEN}
        self.numbers: dict[str, int] = {}
        self._rows: list[list[int]] = [[]]
        self.counts: list[int] = [0]

    def number(self, item: str, language: str) -> int:
        name = f"{language}:{item}"
        found = self.numbers.get(name)
        if " " in item and name not in self._often:
            return 0
        if found is None:
            found = self.numbers[name] = len(self._rows)
            self._rows.append([] if " " in item else grams(item))
            self.counts.append(0)
        self.counts[found] += 1
        return found

    def valences(self, lexicon: Mapping[str, float]) -> Tensor:
        """float32[V], from names "language:word"; 0 where the lexicon is silent."""
        return torch.tensor([0.0, *(lexicon.get(name, 0.0) for name in self.numbers)])

    def gram_table(self) -> Tensor:
        """int64[V, MAX_GRAMS], rows + 1; 0: none."""
        table = np.zeros((len(self._rows), MAX_GRAMS), np.int64)
        for k, row in enumerate(self._rows):
            table[k, : len(row)] = np.array(row, np.int64) + 1 if row else 0
        return torch.from_numpy(table)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Lines as tensors: int64[B, I] items and their marks, float32[B, ...] the rest."""

    items: Tensor
    negated: Tensor
    too: Tensor
    irrealis: Tensor
    conceded: Tensor
    degree: Tensor
    flags: Tensor
    language: Tensor
    labels: Tensor

    def rows(self, chosen: Tensor | NDArray[np.int64]) -> Batch:
        """Some of the lines, no wider than they need."""
        index = torch.as_tensor(chosen)
        wide = max(1, int((self.items[index] > 0).sum(1).max()))  # items stand without gaps
        parts: dict[str, Tensor] = {
            each.name: getattr(self, each.name)[index] for each in fields(self)
        }
        return Batch(**parts | {name: parts[name][:, :wide] for name in _PER_ITEM})


_PER_ITEM = ("items", "negated", "too", "irrealis", "conceded", "degree")


def tensors(lines: Sequence[Line]) -> tuple[Batch, Vocabulary]:
    """Parse lines, and number what they are made of."""
    count = len(lines)
    languages = [line.language for line in lines]
    parsed = [parse(line.text, clean(line.text), line.language) for line in lines]
    vocabulary = Vocabulary(parsed, languages)
    table = {name: np.zeros((count, LONGEST), np.int32) for name in _PER_ITEM}
    flags = np.zeros((count, FLAGS), np.float32)
    for k, (line, language) in enumerate(zip(parsed, languages, strict=True)):
        found = [vocabulary.number(item, language) for item in line.items]
        kept = np.flatnonzero(found)[:LONGEST]
        table["items"][k, : len(kept)] = np.array(found)[kept]
        for name in _PER_ITEM[1:]:
            table[name][k, : len(kept)] = getattr(line, name)[kept]
        flags[k] = line.flags
    columns = {name: torch.from_numpy(part.astype(np.int64)) for name, part in table.items()}
    numbers = np.array([LANGUAGES.index(language) for language in languages])
    batch = Batch(
        **columns,
        flags=torch.from_numpy(flags),
        language=torch.from_numpy(numbers),
        labels=torch.tensor(np.array([line.label for line in lines], np.float32)),
    )
    return batch, vocabulary


class SentimentNet(nn.Module):
    """A vector per word, turned by what it stands under, pooled, and judged by one hidden layer.

    A word's vector is its own, its letters', and what a lexicon says of it times one direction that
    all words of all lexica share: what is learnt about one holds for the others.
    """

    def __init__(self, size: int, gram_table: Tensor, valences: Tensor) -> None:
        super().__init__()
        self.words = nn.Embedding(size, WIDTH, padding_idx=0)
        self.grams = nn.Embedding(GRAMS + 1, WIDTH, padding_idx=0)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.grams.weight, std=0.05)
        with torch.no_grad():
            self.words.weight[0] = 0
            self.grams.weight[0] = 0
        self.register_buffer("table", gram_table, persistent=False)
        self.table: Tensor
        self.register_buffer("valences", valences, persistent=False)
        self.valences: Tensor
        self.direction = nn.Parameter(torch.full((WIDTH,), 0.3))
        one = torch.eye(WIDTH)
        self.negation = nn.Parameter(torch.stack([one, -0.8 * one, -0.6 * one, 0.4 * one]))
        self.too = nn.Parameter(torch.zeros(WIDTH, WIDTH))
        self.irrealis = nn.Parameter(torch.zeros(WIDTH, WIDTH))
        self.degree = nn.Parameter(torch.tensor([1.0, 1.2, 0.8]))
        self.hidden = nn.Linear(4 * WIDTH + FLAGS + len(LANGUAGES), HIDDEN)
        self.out = nn.Linear(HIDDEN, 3)

    def vectors(self, items: Tensor, drop: float = 0.0) -> Tensor:
        """float32[..., D] of items; `drop`: share of words read by their letters alone."""
        items, back = torch.unique(items, return_inverse=True)
        rows = self.table[items]
        own = self.words(items)
        spelt = self.grams(rows).sum(-2) / (rows > 0).sum(-1, keepdim=True).clamp(min=1)
        if drop:
            share = torch.where(rows[..., :1] > 0, drop, 2 * drop)  # pairs twice as often
            own = own * (torch.rand_like(own[..., :1]) >= share)
        said = self.valences[items][..., None]
        if drop:
            said = said * (torch.rand_like(said) >= drop / 2)
        return nn.functional.embedding(back, own + spelt + said * self.direction)

    def forward(self, batch: Batch, drop: float = 0.0) -> Tensor:
        """Logits float32[B, 3]."""
        vectors = self.vectors(batch.items, drop)
        present = (batch.items > 0).float()[..., None]
        turned = torch.zeros_like(vectors)
        for state in range(4):
            turned = turned + (batch.negated == state)[..., None] * (
                vectors @ self.negation[state].T
            )
        turned = turned + batch.too[..., None] * (vectors @ self.too.T)
        turned = turned + batch.irrealis[..., None] * (vectors @ self.irrealis.T)
        turned = turned * self.degree[batch.degree][..., None] * present
        aside = batch.conceded[..., None].float()
        main = turned * (1 - aside)
        root = torch.sqrt(1 + present.sum(1))
        language = nn.functional.one_hot(batch.language, len(LANGUAGES)).float()
        features = torch.cat(
            [
                main.sum(1) / root,
                main.amax(1).clamp(min=0),
                main.amin(1).clamp(max=0),
                (turned * aside).sum(1) / root,
                batch.flags,
                language,
            ],
            1,
        )
        logits: Tensor = self.out(torch.relu(self.hidden(features)))
        return logits
