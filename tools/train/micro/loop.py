"""`python -m tools.train micro`: trains the spotter's network on synthetic tracks and real faces.

Tracks of the generators of `tools.train.micro.generators`, seeds in
`tools.micro.generator_config.TRAIN_SEEDS` and never others; with `--backgrounds` movements are
injected into tracks of real faces, too. Training goes on from `runs/micro/checkpoint.pt` and stops
after `--minutes` of wall time, resumptions included. `--without NAME` trains on the other
generators, for `python -m tools.eval micro` to measure on the one left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from tools.common.files import run_folder
from tools.common.progress import bar
from tools.train import common
from tools.train.micro import material as micro_material
from tools.train.micro.augmentation import disturbed, mirrored, mixed
from tools.train.micro.generators import GENERATORS
from tools.train.micro.net import REACH, MicroNet, loss
from tools.train.micro.real import injected
from tools.train.micro.samples import Float, Sample

SEED = 30
BATCH = 16
LENGTH = 480
"""Steps of a row."""
PEAK_RATE = 3e-3
KEEP_EVERY = 500
REAL = "real"
REAL_SHARE = 0.25
"""Of the rows, from tracks of real faces where there are any."""
ANCHORED = 0.4
"""Of the rows, around a movement of a unit drawn evenly: half of all movements are of brows, and
those of the mouth would be learnt last."""
EXACT_FROM = 0.85
"""Progress from which products are no longer rounded to bfloat16."""


def main(argv: list[str]) -> int:
    """Make tracks, train, hand over to what measures and writes the weights."""
    parser = common.parser("micro", 45.0)
    parser.add_argument("--tracks", type=int, default=400, help="synthetic tracks per generator")
    parser.add_argument(
        "--backgrounds",
        type=Path,
        nargs="+",
        default=[],
        help="folders of tools.bench micro-images --still --keep: real faces",
    )
    parser.add_argument("--stills", type=Path, help="the same of photographs: measured noise")
    parser.add_argument("--workers", type=int, default=2, help="processes that make tracks")
    parser.add_argument(
        "--without", choices=tuple(GENERATORS), help="leave a generator out, to measure on it"
    )
    parser.add_argument("--restart", action="store_true", help="forget the checkpoint")
    options = parser.parse_args(argv)
    if options.data == "clean":
        print("The spotter's network learns from synthetic movements: it serves every set.")
        return 0
    name = f"micro-without-{options.without}" if options.without else "micro"
    checkpoint = run_folder(name) / "checkpoint.pt"
    if options.restart:
        checkpoint.unlink(missing_ok=True)
    if not options.convert_only:
        names = [each for each in GENERATORS if each != options.without]
        counts = dict.fromkeys(names, options.tracks)
        if not options.without:
            counts[micro_material.MIXED] = options.tracks
        groups = dict(micro_material.samples(counts, options.stills, options.workers))
        if options.backgrounds:
            groups[REAL] = list(injected(options.backgrounds, SEED))
        train(options.minutes, groups, checkpoint)
    if options.without:
        print(f"train: {checkpoint} is measured by python -m tools.eval micro")
        return 0
    return common.publish("micro")


def train(minutes: float, groups: Mapping[str, Sequence[Sample]], checkpoint: Path) -> None:
    """Train on samples by generator, real ones under `REAL`; the checkpoint is resumed."""
    rng = common.seed_everything(SEED)
    where = common.device()
    names = [name for name in groups if name != REAL]
    data = (
        f"{sum(len(groups[name]) for name in names)} synthetic tracks of {len(names)} generators "
        "(tools/train/micro/generators)"
    )
    if REAL in groups:
        data += "; synthetic movements injected into tracks of real faces, see CARD.md"
    anchors = {name: _anchors(samples) for name, samples in groups.items()}
    net = MicroNet().to(where)
    optimiser = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=1e-3)
    training = common.Run(checkpoint, net, optimiser, minutes, 0.998)
    if training.saved:
        rng = np.random.default_rng(SEED + training.step)
    budget = training.budget
    recent = common.Recent()
    with bar("training, minutes", minutes) as tell:
        while budget.progress < 1.0:
            chosen = [
                REAL if REAL in groups and rng.random() < REAL_SHARE else str(rng.choice(names))
                for _ in range(BATCH)
            ]
            rows = [_row(rng, groups[name], anchors[name]) for name in chosen]
            inputs, *truth = (
                torch.from_numpy(np.stack(part)).to(where) for part in zip(*rows, strict=True)
            )
            exact = budget.progress >= EXACT_FROM
            with nullcontext() if exact else common.mixed_precision():
                outputs = net(inputs.transpose(1, 2))
            value = loss(outputs, truth)
            training.learn(value, PEAK_RATE * common.warm_cosine(budget.progress), 1.0)
            recent.add(loss=value.item())
            tell(budget.spent / 60, f"step {training.step}: {recent}")
            if training.step % KEEP_EVERY == 0:
                training.save(data=data)
    training.save(data=data)


def _anchors(samples: Sequence[Sample]) -> list[list[tuple[int, int]]]:
    """For each unit that occurs, where its movements are: sample and step."""
    found: dict[int, list[tuple[int, int]]] = {}
    for k, one in enumerate(samples):
        if len(one.heat) < LENGTH:
            continue
        for step in np.flatnonzero(one.heat >= 1.0).tolist():
            for unit in np.flatnonzero(one.units[step] > 0.5).tolist():
                found.setdefault(unit, []).append((k, step))
    return list(found.values())


def _row(
    rng: np.random.Generator, samples: Sequence[Sample], anchors: Sequence[list[tuple[int, int]]]
) -> tuple[Float, ...]:
    """A stretch of one sample: mirrored, mixed and disturbed, each half the time."""
    if anchors and rng.random() < ANCHORED:
        places = anchors[int(rng.integers(len(anchors)))]
        chosen, step = places[int(rng.integers(len(places)))]
        one = samples[chosen]
        start = step - int(rng.integers(REACH, LENGTH))
        start = min(max(start, 0), len(one.heat) - LENGTH)
    else:
        while True:
            one = samples[int(rng.integers(len(samples)))]
            if len(one.heat) >= LENGTH:
                break
        start = int(rng.integers(0, len(one.heat) - LENGTH + 1))
    inputs, *truth = one.crop(start, LENGTH)
    if rng.random() < 0.5:
        inputs = mirrored(inputs)
    if rng.random() < 0.5:
        inputs = mixed(rng, inputs)
    if rng.random() < 0.5:
        inputs = disturbed(rng, inputs)
    return inputs, *truth
