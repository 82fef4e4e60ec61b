"""Soft targets from larger networks of our own, trained on the same pictures.

Distillation (Hinton et al. 2015, arXiv:1503.02531): the teachers' answers say which other classes a
face resembles; ten votes say it coarsely. They also give the photographs without a human label a
class, as in self-training (Xie et al. 2020, arXiv:1911.04252).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tools.common.files import run_folder
from tools.train import common
from tools.train.expression import answers, growth, pretrained
from tools.train.expression.data import OTHER_UNITS, SIZE, Faces
from tools.train.expression.net import FINE, SHIPPED, ExpressionNet, FaceReader

RUN = "expression-teacher"
WIDE = FINE.times(2)


class Teacher(NamedTuple):
    """A kind of network: unlike ones err unlike, so that their mean is better than each."""

    build: Callable[[], FaceReader]
    rate: float
    """Peak learning rate."""
    begin: Callable[[FaceReader, NDArray[np.uint8]], None]
    """Puts weights learnt elsewhere into it, with training pictures uint8[N, 48, 48]."""


TEACHERS = (
    Teacher(lambda: ExpressionNet(WIDE, 0.2, len(OTHER_UNITS)), 0.03, growth.from_file),
    Teacher(lambda: pretrained.FaceResNet(0.3, len(OTHER_UNITS)), 0.02, pretrained.begin),
)
"""One that begins as the shipped network, four times the work; one that begins as a network that
tells people apart."""


def checkpoint(number: int) -> Path:
    """Where the training of a teacher is kept."""
    return run_folder(f"{RUN}-{number}") / "checkpoint.pt"


def finished() -> list[int]:
    """Numbers of the teachers whose training has used up its time. Raises SystemExit if none."""
    found = []
    for number in range(len(TEACHERS)):
        content = common.load_checkpoint(checkpoint(number))
        if content and content["spent"] >= 60 * content.get("minutes", float("inf")) - 1:
            found.append(number)
    if not found:
        raise SystemExit(
            "There is no teacher: run `python -m tools.train expression --teacher 0` first."
        )
    return found


def load(number: int) -> tuple[FaceReader, int]:
    """A trained teacher on the device, averaged weights, and its steps."""
    content = common.averaged(checkpoint(number))
    net = TEACHERS[number].build()
    net.load_state_dict(content["average"])
    return net.eval().to(common.device(), memory_format=torch.channels_last), int(content["step"])


def answered(
    parts: list[tuple[Faces, int]], published: Path | None = None, views: int = answers.VIEWS
) -> list[tuple[Faces, int]]:
    """The same faces with the mean answers of all finished teachers.

    Labels keep `1 - SHARE` of their weight. Raises SystemExit when no teacher has been trained.

    Parameters
    ----------
    published
        A `.tflite` file that is one more teacher: the network that the training begins as. A
        network learns from its like as well (Furlanello et al. 2018, arXiv:1805.04770).
    """
    asked: list[tuple[Path, FaceReader]] = []
    for number in finished():
        net, step = load(number)
        asked.append((checkpoint(number).parent / f"answers-{step}", net))
    if published is not None:
        net = ExpressionNet(SHIPPED["research"])
        growth.from_file(net, parts[0][0].pictures[:256], published)
        mark = hashlib.sha256(published.read_bytes()).hexdigest()[:16]
        place = net.eval().to(common.device(), memory_format=torch.channels_last)
        asked.append((run_folder(f"{RUN}-published") / f"answers-{mark}", place))
    totals = [np.zeros((len(faces), views, 8), np.float32) for faces, _ in parts]
    for folder, net in asked:
        for part, (faces, _) in enumerate(parts):
            logits = answers.kept(folder, part, faces, views, partial(ask, net))
            totals[part] += answers.soften(logits)
    return [
        (answers.weighed(faces, total / np.float32(len(asked))), count)
        for (faces, count), total in zip(parts, totals, strict=True)
    ]


@torch.no_grad()
def ask(net: FaceReader, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32[N, 8] of pictures uint8[N, 48, 48]."""
    where = next(net.parameters()).device
    x = torch.from_numpy(pictures[:, None].astype(np.float32) / 255.0).to(where)
    with common.mixed_precision():
        logits, _ = net(x.contiguous(memory_format=torch.channels_last))
    return np.asarray(logits.float().cpu().numpy(), np.float32)


def mirrored(numbers: list[int], pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean probabilities float32[N, 8] of these teachers for the middle 48 x 48 pixels of uint8[N,
    S, S] and their mirror image."""
    margin = (pictures.shape[1] - SIZE) // 2
    inner = pictures[:, margin : margin + SIZE, margin : margin + SIZE]
    total = np.zeros((len(inner), 8), np.float32)
    for number in numbers:
        net, _ = load(number)
        for rows in np.array_split(np.arange(len(inner)), max(len(inner) // 256, 1)):
            for view in (inner[rows], inner[rows, :, ::-1]):
                total[rows] += torch.from_numpy(ask(net, view)).softmax(1).numpy()
    return total / np.float32(2 * len(numbers))
