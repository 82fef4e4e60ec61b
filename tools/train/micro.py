"""`python -m tools.train micro`: the spotter's network from synthetic tracks to `models/micro`.

Tracks of two generators, seeds in `tools.micro.recipe.TRAIN_SEEDS` and never others; with
`--backgrounds` movements are planted into tracks of real faces, too. Training goes on from
`runs/micro/checkpoint.pt` and stops after `--minutes` of wall time, resumptions included.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from tools.train import common, micro_finish, micro_material
from tools.train.micro_net import MicroNet, disturbed, loss, mirrored
from tools.train.micro_samples import Float, Sample

SEED = 30
BATCH = 16
LENGTH = 400
"""Steps of a row."""
PEAK_RATE = 3e-3
KEEP_EVERY = 500
REAL_SHARE = 0.25
"""Of the rows, from tracks of real faces where there are any."""


def main(argv: list[str]) -> int:
    """Make tracks, train, write weights and manifest."""
    parser = argparse.ArgumentParser(prog="python -m tools.train micro")
    parser.add_argument("--minutes", type=float, default=15.0, help="training time in all")
    parser.add_argument("--tracks", type=int, default=2000, help="synthetic tracks of a minute")
    parser.add_argument(
        "--backgrounds", type=Path, help="folder of tools.bench micro-images --keep: real faces"
    )
    parser.add_argument("--restart", action="store_true", help="forget the checkpoint")
    parser.add_argument("--convert-only", action="store_true", help="use the checkpoint as it is")
    parser.add_argument("--data", choices=("all", "clean"), default="all", help="see tools.train")
    options = parser.parse_args(argv)
    if options.data == "clean":
        print("The spotter's network learns from synthetic movements: it serves every set.")
        return 0
    checkpoint = common.run_folder("micro") / "checkpoint.pt"
    if options.restart:
        checkpoint.unlink(missing_ok=True)
    if not options.convert_only:
        _train(options.minutes, options.tracks, options.backgrounds, checkpoint)
    content = common.load_checkpoint(checkpoint)
    if content is None:
        raise SystemExit(f"There is no {checkpoint}: train first, without --convert-only.")
    net = MicroNet()
    net.load_state_dict(content["average"])
    micro_finish.finish(net, str(content["data"]), int(content["step"]))
    return 0


def _train(minutes: float, tracks: int, backgrounds: Path | None, checkpoint: Path) -> None:
    rng = common.seed_everything(SEED)
    where = common.device()
    synthetic = micro_material.samples(tracks)
    real = list(micro_material.planted(backgrounds, SEED)) if backgrounds else []
    data = f"{tracks} synthetic tracks of two generators (tools/micro, tools/train/micro_tracks.py)"
    if real:
        faces = len(real) // micro_material.BACKGROUND_COPIES
        data += f"; synthetic movements planted into {faces} tracks of real faces, see CARD.md"
    net = MicroNet().to(where)
    average = common.Average(net, 0.998)
    optimiser = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=1e-3)
    step, spent = 0, 0.0
    known = common.load_checkpoint(checkpoint)
    if known is not None:
        net.load_state_dict(known["net"])
        optimiser.load_state_dict(known["optimiser"])
        average.state = {name: value.to(where) for name, value in known["average"].items()}
        average.steps = step = int(known["step"])
        spent = known["spent"]
        rng = np.random.default_rng(SEED + step)
    budget = common.Budget(minutes, spent)
    bar = tqdm(total=100, initial=round(100 * budget.progress), desc="micro", unit="%")

    def keep() -> None:
        common.save_checkpoint(
            checkpoint,
            {
                "net": net.state_dict(),
                "average": average.state,
                "optimiser": optimiser.state_dict(),
                "step": step,
                "spent": budget.spent,
                "data": data,
            },
        )

    recent = 0.0
    while budget.progress < 1.0:
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * common.warm_cosine(budget.progress)
        rows = [
            _row(rng, real if real and rng.random() < REAL_SHARE else synthetic)
            for _ in range(BATCH)
        ]
        inputs, *truth = (
            torch.from_numpy(np.stack(part)).to(where) for part in zip(*rows, strict=True)
        )
        value = loss(net(inputs.transpose(1, 2)), truth)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        average.update(net)
        step += 1
        recent = 0.98 * recent + 0.02 * float(value) if recent else float(value)
        bar.n = round(100 * budget.progress)
        if step % 50 == 0:
            bar.set_postfix(loss=f"{recent:.3f}", step=step)
        if step % KEEP_EVERY == 0:
            keep()
    keep()
    bar.close()


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
