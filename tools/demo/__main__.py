"""`python -m tools.demo`: make the bundled clip, its sound track and its ground truth."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small systems: threads only cost

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from agent.base.errors import AgentError
from tools.common.files import save_json
from tools.common.progress import along
from tools.demo import dialogue, encode, portrait, scene, script, sound
from tools.demo.voice import RATE


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
    parser.add_argument(
        "--sound-only", action="store_true", help="keep the pictures of the file as they are"
    )
    options = parser.parse_args(argv)
    total = round(script.DURATION * script.FPS)
    truth = options.out.with_suffix(".json")
    try:
        if options.sound_only:
            known = json.loads(truth.read_text(encoding="utf-8"))["visitors"]
            sizes = {each["visitor"]: float(each["iod"]) for each in known}
        else:
            person = portrait.load(portrait.find(options.portrait))
            pictures = along(scene.frames(person), "drawing frames", total)
            encode.write(pictures, options.out, script.FPS, options.quality)
            sizes = _sizes(person)
        said = sound.in_room(dialogue.sound(script.DURATION), seed=14)
        encode.add_sound(options.out, said, RATE)
        save_json(truth, script.truth(sizes))
    except AgentError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    size = options.out.stat().st_size
    print(f"{options.out}: {total} frames, {script.DURATION:.0f} s, {size / 1e6:.2f} MB")
    return 0


def _sizes(person: portrait.Portrait) -> dict[str, float]:
    """Pixels between the outer eye corners of each visitor at rest."""
    iods = {}
    for index, cast in enumerate(script.CAST):
        points = scene.marks(person, index, cast.enter + cast.slide + 0.3)
        iods[cast.name] = float(np.hypot(*(points[45] - points[36])))
    return iods


if __name__ == "__main__":
    raise SystemExit(main())
