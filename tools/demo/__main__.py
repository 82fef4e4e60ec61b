"""`python -m tools.demo`: make the bundled clip and its ground truth."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small systems: threads only cost

import argparse
import sys
from pathlib import Path

import numpy as np

from agent.base.errors import AgentError
from tools.common.files import save_json
from tools.common.progress import along
from tools.demo import encode, portrait, scene, script


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    folder = Path(__file__).resolve().parents[2] / "agent" / "base" / "assets"
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo", description="Make the demo's clip and its ground truth."
    )
    parser.add_argument("--portrait", type=Path, help="astronaut.png; default: scikit-image's")
    parser.add_argument(
        "--out", type=Path, default=folder / "clip.mp4", help="default: %(default)s"
    )
    parser.add_argument("--quality", type=int, default=22, help="x264 CRF (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        person = portrait.load(portrait.find(options.portrait))
        total = round(script.DURATION * script.FPS)
        pictures = along(scene.frames(person), "drawing frames", total)
        encode.write(pictures, options.out, script.FPS, options.quality)
        _write_truth(person, options.out.with_suffix(".json"))
    except AgentError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    size = options.out.stat().st_size
    print(f"{options.out}: {total} frames, {script.DURATION:.0f} s, {size / 1e6:.2f} MB")
    return 0


def _write_truth(person: portrait.Portrait, path: Path) -> None:
    iods = {}
    for index, cast in enumerate(script.CAST):
        points = scene.marks(person, index, cast.enter + cast.slide + 0.3)
        iods[cast.name] = float(np.hypot(*(points[45] - points[36])))
    save_json(path, script.truth(iods))


if __name__ == "__main__":
    raise SystemExit(main())
