"""`python -m tools.train landmarks`: trains the landmark network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from tools.common.files import run_folder
from tools.common.progress import bar
from tools.train import common
from tools.train.landmarks.crops import Crops, Item
from tools.train.landmarks.data import Sources, packs
from tools.train.landmarks.net import (
    FOLD,
    LandmarkNet,
    distances,
    former,
    point_loss,
    presence_loss,
    spread_loss,
)
from tools.train.start import Pictures, begin

BATCH = 64
RATE = 2e-3
PRESENCE_SHARE = 0.05
SPREAD_SHARE = 0.02


def main(argv: list[str]) -> int:
    """Train (or resume), then hand over to what converts and measures."""
    parser = common.parser("landmarks", 90.0, __doc__)
    parser.add_argument("--seed", type=int, default=68)
    parser.add_argument("--start", type=Path, help="checkpoint or .tflite file to begin with")
    parser.add_argument("--rate", type=float, default=RATE, help="largest learning rate")
    options = parser.parse_args(argv)
    if not options.convert_only:
        folder, sources = run_folder("landmarks"), packs
        if options.data == "clean":
            from tools.train.clean import sources as clean

            folder, sources = run_folder("landmarks-clean"), clean.landmarks
        train(sources(), folder, options.minutes, options.seed, options.start, options.rate)
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


def batches(crops: Crops, seed: int) -> Iterator[list[Tensor]]:
    """Endless training batches: crops, points, weights, presence, as `Crops` gives them."""
    stream = Stream(crops, seed)
    workers = 8 if torch.cuda.is_available() else 0
    return iter(DataLoader(stream, BATCH, num_workers=workers, drop_last=True))


def start_from(net: LandmarkNet, start: Path, pictures: Pictures) -> None:
    """Give `net` the weights of `start`, also of a file whose presence is linear: as `begin`."""
    try:
        begin(net, start, pictures)
    except ValueError:
        old = former()
        begin(old, start, pictures)
        net.load_state_dict(old.state_dict())


def train(
    sources: Sources,
    folder: Path,
    minutes: float,
    seed: int,
    start: Path | None = None,
    peak: float = RATE,
) -> None:
    """Train for `minutes` of wall time in all; a checkpoint every two minutes.

    Parameters
    ----------
    sources
        What to learn from.
    folder
        Where `checkpoint.pt` lies; an existing one is resumed.
    start
        A checkpoint or `.tflite` file of the same network to begin with, where there is none to
        resume.
    peak
        Learning rate after the warm-up.
    """
    cv2.setNumThreads(1)
    common.seed_everything(seed)
    where = common.device()
    offered = sources.candidates() if sources.candidates else None
    crops = Crops(sources.faces, sources.negatives, seed, offered)
    net = LandmarkNet()
    path = folder / "checkpoint.pt"
    if start is not None and not path.is_file():
        rng = np.random.default_rng(seed)
        start_from(net, start, [crops.draw(rng)[0] for _ in range(512)])
    net = net.to(where, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(common.split_decay(net, 1e-2), lr=peak, betas=(0.9, 0.99))
    training = common.Run(path, net, optimiser, minutes, 0.999)
    budget = training.budget
    # a resumed training draws anew
    stream = batches(crops, seed + training.step)
    saved = time.monotonic()
    recent = common.Recent(0.99)
    net.train()
    with bar("training, minutes", minutes) as tell:
        while budget.progress < 1.0:
            crop, points, weight, present = (t.to(where) for t in next(stream))
            rate = peak * common.warm_cosine(budget.progress)
            x = (crop.float() / 255.0)[:, None].contiguous(memory_format=torch.channels_last)
            with common.mixed_precision():
                features = net.features(pixel_unshuffle(x, FOLD))
            # points are finer than bfloat16 is
            answer, logit, spread = net.heads(features.float())
            distance = distances(answer, points)
            shift, doubt = point_loss(distance, weight), spread_loss(spread, distance, weight)
            seen = presence_loss(logit, present)
            training.learn(shift + PRESENCE_SHARE * seen + SPREAD_SHARE * doubt, rate, 1.0)
            recent.add(
                shift=100.0 * float(shift.detach()),
                spread=float(doubt.detach()),
                presence=float(seen.detach()),
            )
            tell(budget.spent / 60, f"step {training.step}: {recent}")
            if time.monotonic() - saved > 120:
                training.save()
                saved = time.monotonic()
    training.save()
