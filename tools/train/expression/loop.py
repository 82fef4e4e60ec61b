"""`python -m tools.train expression`: trains the expression network.

Targets are the vote distributions of FER+ (Barsoum et al. 2016, arXiv:1608.01041) and twelve action
units taken from a teacher's blendshapes. Training stops after `--minutes` of wall time, resumptions
included, and goes on from `runs/expression/checkpoint.pt`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from tools.common.files import run_folder
from tools.common.progress import bar
from tools.train import common
from tools.train.expression import answers, distillation, growth
from tools.train.expression import data as expression_data
from tools.train.expression.data import BATCH, OTHER_UNITS, SIZE, Faces
from tools.train.expression.net import SHIPPED, ExpressionNet, FaceReader

SEED = 20
PEAK_RATE = 0.05
GROWN_RATE = 0.02
"""Where the network begins as one that is trained already."""
WEIGHT_DECAY = 3e-4
UNIT_WEIGHT = 0.3
OTHER_WEIGHT = 0.1
"""Of the second teacher of units, which is the less certain one."""
DISTILLED = (48, 24)
"""Pictures per step, as `BATCH`, where teachers have named the photographs too."""
AVERAGE_DECAY = 0.999
CALM_FROM = 0.7
"""From this share of the training on, pictures are varied little: as they will be met."""
EVALUATE_EVERY = 1000
"""Steps."""
SAVE_EVERY = 150.0
"""Seconds."""


def main(argv: list[str]) -> int:
    """Train (unless told otherwise), then hand over to what converts and measures."""
    parser = common.parser("expression", 60.0)
    parser.add_argument(
        "--start", type=Path, help="checkpoint or .tflite file whose weights to begin with"
    )
    parser.add_argument("--restart", action="store_true", help="forget the checkpoint")
    parser.add_argument(
        "--teacher",
        type=int,
        metavar="K",
        choices=range(len(distillation.TEACHERS)),
        help="train the K-th of the larger networks that --distil learns from; publishes nothing",
    )
    parser.add_argument(
        "--distil", action="store_true", help="learn from the teachers' answers beside the votes"
    )
    options = parser.parse_args(argv)
    if options.data == "clean":
        if not options.convert_only:
            _clean(options.minutes, options.start, options.restart)
        return common.publish("expression", "--data", "clean")
    number = options.teacher
    run = "expression" if number is None else f"{distillation.RUN}-{number}"
    if options.restart:
        _forget(run)
    if not options.convert_only:
        _research(run, number, options.minutes, options.distil, options.start)
    return 0 if number is not None else common.publish("expression")


def _research(
    run: str, number: int | None, minutes: float, distil: bool, start: Path | None
) -> None:
    """The first set's network, or the teacher of this number."""
    valid, votes = expression_data.ferplus(1)
    faces = [expression_data.ferplus(0)[0], expression_data.aligned(0)]
    parts = list(zip(faces, DISTILLED if distil else BATCH, strict=True))
    if distil:
        file = start if start is not None and start.suffix == ".tflite" else None
        parts = distillation.answered(parts, file)
    net: FaceReader = ExpressionNet(SHIPPED["research"], other_units=len(OTHER_UNITS))
    rate = PEAK_RATE
    some = faces[0].pictures[:256]
    if number is not None:
        kind = distillation.TEACHERS[number]
        net, rate = kind.build(), kind.rate
        if start is None:
            kind.begin(net, some)
    elif start is not None and start.suffix == ".tflite":
        growth.from_file(net, some, start)
        start, rate = None, GROWN_RATE
    train(run, net, minutes, parts, valid, votes, start, SEED + (number or 0), rate)


def _clean(minutes: float, start: Path | None, restart: bool) -> None:
    """The second set's network: other faces, named by a permissively licensed one; the same
    measurements."""
    from tools.train.clean import expression as clean_expression

    run = "expression-clean"
    if restart:
        _forget(run)
    parts = clean_expression.answered(clean_expression.material().parts)
    net = ExpressionNet(SHIPPED["clean"])
    if start is not None and start.suffix == ".tflite":
        margin = (parts[-1][0].pictures.shape[1] - SIZE) // 2
        some = parts[-1][0].pictures[:256, margin:-margin, margin:-margin]
        growth.from_file(net, np.ascontiguousarray(some), start)
        start = None  # much is new to it: no lower rate
    valid, votes = expression_data.ferplus(1)
    train(run, net, minutes, parts, valid, votes, start)


def _forget(run: str) -> None:
    (run_folder(run) / "checkpoint.pt").unlink(missing_ok=True)


