"""Training of the language detector: four languages against the others and gibberish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from agent.text.language import LANGUAGES, OTHER, ROWS, language_rows
from agent.text.normalise import clean
from tools.common.progress import along
from tools.train.text.generate import HERE

CLASSES = len(LANGUAGES) + 1
EXAMPLES = 90_000
STEPS = 1200
BATCH = 512
RATE = 0.05
_LATIN_SHARE = 0.7
_NEIGHBOURS = ("it", "pt", "pt_BR", "nl", "ca", "ro", "gl", "sv", "da", "nb")
"""Languages that are taken for one of the four most easily; drawn more often."""
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "asdfghjkloe", "yxcvbnm")
_BARE = str.maketrans("áàâäãåéèêëíìîïóòôöõúùûüñçãõ", "aaaaaaeeeeiiiiooooouuuuncao")


def other_lines() -> dict[str, list[str]]:
    """Our own lines in other languages."""
    import tomllib

    text = (HERE / "other_languages.toml").read_text(encoding="utf-8")
    return {name: lines.strip().splitlines() for name, lines in tomllib.loads(text).items()}


def train(
    own: Mapping[str, Sequence[str]], interface: Mapping[str, Sequence[str]], seed: int
) -> dict[str, NDArray[Any]]:
    """`own`: lines of the four languages. Returns the arrays of `LanguageDetector`."""
    torch.manual_seed(seed)
    pools = {name: [*own[name]] for name in LANGUAGES}
    rows, labels = _pool(pools, interface, _others(interface), Random(seed))
    table = nn.EmbeddingBag(ROWS, CLASSES, mode="sum")
    nn.init.zeros_(table.weight)
    bias = nn.Parameter(torch.zeros(CLASSES))
    optimiser = torch.optim.Adam([*table.parameters(), bias], lr=RATE)
    rng = np.random.default_rng(seed)
    for step in along(range(STEPS), "languages"):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        chosen = rng.integers(0, len(labels), BATCH)
        counts = torch.tensor([len(rows[k]) for k in chosen])
        starts = torch.cumsum(counts, 0) - counts
        summed = table(torch.from_numpy(np.concatenate([rows[k] for k in chosen])), starts)
        logits = summed / torch.sqrt(counts)[:, None] + bias
        decay = 2e-6 * (table.weight**2).sum()
        truth = torch.from_numpy(labels[chosen])
        loss = nn.functional.cross_entropy(logits, truth, label_smoothing=0.01) + decay
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    values = table.weight.detach().numpy()
    scale = np.abs(values).max(0) / 127
    return {
        "language_rows": np.round(values / scale).astype(np.int8),
        "language_scale": scale.astype(np.float32),
        "language_bias": bias.detach().numpy().astype(np.float32),
    }


def _others(interface: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    lines = other_lines()
    found = {name: [*texts] for name, texts in interface.items() if name not in LANGUAGES}
    for name, texts in lines.items():
        found.setdefault(name, []).extend(texts * 12)
    return {name: texts for name, texts in found.items() if _is_latin(texts)}


def _is_latin(texts: Sequence[str]) -> bool:
    """Whether a language is written in Latin letters; the others need no learning."""
    letters = [each for text in texts[:50] for each in text if each.isalpha()]
    return sum(ord(each) < 0x250 for each in letters) > _LATIN_SHARE * len(letters)


def _pool(
    pools: Mapping[str, Sequence[str]],
    interface: Mapping[str, Sequence[str]],
    others: Mapping[str, Sequence[str]],
    rng: Random,
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Rows of `EXAMPLES` lines, and their classes."""
    names = list(others)
    found: list[NDArray[np.int64]] = []
    labels: list[int] = []
    while len(labels) < EXAMPLES:
        klass = rng.randrange(CLASSES) if rng.random() < 0.8 else OTHER
        if klass < OTHER:
            name = LANGUAGES[klass]
            text = rng.choice(interface[name] if rng.random() < 0.15 else pools[name])
        elif rng.random() < 0.16:
            text = gibberish(rng, rng.choice(pools[rng.choice(LANGUAGES)]))
        else:
            name = rng.choice(_NEIGHBOURS if rng.random() < 0.6 else names)
            text = rng.choice(others[name])
        rows = language_rows(_changed(clean(text), rng))
        if len(rows):
            found.append(rows)
            labels.append(klass)
    return found, np.array(labels, np.int64)


def _changed(text: str, rng: Random) -> str:
    """A part of a line; without accents now and then."""
    words = text.split()
    if len(words) > 3 and rng.random() < 0.5:
        size = rng.randint(3, len(words))
        start = rng.randrange(len(words) - size + 1)
        text = " ".join(words[start : start + size])
    return text.translate(_BARE) if rng.random() < 0.2 else text


def gibberish(rng: Random, text: str) -> str:
    """Keys struck at random, letters at random, or a real line with its letters in disorder."""
    roll = rng.random()
    size = rng.randint(1, 6)
    if roll < 0.4:
        return " ".join(
            "".join(rng.choice(rng.choice(_KEYBOARD)) for _ in range(rng.randint(2, 9)))
            for _ in range(size)
        )
    if roll < 0.65:
        words = []
        for _ in range(size):
            row = rng.choice(_KEYBOARD)
            start = rng.randrange(len(row) - 2)
            words.append(row[start : start + rng.randint(3, 5)] * rng.choice((1, 1, 2)))
        return " ".join(words)
    if roll < 0.85:
        consonants, vowels = "bcdfghjklmnpqrstvwxyz", "aeiou"
        return " ".join(
            "".join(
                rng.choice(consonants) + rng.choice(vowels) + rng.choice(consonants + "  ")
                for _ in range(rng.randint(1, 3))
            ).replace(" ", "")
            for _ in range(size)
        )
    words = text.split()
    return " ".join("".join(rng.sample(word, len(word))) for word in words)
