"""`python -m tools.bench.micro.tune`: grid search of the baselines' settings on the tuning seeds.

Prints each rule's best setting by F1 at .3 % IOD and 30 frames/s; they stand in `classic.TUNED`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product

from tools.bench.micro.baselines import FlowRule, Mdmd, Naive, Setting
from tools.bench.micro.subject import Subject
from tools.common.progress import along
from tools.micro.generator_config import TUNE_SEEDS
from tools.micro.score import pooled, score
from tools.micro.tracks import Track, make

GRID: dict[str, tuple[Callable[[Setting], Subject], list[Setting]]] = {
    Naive.name: (
        Naive,
        [
            Setting(p, half, extend)
            for p, half, extend in product(
                (0.1, 0.15, 0.2, 0.3, 0.4), (0.15, 0.2, 0.27, 0.33), (-0.12, -0.08, -0.03, 0.0)
            )
        ],
    ),
    Mdmd.name: (
        Mdmd,
        [
            Setting(p, half, extend)
            for p, half, extend in product(
                (0.1, 0.15, 0.2, 0.3, 0.4), (0.2, 0.25, 0.3, 0.4), (0.0, 0.05, 0.1, 0.13)
            )
        ],
    ),
    FlowRule.name: (
        FlowRule,
        [
            Setting(scale, 0.0, extend)
            for scale, extend in product((0.6, 1.0, 1.5, 2.0, 2.5, 3.0), (-0.03, 0.0, 0.03))
        ],
    ),
}


def f1(subject: Subject, tracks: list[Track]) -> float:
    """Pooled over the tracks."""
    scored = [
        score(
            track.micro,
            subject(track.timestamps, track.landmarks, track.confidence).found,
            track.seconds / 60,
        )
        for track in tracks
    ]
    return float(pooled(scored, 1)["f1"]["value"] or 0.0)


def main(argv: list[str] | None = None) -> int:
    """Search the grid and print what is best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=10)
    args = parser.parse_args(argv)
    tracks = [make(seed) for seed in TUNE_SEEDS[: args.tracks]]
    for name, (kind, settings) in GRID.items():
        figures = [f1(kind(setting), tracks) for setting in along(settings, name)]
        best = max(range(len(settings)), key=figures.__getitem__)
        print(f"{name}: {settings[best]} F1 {figures[best]:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
