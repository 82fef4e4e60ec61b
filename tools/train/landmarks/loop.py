"""`python -m tools.train landmarks`: trains the landmark network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from tools.common.files import run_folder
from tools.common.progress import bar
from tools.train import common
from tools.train.landmarks.crops import Crops, Item
from tools.train.landmarks.data import Sources, packs
from tools.train.landmarks.net import LandmarkNet, distances, point_loss, presence_loss, spread_loss

BATCH = 64
RATE = 2e-3
PRESENCE_SHARE = 0.02
SPREAD_SHARE = 0.02


def main(argv: list[str]) -> int:
    """Train (or resume), then hand over to what converts and measures."""
    parser = common.parser("landmarks", 90.0, __doc__)
    parser.add_argument("--seed", type=int, default=68)
    parser.add_argument("--start", type=Path, help="checkpoint whose weights to begin with")
    options = parser.parse_args(argv)
    if not options.convert_only:
        folder, sources = run_folder("landmarks"), packs
        if options.data == "clean":
            from tools.train.clean import sources as clean

            folder, sources = run_folder("landmarks-clean"), clean.landmarks
        train(sources(), folder, options.minutes, options.seed, options.start)
    return common.publish("landmarks", "--data", options.data, "--seed", str(options.seed))


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
    common.seed_everything(seed)
    where = common.device()
    net = LandmarkNet().to(where, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(common.split_decay(net, 1e-2), lr=RATE, betas=(0.9, 0.99))
    training = common.Run(folder / "checkpoint.pt", net, optimiser, minutes, 0.999, start)
    budget = training.budget
    # a resumed training draws anew
    stream = batches(sources, seed + training.step)
    saved = time.monotonic()
    recent = common.Recent(0.99)
    net.train()
    with bar("training, minutes", minutes) as tell:
        while budget.progress < 1.0:
            crop, points, weight, present = (t.to(where) for t in next(stream))
            rate = RATE * common.warm_cosine(budget.progress)
            x = (crop.float() / 255.0)[:, None].contiguous(memory_format=torch.channels_last)
            answer, logit, spread = net(x)
            distance = distances(answer, points)
            shift, doubt = point_loss(distance, weight), spread_loss(spread, distance, weight)
            seen = presence_loss(logit, present)
            training.learn(shift + PRESENCE_SHARE * seen + SPREAD_SHARE * doubt, rate, 1.0)
            recent.add(shift=100 * float(shift.detach()), spread=float(doubt.detach()))
            tell(budget.spent / 60, f"step {training.step}: {recent}")
            if time.monotonic() - saved > 120:
                training.save()
                saved = time.monotonic()
    training.save()
