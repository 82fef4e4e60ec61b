"""`python -m tools.render --picture FILE.png`: a contact sheet of rendered faces to look at."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from agent.base.types import EXPRESSIONS
from tools.common.files import save_png
from tools.render.scene import Face, faces


def main(argv: Sequence[str]) -> int:
    """Draw the sheet; --landmarks marks the points, --expressions sorts by prototype."""
    parser = argparse.ArgumentParser(prog="python -m tools.render", description=__doc__)
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=128, help="side of one face, pixels")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--landmarks", action="store_true")
    parser.add_argument("--expressions", action="store_true", help="one row per expression")
    options = parser.parse_args(argv)
    next(faces(1, options.seed, size=options.size))  # the mesh and the compiler
    start = time.perf_counter()
    if options.expressions:
        sheet = [
            list(
                faces(
                    options.columns,
                    options.seed + k,
                    size=options.size,
                    expression=name,
                    strength=(0.8, 1.0),
                )
            )
            for k, name in enumerate(EXPRESSIONS)
        ]
    else:
        every = list(faces(options.rows * options.columns, options.seed, size=options.size))
        sheet = [every[k : k + options.columns] for k in range(0, len(every), options.columns)]
    count, seconds = sum(map(len, sheet)), time.perf_counter() - start
    picture = np.vstack([np.hstack([_shown(f, options.landmarks) for f in row]) for row in sheet])
    save_png(options.picture, picture)
    print(f"{count} faces, {count / seconds:.0f} per second: {options.picture}")
    return 0


def _shown(face: Face, landmarks: bool) -> np.ndarray:
    colour = cv2.cvtColor(face.picture, cv2.COLOR_GRAY2BGR)
    if landmarks:
        for (x, y), seen in zip(face.landmarks * 8, face.visible, strict=True):
            cv2.circle(colour, (int(x), int(y)), 8, (0, 255, 0) if seen else (0, 0, 255), -1, 0, 3)
    return colour


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
