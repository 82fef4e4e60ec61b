"""`python -m tools.train.detector.mine`: which face-free training pictures fool the detector.

Runs the published detector on the negatives pack's training part, whole and in 2x2 tiles, and
keeps the highest score of each picture in `runs/detector-teachers/negatives.npz`. Training then
draws those pictures more often (hard negative mining, Sung & Poggio 1998).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from agent.base.types import Frame
from agent.vision.faces.detect import FaceDetector
from tools.common.files import MODELS, npz, run_folder, save_atomically
from tools.common.packs import decode, load
from tools.common.progress import along
from tools.train.detector.labels import OUTPUTS
from tools.train.lite import LiteModel


def scores_path() -> Path:
    """Where the scores are kept."""
    return run_folder("detector-teachers") / "negatives.npz"


def read() -> dict[int, float]:
    """Highest score by row of the negatives pack; empty where nothing was mined."""
    if not scores_path().is_file():
        return {}
    with np.load(scores_path()) as pack:
        return dict(zip(pack["row"].tolist(), pack["score"].tolist(), strict=True))


def main() -> int:
    """Mine, and say how many pictures fire."""
    model = LiteModel((MODELS / "detector" / "model.tflite").read_bytes())
    detector = FaceDetector(lambda p: dict(zip(OUTPUTS, model(p), strict=True)), 0.1, tiles=2)
    pack = load("negatives.npz")
    rows = np.flatnonzero(pack["split"] == 0)
    best = []
    for row in along(rows.tolist(), "pictures"):
        found = detector(Frame(0.0, decode(pack["jpeg"], pack["off"], row)))
        best.append(float(found.scores.max(initial=0.0)))
    scores = np.array(best, np.float32)
    save_atomically(scores_path(), npz({"row": rows.astype(np.int32), "score": scores}))
    print(f"{int((scores > 0.3).sum())} of {len(rows)} pictures give a score above 0.3")
    return 0


if __name__ == "__main__":
    sys.exit(main())
