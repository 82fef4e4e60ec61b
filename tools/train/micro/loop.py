"""`python -m tools.train micro`: trains the spotter's network on synthetic tracks.

Tracks of two generators, seeds in `tools.micro.generator_config.TRAIN_SEEDS` and never others; with
`--backgrounds` movements are injected into tracks of real faces, too. Training goes on from
`runs/micro/checkpoint.pt` and stops after `--minutes` of wall time, resumptions included.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tools.common.files import run_folder
from tools.common.progress import bar
from tools.train import common
from tools.train.micro import material as micro_material
from tools.train.micro.augmentation import disturbed, mirrored
from tools.train.micro.net import MicroNet, loss
from tools.train.micro.samples import Float, Sample

SEED = 30
BATCH = 16
LENGTH = 400
"""Steps of a row."""
PEAK_RATE = 3e-3
KEEP_EVERY = 500
REAL_SHARE = 0.25
"""Of the rows, from tracks of real faces where there are any."""


def main(argv: list[str]) -> int:
    """Make tracks, train, hand over to what measures and writes the weights."""
    parser = common.parser("micro", 15.0)
    parser.add_argument("--tracks", type=int, default=2000, help="synthetic tracks of a minute")
    parser.add_argument(
        "--backgrounds", type=Path, help="folder of tools.bench micro-images --keep: real faces"
    )
    parser.add_argument("--restart", action="store_true", help="forget the checkpoint")
    options = parser.parse_args(argv)
    if options.data == "clean":
        print("The spotter's network learns from synthetic movements: it serves every set.")
        return 0
    checkpoint = run_folder("micro") / "checkpoint.pt"
    if options.restart:
        checkpoint.unlink(missing_ok=True)
    if not options.convert_only:
        _train(options.minutes, options.tracks, options.backgrounds, checkpoint)
    return common.publish("micro")


def _train(minutes: float, tracks: int, backgrounds: Path | None, checkpoint: Path) -> None:
    rng = common.seed_everything(SEED)
    where = common.device()
    synthetic = micro_material.samples(tracks)
    real = list(micro_material.injected(backgrounds, SEED)) if backgrounds else []
    data = (
        f"{tracks} synthetic tracks of two generators (tools/micro, "
        "tools/train/micro/second_generator.py)"
    )
    if real:
        faces = len(real) // micro_material.BACKGROUND_COPIES
        data += f"; synthetic movements injected into {faces} tracks of real faces, see CARD.md"
    net = MicroNet().to(where)
    optimiser = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=1e-3)
    training = common.Run(checkpoint, net, optimiser, minutes, 0.998)
    if training.saved:
        rng = np.random.default_rng(SEED + training.step)
    budget = training.budget
    recent = common.Recent()
    with bar("training, minutes", minutes) as tell:
        while budget.progress < 1.0:
            rows = [
                _row(rng, real if real and rng.random() < REAL_SHARE else synthetic)
                for _ in range(BATCH)
            ]
            inputs, *truth = (
                torch.from_numpy(np.stack(part)).to(where) for part in zip(*rows, strict=True)
            )
            value = loss(net(inputs.transpose(1, 2)), truth)
            training.learn(value, PEAK_RATE * common.warm_cosine(budget.progress), 1.0)
            recent.add(loss=value.item())
            tell(budget.spent / 60, f"step {training.step}: {recent}")
            if training.step % KEEP_EVERY == 0:
                training.save(data=data)
    training.save(data=data)


def _row(rng: np.random.Generator, samples: Sequence[Sample]) -> tuple[Float, ...]:
    """A stretch of one sample: mirrored half the time, disturbed half the time."""
    while True:
        one = samples[int(rng.integers(len(samples)))]
        if len(one.heat) >= LENGTH:
            break
    inputs, *truth = one.crop(int(rng.integers(0, len(one.heat) - LENGTH + 1)), LENGTH)
    if rng.random() < 0.5:
        inputs = mirrored(inputs)
    if rng.random() < 0.5:
        inputs = disturbed(rng, inputs)
    return inputs, *truth
