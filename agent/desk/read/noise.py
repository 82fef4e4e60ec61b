"""How much noise each number of a summary carries: the scale b of its discrete Laplace mechanism.

A policy shares its epsilon among the cells that it publishes (`agent.privacy.policy.rules`), so b
follows from the summary: epsilon, and which cells it has or leaves out by policy. A number x then
is within 3 b of the truth with 95 %, and its variance is about 2 b^2 (`deviation` is exact); sums
of n independent numbers have n times the variance.

Two things a summary does not tell apart: micro-expressions switched off and left out by policy, and
voices not heard and left out. There b is that of the larger number of cells: never too small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from agent.base.vocabulary import AnyCell, Cell, HeardCell, PolicyName
from agent.privacy.policy import hearing
from agent.privacy.policy.rules import PROFILES, WEIGHTS
from agent.privacy.window import MAX_MICRO_SECONDS, SENSITIVITY

CELLS: tuple[AnyCell, ...] = (*get_args(Cell), *get_args(HeardCell))
SECONDS = float(MAX_MICRO_SECONDS)
"""`micro.analysable_seconds` has the noise of this many times the cell's b."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a summary tells of its noise."""

    policy: PolicyName
    epsilon_milli: int
    """Thousandths, per visit; 0: no noise was added."""
    left_out: frozenset[str]
    """Cells that are withheld for `policy`."""
    present: frozenset[AnyCell]
    """Cells with numbers."""
    voice: str | None
    text: str | None
    """As in `Heard`; None in the first form."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Told:
        """Of a parsed summary."""
        heard = body.get("heard")
        values = {**body, **(heard or {})}
        return cls(
            body["policy"],
            body["privacy"]["epsilon_milli"],
            frozenset(item["cell"] for item in body["withheld"] if item["reason"] == "policy"),
            frozenset(cell for cell in CELLS if values.get(cell) is not None),
            heard["voice"] if heard else None,
            heard["text"] if heard else None,
        )


@lru_cache(maxsize=256)
def scales(told: Told) -> Mapping[AnyCell, float]:
    """b of each cell that has numbers; 0 where no noise was added."""
    if not told.epsilon_milli:
        return dict.fromkeys(told.present, 0.0)
    total = 1000 * sum(WEIGHTS[cell] for cell in _sharing(told))
    return {
        cell: SENSITIVITY[cell] * total / (WEIGHTS[cell] * told.epsilon_milli)
        for cell in told.present
    }


def deviation(scale: float, numbers: int = 1) -> float:
    """Standard deviation of the sum of `numbers` independent discrete Laplace noises of scale b.

    Variance 2 p / (1 - p)^2 with p = exp(-1 / b) (Inusah and Kozubowski 2006, JSPI 136, 1090-1102).
    """
    if scale <= 0:
        return 0.0
    p = math.exp(-1 / scale)
    return math.sqrt(numbers * 2 * p) / (1 - p)


def _sharing(told: Told) -> set[AnyCell]:
    """The cells among which epsilon is shared."""
    cells = set(PROFILES[told.policy].cells)
    cells -= {cell for cell in cells if cell in told.left_out and cell != "micro"}
    for state, of in ((told.voice, hearing.VOICE), (told.text, hearing.WORDS)):
        if state not in (None, "policy"):
            cells |= {cell for cell in of if state != "published" or cell in told.present}
    if "below_k" in (told.voice, told.text):
        return cells | set(hearing.TOGETHER)
    return cells | (told.present & set(hearing.TOGETHER))
