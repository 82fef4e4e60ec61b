"""`python -m tools.train detector`: trains the face detector.

Quality focal loss (Li et al. 2020, arXiv:2006.04388), generalised IoU (Rezatofighi et al. 2019,
arXiv:1902.09630) and an L1 loss on the keypoints, AdamW with a cosine schedule by wall time and an
average of the weights. Resumes from `runs/detector/checkpoint.pt`.

Before it, `python -m tools.train.detector.relabel` asks two teachers for better labels and
`python -m tools.train.detector.mine` looks for hard negatives; without them it takes the packs as
they are. `--start models/detector/model.tflite` goes on from the published weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.nn import functional as fn
from torch.utils.data import DataLoader

from tools.common.files import run_folder
from tools.common.progress import bar
from tools.train import common
from tools.train.detector.data import Stream
from tools.train.detector.net import DetectorNet, cells, decode_boxes, flatten
from tools.train.detector.paint import Painter
from tools.train.detector.published import start
from tools.train.detector.relabel import votes_path
from tools.train.detector.sources import Sources


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
        self,
        maps: tuple[Tensor, ...],
        box: Tensor,
        five: Tensor,
        confidence: Tensor,
        weight: Tensor,
        counts: Tensor,
    ) -> tuple[Tensor, dict[str, float]]:
        """Total and its parts; arguments as `Stream` yields them.

        The score's target is the label's confidence times `quality`.
        """
        score, code, points = flatten(maps)
        positive = weight > 0
        decoded = decode_boxes(code, self._centres, self._strides)[positive]
        wanted, share = box[positive], weight[positive]
        iou, giou = overlaps(decoded, wanted)
        size = (wanted[:, 2:] - wanted[:, :2]).clamp(min=1).prod(1).sqrt()
        target = torch.zeros_like(score)
        target[positive] = quality(iou.detach(), size) * confidence[positive]
        distance = (target - score.sigmoid()).abs() ** 2
        focal = distance * fn.binary_cross_entropy_with_logits(score, target, reduction="none")
        # background counts as ever; of a face's cells each counts by its share
        total = share.sum().clamp(min=1.0)
        score_loss = (focal * counts * torch.where(positive, weight, 1.0)).sum() / total
        box_loss = ((1.0 - giou) * share).sum() / total
        stride = self._strides.expand(score.shape)[positive]
        centre = self._centres.expand(*score.shape, 2)[positive]
        placed = centre[:, None] + points[positive] * stride[:, None, None]
        known = five[positive].isfinite().all(2)
        error = (placed - five[positive].nan_to_num()).abs().sum(2) / size[:, None]
        known_weight = known * share[:, None]
        five_loss = (error * known_weight).sum() / known_weight.sum().clamp(min=1.0)
        parts = {
            "score": float(score_loss.detach()),
            "box": float(box_loss.detach()),
            "five": float(five_loss.detach()),
            "iou": float(iou.detach().mean()) if len(iou) else 0.0,
        }
        return score_loss + 2.0 * box_loss + 4.0 * five_loss, parts


def quality(iou: Tensor, size: Tensor) -> Tensor:
    """IoU float32[N] as it would be were the face 40 px large; `size` sqrt(w h), input pixels.

    An error of one pixel costs a face of 10 px four times the IoU that it costs one of 40: without
    this the scores of small faces stay below any threshold that large faces pass.
    """
    return iou.clamp(0.05, 1.0) ** (size / 40.0).clamp(0.4, 1.0)


def train(options: argparse.Namespace, run: str, sources: Sources | None) -> None:
    """Train for `options.minutes`, over all resumptions; a checkpoint every 200 steps.

    `run`: the folder below `runs` that keeps the checkpoint. `sources` of the pictures; None: the
    packs.
    """
    common.seed_everything(options.seed)
    cv2.setNumThreads(1)  # OpenCV's threads do not survive the fork of the drawing process
    place = common.device()
    path = run_folder(run) / "checkpoint.pt"
    if sources is None and not votes_path().is_file():
        print("No teachers' votes: labels as in the packs. See tools.train.detector.relabel.")
    net = DetectorNet()
    if options.start is not None and not path.is_file():
        start(options.start, net, Painter(options.seed, sources))
    net = net.to(place, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(
        common.split_decay(net, 0.02), lr=options.rate, betas=(0.9, 0.99), fused=True
    )
    training = common.Run(path, net, optimiser, options.minutes, 0.998)
    for group in optimiser.param_groups:  # an older checkpoint may say otherwise
        group["fused"] = True
    loss_of = Loss(place)
    # the pictures are drawn at random: a resumed run takes another seed, not the same start again
    data = DataLoader(
        Stream(options.seed + training.step, sources),
        batch_size=options.batch,
        num_workers=options.workers,
        prefetch_factor=3 if options.workers else None,
    )
    recent = common.Recent()
    net.train()
    with bar("training, minutes", options.minutes) as tell:
        for sample in data:
            progress = training.budget.progress
            if progress >= 1.0:
                break
            picture, *targets = (t.to(place, non_blocking=True) for t in sample)
            x = (picture.float() / 255.0).to(memory_format=torch.channels_last)
            with common.mixed_precision():
                maps = net(x)
            loss, parts = loss_of(tuple(m.float() for m in maps), *targets)
            training.learn(loss, options.rate * common.warm_cosine(progress, 0.03), 10.0)
            recent.add(**parts)
            tell(training.budget.spent / 60, f"step {training.step}: {recent}")
            if training.step % 200 == 0:
                training.save()
    training.save()


def main(argv: list[str]) -> int:
    """Train, then hand over to what converts and measures."""
    parser = common.parser("detector", 240.0, __doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--start", type=Path, help="checkpoint or published .tflite file to begin with"
    )
    parser.add_argument("--train-only", action="store_true")
    options: Any = parser.parse_args(argv)
    run, sources = "detector", None
    if options.data == "clean":
        from tools.train.clean import sources as clean

        run, sources = "detector-clean", clean.detector()
    if not options.convert_only:
        train(options, run, sources)
    if options.train_only:
        return 0
    return common.publish("detector", "--data", options.data)
