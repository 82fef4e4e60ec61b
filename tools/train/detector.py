"""`python -m tools.train detector`: trains, converts and evaluates the face detector.

Quality focal loss (Li et al. 2020, arXiv:2006.04388), generalised IoU (Rezatofighi et al. 2019,
arXiv:1902.09630) and an L1 loss on the keypoints, AdamW with a cosine schedule by wall time and an
average of the weights. Resumes from `runs/detector/checkpoint.pt`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as fn
from torch.utils.data import DataLoader
from tqdm import tqdm

from tools.train import common
from tools.train.detector_data import Stream
from tools.train.detector_net import DetectorNet, cells, decode_boxes, flatten
from tools.train.detector_sources import Sources


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of matching boxes float32[N, 4], xyxy."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    area = hull.prod(1).clamp(min=1e-6)
    iou = shared / union.clamp(min=1e-6)
    return iou, iou - (area - union) / area


class Loss:
    """The three terms, over all cells of a batch."""

    def __init__(self, place: torch.device) -> None:
        self._centres, self._strides = (t.to(place) for t in cells())

    def __call__(
        self, maps: tuple[Tensor, ...], box: Tensor, five: Tensor, positive: Tensor, counts: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Total and its parts. `box`, `five` in input pixels, shapes as `Stream` yields them."""
        score, code, points = flatten(maps)
        decoded = decode_boxes(code, self._centres, self._strides)[positive]
        wanted = box[positive]
        iou, giou = overlaps(decoded, wanted)
        quality = iou.detach().clamp(0.05, 1.0)
        target = torch.zeros_like(score)
        target[positive] = quality
        distance = (target - score.sigmoid()).abs() ** 2
        focal = distance * fn.binary_cross_entropy_with_logits(score, target, reduction="none")
        total = quality.sum().clamp(min=1.0)
        score_loss = (focal * counts).sum() / total
        box_loss = ((1.0 - giou) * quality).sum() / total
        size = (wanted[:, 2:] - wanted[:, :2]).clamp(min=1).prod(1).sqrt()
        stride = self._strides.expand(score.shape)[positive]
        centre = self._centres.expand(*score.shape, 2)[positive]
        placed = centre[:, None] + points[positive] * stride[:, None, None]
        known = five[positive].isfinite().all(2)
        error = (placed - five[positive].nan_to_num()).abs().sum(2) / size[:, None]
        known_weight = known * quality[:, None]
        five_loss = (error * known_weight).sum() / known_weight.sum().clamp(min=1.0)
        parts = {
            "score": float(score_loss.detach()),
            "box": float(box_loss.detach()),
            "five": float(five_loss.detach()),
            "iou": float(iou.detach().mean()) if len(iou) else 0.0,
        }
        return score_loss + 2.0 * box_loss + 4.0 * five_loss, parts


def train(
    minutes: float,
    batch: int,
    rate: float,
    workers: int,
    seed: int,
    start: Path | None,
    sources: Sources | None = None,
    run: str = "detector",
) -> None:
    """Train for `minutes` of wall time, over all resumptions; a checkpoint every 200 steps.

    `sources` are what pictures are drawn from, by default the packs; `run` is the folder below
    `runs` that keeps the checkpoint.
    """
    common.seed_everything(seed)
    place = common.device()
    path = common.run_folder(run) / "checkpoint.pt"
    net = DetectorNet().to(place, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(
        common.split_decay(net, 0.02), lr=rate, betas=(0.9, 0.99), fused=True
    )
    if start is not None and not path.is_file():
        loaded = common.load_checkpoint(start)
        if loaded is None:
            raise SystemExit(f"There is no checkpoint {start} to start from.")
        net.load_state_dict(loaded["average"])
    average = common.Average(net, 0.998)
    step, spent = 0, 0.0
    saved = common.load_checkpoint(path)
    if saved is not None:
        net.load_state_dict(saved["net"])
        optimiser.load_state_dict(saved["optimiser"])
        for group in optimiser.param_groups:
            group["fused"] = True
        average.state, average.steps = saved["average"], saved["step"]
        step, spent = saved["step"], saved["spent"]
    loss_of = Loss(place)
    # the pictures are drawn at random: a resumed run takes another seed, not the same start again
    data = DataLoader(
        Stream(seed + step, sources),
        batch_size=batch,
        num_workers=workers,
        prefetch_factor=3 if workers else None,
    )
    budget = common.Budget(minutes, spent)
    net.train()
    bar = tqdm(total=round(minutes, 1), unit="min", initial=round(spent / 60, 1), mininterval=30)
    means: dict[str, float] = {}

    def save() -> None:
        common.save_checkpoint(
            path,
            {
                "net": net.state_dict(),
                "average": average.state,
                "optimiser": optimiser.state_dict(),
                "step": step,
                "spent": budget.spent,
            },
        )

    for sample in data:
        if budget.progress >= 1.0:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate * common.warm_cosine(budget.progress, 0.03)
        picture, *targets = (t.to(place, non_blocking=True) for t in sample)
        x = (picture.float() / 255.0).to(memory_format=torch.channels_last)
        loss, parts = loss_of(net(x), *targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        average.update(net)
        step += 1
        for name, value in parts.items():
            means[name] = value if name not in means else 0.98 * means[name] + 0.02 * value
        bar.n = round(budget.spent / 60, 2)
        bar.set_postfix({"step": step, **{k: f"{v:.3f}" for k, v in means.items()}}, refresh=False)
        bar.update(0)
        if step % 200 == 0:
            save()
    save()
    bar.close()


def main(argv: list[str]) -> int:
    """Train, then convert, evaluate and write the model folder."""
    parser = argparse.ArgumentParser(prog="python -m tools.train detector", description=__doc__)
    parser.add_argument("--minutes", type=float, default=240.0, help="training, wall time in all")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--start", type=Path, help="checkpoint whose averaged weights to start from"
    )
    parser.add_argument("--convert-only", action="store_true")
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--data", choices=("all", "clean"), default="all", help="see tools.train")
    options: Any = parser.parse_args(argv)
    run, sources = "detector", None
    if options.data == "clean":
        from tools.train import clean

        run, sources = "detector-clean", clean.detector()
    if not options.convert_only:
        train(
            options.minutes,
            options.batch,
            options.rate,
            options.workers,
            options.seed,
            options.start,
            sources,
            run,
        )
    if not options.train_only:
        from tools.train import detector_eval

        detector_eval.publish(data=options.data)
    return 0
