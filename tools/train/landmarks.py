"""Train, convert and measure the landmark network: `python -m tools.train landmarks`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from tools.train.common import (
    Average,
    Budget,
    device,
    load_checkpoint,
    run_folder,
    save_checkpoint,
    seed_everything,
    split_decay,
    warm_cosine,
)
from tools.train.landmarks_data import Crops, load_faces, load_negatives
from tools.train.landmarks_net import LandmarkNet, point_loss, presence_loss

BATCH = 64
RATE = 2e-3
PRESENCE_SHARE = 0.02


def main(argv: list[str]) -> int:
    """Data -> training -> conversion -> evaluation -> card figures; resumes where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m tools.train landmarks", description=__doc__)
    parser.add_argument("--minutes", type=float, default=61.0, help="training time (default 61)")
    parser.add_argument("--seed", type=int, default=68)
    parser.add_argument("--convert-only", action="store_true", help="from the last checkpoint")
    options = parser.parse_args(argv)
    if not options.convert_only:
        train(options.minutes, options.seed)
    from tools.train.landmarks_report import finish

    finish(options.seed)
    return 0


def checkpoint_path() -> Path:
    """Where the training of this clone stands."""
    return run_folder("landmarks") / "checkpoint.pt"


def batches(seed: int, start: int) -> Iterator[list[Tensor]]:
    """Endless training batches; `start` varies the draws of a resumed training."""
    cv2.setNumThreads(1)
    crops = Crops(load_faces(0), load_negatives(0), seed + start)
    workers = 8 if torch.cuda.is_available() else 0
    return iter(DataLoader(crops, BATCH, num_workers=workers, drop_last=True))


def train(minutes: float, seed: int) -> None:
    """Train for `minutes` of wall time in all, a checkpoint every two minutes."""
    seed_everything(seed)
    where = device()
    net = LandmarkNet().to(where, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(split_decay(net, 1e-2), lr=RATE, betas=(0.9, 0.99))
    average = Average(net, 0.999)
    state = load_checkpoint(checkpoint_path())
    step, spent = 0, 0.0
    if state:
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        average.state, average.steps = state["average"], state["step"]
        step, spent = state["step"], state["seconds"]
    budget = Budget(minutes, spent)
    stream = batches(seed, step)
    saved = time.monotonic()
    bar = tqdm(unit="batch", initial=step, mininterval=10)
    recent: dict[str, float] = {}
    net.train()
    while budget.progress < 1.0:
        crop, points, weight, present = (t.to(where) for t in next(stream))
        for group in optimiser.param_groups:
            group["lr"] = RATE * warm_cosine(budget.progress)
        x = (crop.float() / 255.0)[:, None].contiguous(memory_format=torch.channels_last)
        answer, logit = net(x)
        shift = point_loss(answer, points, weight)
        loss = shift + PRESENCE_SHARE * presence_loss(logit, present)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        average.update(net)
        step += 1
        _note(recent, "shift", 100 * float(shift.detach()))
        _note(recent, "loss", float(loss.detach()))
        bar.update()
        if step % 20 == 0:
            bar.set_postfix({k: f"{v:.3f}" for k, v in recent.items()} | {"t": budget.progress})
        if time.monotonic() - saved > 120:
            save(net, optimiser, average, step, budget)
            saved = time.monotonic()
    save(net, optimiser, average, step, budget)


def save(
    net: LandmarkNet, optimiser: torch.optim.Optimizer, average: Average, step: int, budget: Budget
) -> None:
    """Everything that a resumed training needs."""
    content: dict[str, Any] = {
        "net": net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state,
        "step": step,
        "seconds": budget.spent,
    }
    save_checkpoint(checkpoint_path(), content)


def _note(recent: dict[str, float], name: str, value: float) -> None:
    recent[name] = 0.99 * recent.get(name, value) + 0.01 * value
