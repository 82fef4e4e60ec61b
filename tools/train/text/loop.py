"""`python -m tools.train text`: trains the sentiment network and the language detector.

Material comes from packages that are fetched by name (`tools.train.text.material`; `--material
FOLDER` names copies) and from our own lexica and templates. One fifth of the rated texts is kept
for choosing and calibrating, another for measuring. `--probe` also keeps one in seven templates
and one in ten words from training, for `python -m tools.eval text` to measure what is not known
by heart; it writes to `runs/text-probe` and publishes nothing."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agent.base.errors import AgentError
from agent.text.features import key
from agent.text.normalise import fold
from tools.common.files import npz, run_folder, save_atomically
from tools.common.progress import along
from tools.train import common
from tools.train.text import languages, material
from tools.train.text.generate import (
    LANGUAGES,
    NEUTRAL,
    Label,
    Line,
    draw,
    entries,
    every_word,
    keep_all,
    kept_template,
    kept_word,
    polar_words,
    read,
)
from tools.train.text.net import Batch, SentimentNet, Vocabulary, tensors

SEED = 14
LINES = 26_000
"""Generated for each language."""
PASSES = 4
BATCH = 256
RATE = 0.01
DROP = 0.2
DECAY = 1e-4
KEPT = 26_000
"""Words and pairs that are shipped: those that say most beyond their letters."""


def main(options: Sequence[str]) -> int:
    """Returns the exit code."""
    parser = common.parser("text", 10.0, __doc__)  # it takes its passes, not minutes
    parser.add_argument("--material", type=Path, metavar="FOLDER", help="copies of the packages")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--lines", type=int, default=LINES, help="generated for each language")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument(
        "--keep-languages", type=Path, metavar="FILE.npz", help="weights with the detector to keep"
    )
    parser.add_argument("--probe", action="store_true", help="keep templates and words out")
    args = parser.parse_args(options)
    if args.data == "clean":
        print("The sentiment model learns from material for any use: it serves every set.")
        return 0
    if args.convert_only:
        return common.publish("text")
    try:
        folder = material.fetch(args.material)
        arrays = train(folder, args.seed, args.lines, args.passes, args.probe, args.keep_languages)
    except (AgentError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, AgentError) else 1
    target = run_folder("text-probe" if args.probe else "text") / "weights.npz"
    save_atomically(target, npz(arrays))
    print(f"train: wrote {target}", file=sys.stderr)
    return 0 if args.probe else common.publish("text")


def train(
    folder: Path,
    seed: int,
    lines: int,
    passes: int,
    probe: bool,
    kept_languages: Path | None = None,
) -> dict[str, NDArray[Any]]:
    """All arrays of the weights file."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    words, templates = (kept_word, kept_template) if probe else (keep_all, keep_all)
    started = time.monotonic()
    generated = draw(lines, seed, keep=words, keep_template=templates)
    interface = material.interface(folder)
    rated = [each for each in material.rated(folder) if each.fold > material.CHOICE_FOLD]
    found = [*generated, *_interface_lines(interface)]
    for language in LANGUAGES:
        found += every_word(language, Random(seed), words)
    for each in rated:
        line = Line(each.text, rating_label(each.rating), "en")
        found += [line] * (1 if each.source == material.LARGEST else 2)
    found += _vocabulary_lines(folder, Random(seed))
    found += _lexicon_lines(material.lexicon(folder), Random(seed), words)
    own = {name: [line.text for line in generated if line.language == name] for name in LANGUAGES}
    for language in LANGUAGES:
        own[language] += [line.text for line in every_word(language, Random(seed), words)]
    own["en"] += [each.text for each in rated] * 2
    if kept_languages is None:
        arrays = languages.train(own, interface, seed)
    else:
        with np.load(kept_languages) as file:
            arrays = {name: file[name] for name in file.files if name.startswith("language_")}
    batch, vocabulary = tensors(found)
    print(
        f"train: {len(found)} lines, {len(vocabulary.counts)} words and pairs, "
        f"{time.monotonic() - started:.0f} s",
        file=sys.stderr,
    )
    valences = vocabulary.valences(_valences(material.lexicon(folder), words))
    net = SentimentNet(len(vocabulary.counts), vocabulary.gram_table(), valences)
    fit(net, batch, passes)
    return arrays | quantised(net, vocabulary)