def train(
    run: str,
    net: FaceReader,
    minutes: float,
    parts: list[tuple[Faces, int]],
    valid: Faces,
    votes: NDArray[np.uint8],
    start: Path | None = None,
    seed: int = SEED,
    peak_rate: float = PEAK_RATE,
) -> None:
    """Run or go on with the training; the checkpoint of `run` holds all that is needed for either.

    Parameters
    ----------
    run
        Name of the folder under `runs`.
    minutes
        Wall time in all, resumptions included.
    parts
        Training faces and how many of each a batch holds.
    valid, votes
        Faces that are measured now and then, with the votes uint8[N, 10] on them.
    start
        Checkpoint whose averaged weights a new training begins at.
    """
    rng = common.seed_everything(seed)
    where = common.device()
    checkpoint = run_folder(run) / "checkpoint.pt"
    photographs = parts[-1][0]  # where the teachers of the units are best
    spreads = [np.maximum(photographs.units.std(0), 0.05), np.ones(len(OTHER_UNITS), np.float32)]
    if photographs.other_units is not None:
        spreads[1] = np.maximum(np.nanstd(photographs.other_units, 0), 0.05)
    spread = [torch.from_numpy(each).to(where) for each in spreads]
    net = net.to(where, memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        common.split_decay(net, WEIGHT_DECAY), lr=peak_rate, momentum=0.9, nesterov=True
    )
    training = common.Run(checkpoint, net, optimiser, minutes, AVERAGE_DECAY, start)
    history: list[dict[str, float]] = training.saved.get("history", [])
    if training.saved:
        rng = np.random.default_rng([seed, training.step])
    budget = training.budget
    source = expression_data.batches(parts, rng, lambda: budget.progress > CALM_FROM)

    def keep() -> None:
        history.append({"step": training.step, "minutes": round(budget.spent / 60, 2)})
        history[-1] |= _check(net, training.average, valid, votes, where)
        print(history[-1])
        training.save(history=history, minutes=minutes)

    saved = budget.spent
    with bar(f"{run}, minutes", minutes) as tell:
        while budget.progress < 1.0:
            net.train()
            rate = peak_rate * common.warm_cosine(budget.progress, warm_up=0.04, floor=0.002)
            batch = {k: torch.from_numpy(value).to(where) for k, value in next(source).items()}
            loss = _loss(net, batch, spread, rng, picture_size(budget.progress))
            training.learn(loss, rate, 5.0)
            tell(budget.spent / 60, f"step {training.step}: loss {loss.item():.3f}")
            if training.step % EVALUATE_EVERY == 0:
                keep()
                saved = budget.spent
            elif budget.spent - saved > SAVE_EVERY:
                training.save(history=history, minutes=minutes)
                saved = budget.spent
        keep()


def picture_size(progress: float) -> int:
    """Side in pixels at this point of the training: small pictures first, as they cost less.

    Progressive resizing as in Tan & Le 2021 (arXiv:2104.00298); the second half is at full size.
    """
    return 40 if progress < 0.4 else SIZE


def _loss(
    net: FaceReader,
    batch: dict[str, torch.Tensor],
    spread: list[torch.Tensor],
    rng: np.random.Generator,
    size: int,
) -> torch.Tensor:
    """Cross-entropy with votes and teachers plus squared error of units in standard deviations.

    One batch in eight is mixed with itself (mixup, Zhang et al. 2018, arXiv:1710.09412).
    """
    pictures = batch["pictures"]
    if size != SIZE:
        pictures = functional.interpolate(pictures, (size, size), mode="bilinear", antialias=True)
    pictures = pictures.to(memory_format=torch.channels_last)
    share = float(rng.beta(0.3, 0.3)) if rng.random() < 0.125 else 1.0
    order = torch.from_numpy(rng.permutation(len(pictures))).to(pictures.device)
    if share < 1.0:
        pictures = share * pictures + (1.0 - share) * pictures[order]
    with common.mixed_precision():
        logits, units, others = net.answer(pictures)
    errors = _errors(batch, logits.float(), units.float(), others, spread)
    if share == 1.0:
        return errors(slice(None))
    return share * errors(slice(None)) + (1.0 - share) * errors(order)


def _errors(
    batch: dict[str, torch.Tensor],
    logits: torch.Tensor,
    units: torch.Tensor,
    others: torch.Tensor | None,
    spread: list[torch.Tensor],
) -> Callable[[torch.Tensor | slice], torch.Tensor]:
    """The mean loss of these outputs against the targets of chosen rows."""
    log_odds = functional.log_softmax(logits, 1)
    # the gradient shrinks with the square of the temperature (Hinton et al. 2015)
    hot = answers.TEMPERATURE
    log_hot = functional.log_softmax(logits / hot, 1) * hot**2

    def of(rows: torch.Tensor | slice) -> torch.Tensor:
        loss = -(batch["classes"][rows] * log_odds).sum(1) * batch["class_weight"][rows]
        loss = loss - (batch["answers"][rows] * log_hot).sum(1) * batch["answer_weight"][rows]
        error = ((units - batch["units"][rows]) / spread[0]).square().mean(1)
        loss = loss + UNIT_WEIGHT * error * batch["unit_weight"][rows]
        if others is not None:
            wanted = batch["other_units"][rows]
            known = ~wanted.isnan()
            gap = (others.float() - wanted.nan_to_num()) / spread[1]
            loss = loss + OTHER_WEIGHT * (gap.square() * known).mean(1)
        return loss.mean()

    return of


@torch.no_grad()
def _check(
    like: FaceReader,
    average: common.Average,
    valid: Faces,
    votes: NDArray[np.uint8],
    where: torch.device,
) -> dict[str, float]:
    """Accuracy and correlation of the units of the averaged weights on the valid split."""
    net = copy.deepcopy(like)
    net.load_state_dict(average.state)
    net.eval()
    logits, units = predict(net, valid.pictures, where)
    right = logits.argmax(1) == votes[:, :8].argmax(1)
    known = valid.unit_weight > 0
    pairs = zip(units[known].T, valid.units[known].T, strict=True)
    return {
        "accuracy": round(float(right.mean()), 4),
        "unit_correlation": round(float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])), 3),
    }


@torch.no_grad()
def predict(
    net: nn.Module, pictures: NDArray[np.uint8], where: torch.device
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Logits float32[N, 8] and units float32[N, 12] of uint8[N, 48, 48]."""
    answers = [
        net(torch.from_numpy(chunk[:, None].astype(np.float32) / 255.0).to(where))
        for chunk in np.array_split(pictures, max(len(pictures) // 256, 1))
    ]
    return (
        torch.cat([a for a, _ in answers]).cpu().numpy(),
        torch.cat([b for _, b in answers]).cpu().numpy(),
    )
