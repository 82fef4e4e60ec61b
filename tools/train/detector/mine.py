"""`python -m tools.train.detector.mine [--model FILE]`: which face-free views fool a detector.

The views are the negatives pack's training part and windows of the training scenes that stay clear
of every label and vote. Each is looked at whole and in 2x2 tiles; where the detector fires in the
pack's pictures, SCRFD is asked as well (in scenes it was), and what it takes for a face is left
out. Training draws the views by the scores
kept in `runs/detector-teachers/mined.npz`: hard negative mining (Sung & Poggio 1998).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Frame
from agent.vision.faces.detect import FaceDetector
from tools.common.files import MODELS, npz, run_folder, save_atomically
from tools.common.packs import decode, load, packs_folder
from tools.common.progress import along
from tools.train.detector import relabel
from tools.train.detector.labels import OUTPUTS, Labels, Picture
from tools.train.detector.teachers import FILES, open_onnx, scrfd
from tools.train.lite import LiteModel

FIRES = 0.45
"""Score from which a view counts as hard."""
A_FACE = 0.3
"""SCRFD's score from which a view may hold a face after all."""
WINDOWS, TRIES = 2, 10
"""Windows of one scene at most, and how often one is looked for."""
Windows = NDArray[np.int32]
"""int32[N, 5]: row of the scenes pack, x0, y0, x1, y1."""


def mined_path() -> Path:
    """Where the scores are kept."""
    return run_folder("detector-teachers") / "mined.npz"


def read() -> tuple[dict[int, float], Windows, NDArray[np.float32]]:
    """Scores by row of the negatives pack; windows and their scores. Negative: may hold a face."""
    if not mined_path().is_file():
        return {}, np.zeros((0, 5), np.int32), np.zeros(0, np.float32)
    with np.load(mined_path()) as pack:
        rows = dict(zip(pack["row"].tolist(), pack["score"].tolist(), strict=True))
        return rows, pack["window"], pack["window_score"]


def windows(
    rng: np.random.Generator, shape: tuple[int, ...], labels: Labels
) -> list[tuple[int, int, int, int]]:
    """Up to `WINDOWS` places (x0, y0, x1, y1) of a picture clear of its labels, active or not."""
    height, width = shape
    grow = 0.35 * (labels.box[:, 2:] - labels.box[:, :2])
    low, high = labels.box[:, :2] - grow, labels.box[:, 2:] + grow
    found: list[tuple[int, int, int, int]] = []
    for _ in range(TRIES):
        h = int(rng.uniform(0.3, 0.9) * height)
        w = min(int(h * rng.uniform(0.8, 1.5)), width)
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        if h >= 40 and not ((low < [x + w, y + h]) & (high > [x, y])).all(1).any():
            found.append((x, y, x + w, y + h))
            if len(found) == WINDOWS:
                break
    return found


def main(argv: Sequence[str]) -> int:
    """Mine, and say how many views are hard and how many may hold a face."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.train.detector.mine", description=__doc__
    )
    parser.add_argument("--model", type=Path, default=MODELS / "detector" / "model.tflite")
    options = parser.parse_args(argv)
    cv2.setNumThreads(1)
    model = LiteModel(options.model.read_bytes())
    detector = FaceDetector(lambda p: dict(zip(OUTPUTS, model(p), strict=True)), 0.1, tiles=2)
    teacher = scrfd(open_onnx(packs_folder() / "teachers" / FILES[0]))

    def fired(picture: Picture) -> float:
        return float(detector(Frame(0.0, picture)).scores.max(initial=0.0))

    def judged(picture: Picture) -> float:
        score = fired(picture)
        holds_face = score >= FIRES and teacher(picture).score.max(initial=0.0) >= A_FACE
        return -1.0 if holds_face else score

    negatives, scenes = load("negatives.npz"), load("scenes.npz")
    rows = np.flatnonzero(negatives["split"] == 0)
    scores = [
        judged(decode(negatives["jpeg"], negatives["off"], row))
        for row in along(rows.tolist(), "face-free pictures")
    ]
    train = np.flatnonzero(scenes["split"] == 0)
    every = relabel.labels(scenes, train)
    rng = np.random.default_rng(11)
    places: list[tuple[int, ...]] = []
    place_scores: list[float] = []
    for i, labels in along(list(zip(train.tolist(), every, strict=True)), "scenes"):
        picture = decode(scenes["jpeg"], scenes["off"], i)
        for x0, y0, x1, y1 in windows(rng, picture.shape, labels):
            places.append((i, x0, y0, x1, y1))
            place_scores.append(fired(np.ascontiguousarray(picture[y0:y1, x0:x1])))
    arrays: dict[str, NDArray[Any]] = {
        "row": rows.astype(np.int32),
        "score": np.array(scores, np.float32),
        "window": np.array(places, np.int32).reshape(-1, 5),
        "window_score": np.array(place_scores, np.float32),
    }
    save_atomically(mined_path(), npz(arrays))
    for title, found in (("pictures", arrays["score"]), ("windows", arrays["window_score"])):
        hard, faces = int((found >= FIRES).sum()), int((found < 0).sum())
        print(f"{len(found)} {title}: {hard} score {FIRES} or more, {faces} may hold a face")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
