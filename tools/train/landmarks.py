"""Train, convert and measure the landmark network: `python -m tools.train landmarks`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm

from tools.train import manifest
from tools.train.common import (
    MODELS,
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
from tools.train.landmarks_crops import Crops, Item
from tools.train.landmarks_data import Sources, packs
from tools.train.landmarks_net import (
    LandmarkNet,
    distances,
    point_loss,
    presence_loss,
    spread_loss,
)

BATCH = 64
RATE = 2e-3
PRESENCE_SHARE = 0.02
SPREAD_SHARE = 0.02


def main(argv: list[str]) -> int:
    """Data -> training -> conversion -> evaluation -> card figures; resumes where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m tools.train landmarks", description=__doc__)
    parser.add_argument("--minutes", type=float, default=90.0, help="training time (default 90)")
    parser.add_argument("--seed", type=int, default=68)
    parser.add_argument("--start", type=Path, help="checkpoint whose weights to begin with")
    parser.add_argument("--convert-only", action="store_true", help="from the last checkpoint")
    parser.add_argument("--data", choices=("all", "clean"), default="all", help="see tools.train")
    options = parser.parse_args(argv)
    folder, sources = run_folder("landmarks"), packs()
    if options.data == "clean":
        from tools.train import clean

        folder, sources = run_folder("landmarks-clean"), clean.landmarks()
    if not options.convert_only:
        train(sources, folder, options.minutes, options.seed, options.start)
    from tools.train.landmarks_report import finish

    finish(sources, folder, MODELS, options.seed, manifest.SETS[options.data])
    return 0


class Stream(IterableDataset[Item]):
    """Endless crops, other ones in every worker."""

    def __init__(self, crops: Crops, seed: int) -> None:
        self._crops = crops
        self._seed = seed

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        while True:
            yield self._crops.draw(rng)


def batches(sources: Sources, seed: int) -> Iterator[list[Tensor]]:
    """Endless training batches: crops, points, weights, presence, as `Crops` gives them."""
    cv2.setNumThreads(1)
    stream = Stream(Crops(sources.faces, sources.negatives, seed), seed)
    workers = 8 if torch.cuda.is_available() else 0
    return iter(DataLoader(stream, BATCH, num_workers=workers, drop_last=True))


def train(
    sources: Sources, folder: Path, minutes: float, seed: int, start: Path | None = None
) -> None:
    """Train for `minutes` of wall time in all; a checkpoint every two minutes.

    Parameters
    ----------
    sources
        What to learn from.
    folder
        Where `checkpoint.pt` lies; an existing one is resumed.
    start
        A checkpoint of the same network to begin with, where there is none to resume.
    """
    seed_everything(seed)
    where = device()
    net = LandmarkNet().to(where, memory_format=torch.channels_last)
    if start is not None:
        net.load_state_dict(_weights(start))
    optimiser = torch.optim.AdamW(split_decay(net, 1e-2), lr=RATE, betas=(0.9, 0.99))
    average = Average(net, 0.999)
    path = folder / "checkpoint.pt"
    state = load_checkpoint(path)
    step, spent = 0, 0.0
    if state:
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        average.state, average.steps = state["average"], state["step"]
        step, spent = state["step"], state["seconds"]
    budget = Budget(minutes, spent)
    # a resumed training draws anew
    stream = batches(sources, seed + step)
    saved = time.monotonic()
    bar = tqdm(unit="batch", initial=step, mininterval=10)
    recent: dict[str, float] = {}
    net.train()
    while budget.progress < 1.0:
        crop, points, weight, present = (t.to(where) for t in next(stream))
        for group in optimiser.param_groups:
            group["lr"] = RATE * warm_cosine(budget.progress)
        x = (crop.float() / 255.0)[:, None].contiguous(memory_format=torch.channels_last)
        answer, logit, spread = net(x)
        distance = distances(answer, points)
        shift, doubt = point_loss(distance, weight), spread_loss(spread, distance, weight)
        loss = shift + PRESENCE_SHARE * presence_loss(logit, present) + SPREAD_SHARE * doubt
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        average.update(net)
        step += 1
        _note(recent, "shift", 100 * float(shift.detach()))
        _note(recent, "spread", float(doubt.detach()))
        bar.update()
        if step % 20 == 0:
            bar.set_postfix({k: f"{v:.3f}" for k, v in recent.items()} | {"t": budget.progress})
        if time.monotonic() - saved > 120:
            save(path, net, optimiser, average, step, budget)
            saved = time.monotonic()
    save(path, net, optimiser, average, step, budget)


def _weights(path: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint."""
    content = load_checkpoint(path)
    if content is None:
        raise SystemExit(f"There is no checkpoint {path} to begin with.")
    weights: dict[str, Tensor] = content["average"]
    return weights


def save(
    path: Path,
    net: LandmarkNet,
    optimiser: torch.optim.Optimizer,
    average: Average,
    step: int,
    budget: Budget,
) -> None:
    """Everything that a resumed training needs."""
    content: dict[str, Any] = {
        "net": net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state,
        "step": step,
        "seconds": budget.spent,
    }
    save_checkpoint(path, content)


def _note(recent: dict[str, float], name: str, value: float) -> None:
    recent[name] = 0.99 * recent.get(name, value) + 0.01 * value
