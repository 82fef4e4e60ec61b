"""Exact contributions of visits to the cells, by the agent's own code."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.config import MicroConfig
from agent.base.types import EXPRESSIONS, Visit
from agent.base.vocabulary import AnyCell
from agent.privacy.policy.rules import Policy
from agent.privacy.window import MAX_MICRO_SECONDS, SENSITIVITY, ExactCounts, units

Numbers = NDArray[np.int32]

_KINDS = 400
"""Different visits that the background is drawn from."""
_SHOWN = ("neutral", "neutral", "neutral", "neutral", "happiness", "happiness", "surprise", "anger")


@dataclass(frozen=True, slots=True)
class Layout:
    """The numbers of a policy's cells side by side; those of `visits` come first."""

    cells: tuple[AnyCell, ...]
    places: dict[AnyCell, slice]
    scales: NDArray[np.float64]
    """Of each number's noise."""

    @property
    def size(self) -> int:
        return len(self.scales)


def layout(policy: Policy) -> Layout:
    """The layout of a policy with noise."""
    cells = tuple(sorted(policy.cells, key=lambda cell: cell != "visits"))
    places, scales = dict[AnyCell, slice](), list[float]()
    for cell in cells:
        each = [float(unit * SENSITIVITY[cell] / policy.epsilon(cell)) for unit in units(cell)]
        places[cell] = slice(len(scales), len(scales) + len(each))
        scales += each
    return Layout(cells, places, np.array(scales))


def contribution(visit: Visit, shape: Layout) -> Numbers:
    """int32[size]: what a visit adds, bounded as where noise is added."""
    counts = ExactCounts()
    counts.add(visit, MicroConfig().min_face, bounded=True)
    return np.array([n for cell in shape.cells for n in counts.cells[cell]], np.int32)


def kinds(rng: random.Random, shape: Layout) -> Numbers:
    """int32[`_KINDS`, size]: contributions of random visits, some 20 s long."""
    return np.stack([contribution(_anybody(rng), shape) for _ in range(_KINDS)])


def _anybody(rng: random.Random) -> Visit:
    stay, estimates = 0.5 + rng.expovariate(1 / 20), rng.randrange(1, 40)
    shown = np.zeros(len(EXPRESSIONS), np.float32)
    shown[EXPRESSIONS.index(rng.choice(_SHOWN))] = estimates
    moved = rng.sample(("positive", "negative", "unspecified"), rng.choice((0, 0, 0, 1, 2)))
    return Visit(
        0, 0.0, stay, 0,
        attention=stay * rng.random(), expression=shown, estimates=estimates,
        unsure=estimates * (rng.random() < 0.2),
        valence=estimates * rng.uniform(-0.5, 0.8), arousal=estimates * rng.uniform(-0.5, 0.5),
        micro=set(moved), analysable=stay * (rng.random() < 0.8), size=80.0,
    )  # fmt: skip


def stranger(shape: Layout) -> Numbers:
    """int32[size]: a visit at every contribution bound, of a kind that nobody else is: it spends
    the whole epsilon."""
    stay = 10.0 * MAX_MICRO_SECONDS
    shown = np.zeros(len(EXPRESSIONS), np.float32)
    shown[EXPRESSIONS.index("contempt")] = 9.0
    visit = Visit(
        0, 0.0, stay, 0,
        attention=stay, expression=shown, estimates=9, valence=-9.0, arousal=9.0,
        micro={"negative", "surprise"}, analysable=stay, size=80.0,
    )  # fmt: skip
    return contribution(visit, shape)


def background(rng: np.random.Generator, rates: NDArray[np.float64], among: Numbers, days: int
               ) -> Numbers:  # fmt: skip
    """int32[days, windows, size]: exact numbers of visits at random, a Poisson number of each
    window's rate."""
    number = rng.poisson(np.broadcast_to(rates, (days, len(rates)))).ravel()
    sums = np.zeros((number.sum() + 1, among.shape[1]), np.int32)
    np.cumsum(among[rng.integers(0, len(among), number.sum())], axis=0, out=sums[1:])
    ends = np.concatenate([[0], np.cumsum(number)])
    found: Numbers = np.diff(sums[ends], axis=0).reshape(days, len(rates), -1)
    return found
