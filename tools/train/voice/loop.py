"""`python -m tools.train voice`: the tone's two networks, from the speech packs.

Each is trained twice: without some of the training speakers, for calibration and for choosing
anything at all, and with all of them, for shipping. The valid part's speakers are never heard.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.base.files import write_atomically
from agent.base.types import Float
from agent.voice.tone import KNOTS, coded
from tools.common.files import npz, run_folder, save_atomically
from tools.common.progress import bar
from tools.train.common import (
    Run,
    device,
    load_checkpoint,
    parser,
    publish,
    seed_everything,
    split_decay,
    warm_cosine,
)
from tools.train.voice.corpora import CORPORA, Utterance, held_back, utterances
from tools.train.voice.material import COPIES, Material
from tools.train.voice.material import made as make
from tools.train.voice.net import DEVIATE, Prosody, Spectrum
from tools.train.voice.samples import Drawn, Labels, loss, varied

SHARES = {
    "spectrum": {"ravdess": 0.6, "emodb": 0.25, "ased": 0.15},
    "prosody": {"ravdess": 0.7, "emodb": 0.25, "ased": 0.05},
}
"""Of the corpora in what the networks see."""
PARTS = {"held": "without the speakers that are held back", "all": "with all training speakers"}
_BATCH, _RATE, _DECAY, _AVERAGE = 64, 2e-3, 3e-2, 0.995
STEPS, _ROWS, _NOISE, _MIX = 800, 128, 0.3, 0.3
SAVE_EVERY = 100


def training_part() -> tuple[list[Utterance], Material]:
    """The training speakers' utterances and what was made of them, once."""
    found = [one for one in utterances() if not one.valid]
    path = run_folder("voice") / "material.npz"
    if not path.is_file():
        fresh = make(found, COPIES, 1)
        save_atomically(path, npz({f.name: getattr(fresh, f.name) for f in fields(Material)}))
    with np.load(path) as file:
        return found, Material(*(file[field.name] for field in fields(Material)))


def corpus_of(found: Sequence[Utterance], material: Material) -> NDArray[np.int64]:
    """int64[N], of `CORPORA`."""
    each = np.array([CORPORA.index(one.corpus) for one in found], np.int64)
    return np.asarray(each[material.source])


def quantiles_of(material: Material, rows: NDArray[np.bool_]) -> Float:
    """float32[82, 9]: of functionals of clean speech of the corpora that count."""
    values = material.values[rows & (material.copy == 0)]
    at = [NormalDist().cdf(float(knot)) for knot in KNOTS]
    return np.asarray(np.quantile(values, at, axis=0).T, np.float32)


def deviates(values: Float, quantiles: Float) -> Float:
    """float32[N, 82] as the shipped network is given them, in standard deviations."""
    codes = np.stack([coded(row, quantiles) for row in values])
    return ((codes.astype(np.float32) / 255.0) * 2.0 - 1.0) * np.float32(DEVIATE)


def train_spectrum(
    path: Path, material: Material, corpus: NDArray[np.int64], rows: NDArray[np.bool_],
    minutes: float, seed: int = 0,
) -> None:  # fmt: skip
    """Until the time is used up; a checkpoint at `path` is gone on from."""
    seed_everything(seed)
    place = device()
    net = Spectrum().to(place, memory_format=torch.channels_last)
    run = Run(path, net, torch.optim.AdamW(split_decay(net, _DECAY), _RATE), minutes, _AVERAGE)
    rng = np.random.default_rng((seed, run.step))
    drawn, labels = Drawn(material, corpus, rows, SHARES["spectrum"]), Labels.of(material, corpus)
    possible = labels.possible()
    with bar(f"spectrum, {path.stem}", round(minutes, 1)) as tell:
        while run.budget.progress < 1.0:
            index = torch.from_numpy(drawn(rng, _BATCH))
            other, share = pairs(rng, labels, index, 1)
            seen = torch.from_numpy(varied(rng, material.pictures[index.numpy()])[:, None])
            by = share[:, None, None, None]
            seen = by * seen + (1 - by) * seen.roll(1, 0)
            net.train()
            answers = net(seen.to(place, memory_format=torch.channels_last)).cpu()
            lost = loss(answers, labels.mixed(index, other, share), possible)
            run.learn(lost, _RATE * warm_cosine(run.budget.progress), 2.0)
            if run.step % SAVE_EVERY == 0:
                run.save()
                tell(round(run.budget.spent / 60, 1), f"step {run.step}, loss {lost.item():.2f}")
    run.save()


