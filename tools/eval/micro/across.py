"""Figures of a network on every generator of training, and on those it was not trained on.

Seeds are apart from training's. A generator that a network was trained on flatters it however
new the seed: what to expect on somebody else's tracks is the figure of the generator left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.base.config import MicroConfig
from agent.base.types import MicroExpression
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter
from tools.common.progress import along
from tools.micro.score import Scored, pooled, score
from tools.train.micro.generators import GENERATORS, Condition
from tools.train.micro.samples import Material

SEED = 770
"""First entry of every seed here; training's begin with others."""
CELLS = tuple((fps, noise) for noise in (0.001, 0.003) for fps in (30.0, 60.0))
"""Frames per second and landmark noise, IOD."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One generator under one condition."""

    generator: str
    fps: float
    noise: float
    scored: tuple[Scored, ...]


def tracks(name: str, fps: float, noise: float, count: int, events: int = 6) -> Iterator[Material]:
    """`count` tracks of a minute with `events` movements each."""
    for k in range(count):
        rng = np.random.default_rng([SEED, sorted(GENERATORS).index(name), k])
        yield GENERATORS[name](rng, Condition(fps=fps, noise=noise, events=events))


def measure(
    network: SpotterNetwork,
    names: Sequence[str],
    count: int,
    threshold: float | None = None,
) -> list[Cell]:
    """Every generator of `names` in every cell."""
    cells = [(name, fps, noise) for name in names for fps, noise in CELLS]
    out = []
    for name, fps, noise in along(cells, "generators"):
        scored = tuple(
            score(one.micro, spot(network, one, threshold), 1.0)
            for one in tracks(name, fps, noise, count)
        )
        out.append(Cell(name, fps, noise, scored))
    return out


def spot(
    network: SpotterNetwork, track: Material, threshold: float | None = None
) -> list[MicroExpression]:
    """What the agent's spotter reports of a track."""
    params = MicroConfig() if threshold is None else MicroConfig(threshold=threshold)
    spotter = MicroSpotter(params, network)
    found: list[MicroExpression] = []
    rows = zip(track.timestamps.tolist(), track.landmarks, track.confidence, strict=True)
    for time, points, confidence in rows:
        found += spotter.update(time, [(0, points, float(confidence))])[0]
    return found + spotter.finish()


def figures(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Per cell F1, precision, recall and false alarms a minute with intervals; JSON."""
    wanted = ("f1", "precision", "recall", "false_per_minute", "truths", "minutes")
    out = []
    for cell in cells:
        all_figures = pooled(cell.scored)
        head = {"generator": cell.generator, "fps": cell.fps, "noise": cell.noise}
        out.append(head | {name: all_figures[name] for name in wanted})
    return out