def fit(net: SentimentNet, batch: Batch, passes: int) -> None:
    """Adam, a cosine from `RATE` to 0."""
    count = len(batch.labels)
    steps = passes * math.ceil(count / BATCH)
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    order = torch.randperm(count)
    mean, place = 0.0, 0
    for step in along(range(steps), "sentiment"):
        if place >= count:
            order, place = torch.randperm(count), 0
        part = batch.rows(order[place : place + BATCH])
        place += BATCH
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        logits = net(part, DROP)
        used = net.words(part.items)
        loss = (
            nn.functional.cross_entropy(logits, part.labels) + DECAY * (used**2).sum((1, 2)).mean()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mean = 0.99 * mean + 0.01 * loss.item()
        if step % 1000 == 999:
            print(f"train: step {step + 1} of {steps}, loss {mean:.3f}", file=sys.stderr)


def _valences(rated: dict[str, float], keep: Callable[[str], bool]) -> dict[str, float]:
    """What the lexica say of single words, in about [-1, 1], by "language:word"."""
    found = {
        f"en:{fold(word.lower(), 'en')}": max(-1.2, min(1.2, rating / 2.5))
        for word, rating in rated.items()
        if keep(word)
    }
    for language in LANGUAGES:
        for word, sign in polar_words(language, keep).items():
            found[f"{language}:{word}"] = sign
    return found


def rating_label(rating: float) -> Label:
    """A mean rating as probabilities: the classes begin at .5 and -.5."""
    positive = 1 / (1 + math.exp(-(rating - 0.5) / 0.25))
    negative = 1 / (1 + math.exp(-(-rating - 0.5) / 0.25))
    return negative, 1 - positive - negative, positive


def _lexicon_lines(
    lexicon: dict[str, float], rng: Random, keep: Callable[[str], bool]
) -> list[Line]:
    """Words of the English lexicon in a few small frames."""
    found = []
    for word, rating in lexicon.items():
        if not keep(word):
            continue
        label = rating_label(0.7 * rating)
        found.append(Line(word, label, "en"))
        frame = rng.choice(
            ("It was {}.", "so {}", "really {}", "{}!", "They {} us", "I feel {}", "the {} {}")
        )
        found.append(Line(frame.replace("{}", word), label, "en"))
        if abs(rating) > 1.5:
            turned = (0.03, 0.37, 0.60) if rating < 0 else (0.85, 0.13, 0.02)
            frame = rng.choice(("It was not {}.", "never {}", "not {}", "no {}", "without {}"))
            found.append(Line(frame.replace("{}", word), turned, "en"))
    return found


def _vocabulary_lines(folder: Path, rng: Random) -> list[Line]:
    """Words that name things, people and places: most words say nothing, and letters that only
    words of a lexicon had taught would say too much of others."""
    found = []
    for language in LANGUAGES:
        stems = _polar_stems(language)
        for word in material.vocabulary(folder, language):
            if fold(word.lower(), language)[:6] not in stems:
                other = rng.choice(("{}", "{} {}", "{}: {}", "{}, {}"))
                place = rng.choice(entries(read("lexicon", language)["place"]))
                found.append(Line(other.format(word, place), NEUTRAL, language))
                found.append(Line(word, NEUTRAL, language))
    return found


def _polar_stems(language: str) -> set[str]:
    lexicon = read("lexicon", language)
    return {
        fold(part.strip("!").lower(), language)[:6]
        for name in ("adj_pos", "adj_neg", "noun_pos", "noun_neg", "loose_pos", "loose_neg")
        for entry in entries(lexicon[name])
        for part in entry.replace(" ", "/").split("/")
        if len(part) > 3
    }


def _interface_lines(interface: dict[str, list[str]]) -> list[Line]:
    """Messages of a program's interface as neutral lines, but for those with a word that is not."""
    found = []
    for language in LANGUAGES:
        polar = _polar_stems(language)
        for text in interface[language]:
            if len(text) < 200:
                parts = {fold(word.lower(), language)[:6] for word in text.split()}
                if not parts & polar:
                    found.append(Line(text, NEUTRAL, language))
    return found * 2


def spelt_only(net: SentimentNet, numbers: Tensor) -> NDArray[Any]:
    """What the letters alone say of each word: float32[V, D]."""
    rows = net.table[numbers]
    spelt = net.grams(rows).sum(-2) / (rows > 0).sum(-1, keepdim=True).clamp(min=1)
    return np.asarray(spelt.detach().numpy())


def quantised(net: SentimentNet, vocabulary: Vocabulary) -> dict[str, NDArray[Any]]:
    """The network's arrays: words and letters int8 with a scale for each column."""
    with torch.no_grad():
        numbers = torch.arange(len(vocabulary.counts))
        vectors = np.concatenate([net.vectors(part).numpy() for part in numbers.split(4096)])
        said = vectors - spelt_only(net, numbers)
    names = list(vocabulary.numbers)
    weight = np.linalg.norm(said[1:], axis=1) * np.log1p(np.array(vocabulary.counts[1:]))
    chosen = np.argsort(-weight)[:KEPT] + 1
    keys: dict[int, int] = {}
    for number in chosen.tolist():
        language, _, item = names[number - 1].partition(":")
        keys.setdefault(key(item, language), number)
    order = sorted(keys)
    rows = vectors[[keys[each] for each in order]]
    letters = net.grams.weight.detach().numpy()[1:]
    maps = {
        "negation": net.negation, "too": net.too, "irrealis": net.irrealis, "degree": net.degree,
        "hidden": net.hidden.weight, "hidden_bias": net.hidden.bias,
        "out": net.out.weight, "out_bias": net.out.bias,
    }  # fmt: skip
    found = {name: value.detach().numpy().astype(np.float32) for name, value in maps.items()}
    for name, values in (("word", rows), ("gram", letters)):
        scale = np.abs(values).max(0) / 127 + 1e-9
        found[f"{name}_rows"] = np.round(values / scale).astype(np.int8)
        found[f"{name}_scale"] = scale.astype(np.float32)
    return found | {"word_keys": np.array(order, np.uint32)}
