"""How far two coders, or a coder and a program, agree.

Cohen's kappa with its interval (Cohen 1960; standard error after Fleiss, Cohen and Everitt 1969,
Psychological Bulletin 72, 323-327), weighted for ordered classes; F1 of events as in the spotting
task of the Facial Micro-Expression Grand Challenge (Li et al. 2019): a found event and a coded one
are a hit where their intersection is at least half of their union; each is hit once.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agent.desk.coding.event import Event

IOU = 0.5


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance: 1 complete, 0 as by chance."""

    value: float
    """NaN where there is nothing to compare, or both always said the same one thing."""
    low: float
    high: float
    """95 % interval; for few items it is too narrow."""
    items: int


def kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    classes: Sequence[Hashable],
    weights: Literal["none", "linear", "quadratic"] = "none",
) -> Kappa:
    """Of two coders' answers to the same items, each one of `classes`, which are in order where
    `weights` are asked for. Raises `ValueError`."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} answers and {len(second)}: they are not of the same items")
    place = {each: n for n, each in enumerate(classes)}
    unknown = {str(each) for each in (*first, *second) if each not in place}
    if unknown:
        raise ValueError(f"no class is called {', '.join(sorted(unknown))}")
    items, many = len(first), len(classes)
    if not items:
        return Kappa(math.nan, math.nan, math.nan, 0)
    p = np.zeros((many, many))
    for a, b in zip(first, second, strict=True):
        p[place[a], place[b]] += 1 / items
    apart = np.abs(np.subtract.outer(np.arange(many), np.arange(many))) / max(many - 1, 1)
    costs = {"none": np.ceil(apart), "linear": apart, "quadratic": apart**2}
    w = 1.0 - costs[weights]
    rows, columns = p.sum(1), p.sum(0)
    seen, chance = float((w * p).sum()), float((w * np.outer(rows, columns)).sum())
    if chance > 1 - 1e-12:
        return Kappa(math.nan, math.nan, math.nan, items)
    value = (seen - chance) / (1 - chance)
    by_row, by_column = w @ columns, rows @ w
    spread = (p * (w - np.add.outer(by_row, by_column) * (1 - value)) ** 2).sum()
    variance = (spread - (value - chance * (1 - value)) ** 2) / (items * (1 - chance) ** 2)
    half = 1.96 * math.sqrt(max(float(variance), 0.0))
    return Kappa(value, max(value - half, -1.0), min(value + half, 1.0), items)


@dataclass(frozen=True, slots=True)
class Spotted:
    """Hits of found events against coded ones."""

    hits: tuple[tuple[int, int], ...]
    """Indices of found and coded, by found."""
    found: int
    coded: int

    @property
    def precision(self) -> float:
        return len(self.hits) / self.found if self.found else math.nan

    @property
    def recall(self) -> float:
        return len(self.hits) / self.coded if self.coded else math.nan

    @property
    def f1(self) -> float:
        """NaN where there is neither."""
        both = self.found + self.coded
        return 2 * len(self.hits) / both if both else math.nan


def overlap(a: Event, b: Event) -> float:
    """Intersection over union of two events' times, in [0, 1]; of events without duration 1 where
    they are the same moment."""
    both = min(a.offset, b.offset) - max(a.onset, b.onset)
    either = max(a.offset, b.offset) - min(a.onset, b.onset)
    if either <= 0:
        return 1.0
    return max(both, 0.0) / either


def spotted(found: Sequence[Event], coded: Sequence[Event], iou: float = IOU) -> Spotted:
    """Pairs, best first, each event at most once. Above one half no event can overlap two that are
    apart, so that the order then does not matter."""
    pairs = [
        (overlap(a, b), -i, -j)
        for i, a in enumerate(found)
        for j, b in enumerate(coded)
        if b.onset <= a.offset and a.onset <= b.offset
    ]
    hits: dict[int, int] = {}
    taken: set[int] = set()
    for share, i, j in sorted(pairs, reverse=True):
        if share < iou:
            break
        if -i not in hits and -j not in taken:
            hits[-i] = -j
            taken.add(-j)
    return Spotted(tuple(sorted(hits.items())), len(found), len(coded))
