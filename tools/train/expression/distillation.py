"""Soft targets from a larger network of our own, trained on the same pictures.

Distillation (Hinton et al. 2015, arXiv:1503.02531): the teacher's answers, averaged over a picture
and its mirror image, say which other classes a face resembles; ten votes say it coarsely. They also
give the photographs without a human label a class, as in self-training (Xie et al. 2020,
arXiv:1911.04252). The answers are computed once, so that training costs no more than without.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tools.common.files import run_folder
from tools.train import common
from tools.train.expression.data import SIZE, Faces
from tools.train.expression.net import ExpressionNet

WIDTH = 2
"""The teacher's width: four times the parameters and the work."""
SHARE = 0.5
"""Weight of the teacher beside human labels."""
UNLABELLED = 0.5
"""Weight of a picture that only the teacher has named."""


def answered(parts: list[tuple[Faces, int]], run: str) -> list[tuple[Faces, int]]:
    """The same faces with classes that are half human, half the teacher's of `runs/<run>`.

    Raises SystemExit when the teacher has not been trained.
    """
    path = run_folder(run) / "checkpoint.pt"
    content = common.load_checkpoint(path)
    if content is None:
        raise SystemExit(
            f"There is no teacher {path}: run `python -m tools.train expression --teacher` first."
        )
    where = common.device()
    teacher = ExpressionNet(width=WIDTH).to(where)
    teacher.load_state_dict(content["average"])
    teacher.eval()
    return [(_named(faces, _classes(teacher, faces, where)), count) for faces, count in parts]


def _named(faces: Faces, answers: NDArray[np.float32]) -> Faces:
    labelled = faces.class_weight > 0
    share = np.where(labelled, SHARE, 1.0).astype(np.float32)[:, None]
    return dataclasses.replace(
        faces,
        classes=(1.0 - share) * faces.classes + share * answers,
        class_weight=np.where(labelled, faces.class_weight, np.float32(UNLABELLED)),
    )


@torch.no_grad()
def _classes(teacher: ExpressionNet, faces: Faces, where: torch.device) -> NDArray[np.float32]:
    """Probabilities float32[N, 8] of the middle 48 x 48 pixels of each picture."""
    margin = (faces.pictures.shape[1] - SIZE) // 2
    inner = faces.pictures[:, margin : margin + SIZE, margin : margin + SIZE]
    answers = []
    for chunk in np.array_split(inner, max(len(inner) // 256, 1)):
        x = torch.from_numpy(chunk[:, None].astype(np.float32) / 255.0).to(where)
        odds = [functional.softmax(teacher(view)[0], 1) for view in (x, x.flip(3))]
        answers.append((odds[0] + odds[1]) / 2)
    return torch.cat(answers).cpu().numpy()