def fitted_prosody(
    material: Material, corpus: NDArray[np.int64], rows: NDArray[np.bool_],
    shares: Mapping[str, float], title: str, seed: int = 0,
) -> tuple[Prosody, Float]:  # fmt: skip
    """The network and its quantiles: some hundred steps, under a minute, from nothing each time."""
    rng = seed_everything(seed)
    device()
    known = rows & (corpus != CORPORA.index("ased"))
    quantiles = quantiles_of(material, known)
    seen = torch.from_numpy(deviates(material.values, quantiles))
    net = Prosody()
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    drawn, labels = Drawn(material, corpus, rows, shares), Labels.of(material, corpus)
    possible = labels.possible()
    count = len(net.first)
    with bar(f"prosody, {title}", STEPS) as tell:
        for step in range(STEPS):
            for group in optimiser.param_groups:
                group["lr"] = 3e-3 * warm_cosine(step / STEPS)
            index = torch.from_numpy(drawn(rng, count * _ROWS))
            other, share = pairs(rng, labels, index, count)
            mixed = share[:, None] * seen[index] + (1 - share)[:, None] * seen[other]
            mixed += _NOISE * torch.randn_like(mixed)
            answers = net(mixed.view(count, _ROWS, -1)).flatten(0, 1)
            lost = loss(answers, labels.mixed(index, other, share), possible) * count
            optimiser.zero_grad()
            lost.backward()  # type: ignore[no-untyped-call,unused-ignore]
            optimiser.step()
            tell(step + 1, f"loss {lost.item() / count:.2f}")
    return net, quantiles


def pairs(
    rng: np.random.Generator, labels: Labels, index: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """For mixing rows in pairs (Zhang et al. 2018, arXiv:1710.09412): the row before each in its
    one of `count` batches, and the own share float32[N]. Only within a corpus, whose labels mean
    the same."""
    other = index.view(count, -1).roll(1, 1).reshape(-1)
    share = torch.from_numpy(rng.beta(_MIX, _MIX, len(index)).astype(np.float32))
    same = labels.corpus[index] == labels.corpus[other]
    return other, torch.where(same, torch.maximum(share, 1 - share), 1.0)


def save_prosody(path: Path, net: Prosody, quantiles: Float) -> None:
    """As `open_prosody` reads it."""
    content: dict[str, Any] = {"net": net.state_dict(), "quantiles": torch.from_numpy(quantiles)}
    write_atomically(path, lambda file: torch.save(content, file))


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = parser("voice", 30.0, __doc__)
    options.add_argument("--only", choices=tuple(PARTS), help="one of the two trainings alone")
    args = options.parse_args(argv)
    if args.data == "clean":
        print(
            "There is no speech with labels of emotion whose terms allow any use: the clean set "
            "has no tone of voice.",
            file=sys.stderr,
        )
        return 0
    folder = run_folder("voice")
    if not args.convert_only:
        found, material = training_part()
        corpus = corpus_of(found, material)
        held = held_back(found)
        out = np.array([one.speaker in held for one in found])[material.source]
        for part, rows in (("held", ~out), ("all", np.ones(len(out), bool))):
            if args.only in (None, part):
                made_of = fitted_prosody(material, corpus, rows, SHARES["prosody"], part)
                save_prosody(folder / f"prosody-{part}.pt", *made_of)
                minutes = args.minutes / len(PARTS)
                train_spectrum(folder / f"spectrum-{part}.pt", material, corpus, rows, minutes)
    if args.only:
        return 0
    return publish("voice")


def open_prosody(part: str) -> tuple[Prosody, Float]:
    """Network and quantiles. Raises `SystemExit` where they were not trained."""
    path = run_folder("voice") / f"prosody-{part}.pt"
    content = load_checkpoint(path)
    if content is None:
        raise SystemExit(f"There is no {path}: train first, without --convert-only.")
    net = Prosody()
    net.load_state_dict(content["net"])
    return net.eval(), np.asarray(content["quantiles"].numpy(), np.float32)


def open_spectrum(part: str) -> tuple[Spectrum, int]:
    """The averaged network and its steps. Raises `SystemExit` where it was not trained."""
    path = run_folder("voice") / f"spectrum-{part}.pt"
    content = load_checkpoint(path)
    if content is None:
        raise SystemExit(f"There is no {path}: train first, without --convert-only.")
    net = Spectrum()
    net.load_state_dict(content["average"])
    return net.eval(), int(content["step"])
