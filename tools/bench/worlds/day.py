"""A day's published numbers, many days at once: what the releaser does, with NumPy.

`check` compares it with `Releaser` itself, given the same noise. Noise is drawn in floating point
here, of the same distribution: nobody's privacy depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from agent.base.config import AgentConfig
from agent.base.report import COUNT, SECONDS, SUM, Summary, quantize
from agent.base.vocabulary import AnyCell
from agent.privacy.policy.rules import Policy
from agent.privacy.publishing import PublishingRule
from agent.privacy.releaser import Releaser
from agent.privacy.window import OUTCOMES, POLARITIES, ExactCounts, Window
from tools.bench.worlds.visitors import Layout, Numbers
from tools.common.errors import ToolError


@dataclass(slots=True)
class Days:
    """Published numbers of one slot."""

    published: NDArray[np.bool_]
    """[days, windows]."""
    windows: NDArray[np.int32]
    """[days, windows]: how many are published together; 0 where withheld."""
    values: Numbers
    """[days, windows, size]: as in the summaries; 0 where withheld."""
    micro: NDArray[np.bool_]
    """[days, windows]: whether the cell `micro` is published."""


def laplace(rng: np.random.Generator, scales: NDArray[np.float64], *shape: int) -> Numbers:
    """int32[*shape, numbers]: discrete Laplace noise, the difference of two geometric numbers
    (Inusah & Kozubowski, J. Statistical Planning and Inference 136, 2006)."""
    p = -np.expm1(-1 / scales)
    size = (*shape, len(scales))
    return (rng.geometric(p, size) - rng.geometric(p, size)).astype(np.int32)


def thresholds(policy: Policy, windows: int) -> NDArray[np.int64]:
    """[windows]: those of a slot that has published before, for 1, 2, … pending windows."""
    rule = PublishingRule(policy)
    rule.published(0)
    return np.array([rule.threshold(0, n, windows) for n in range(1, windows + 1)])


def publish(counts: Numbers, noise: Numbers, policy: Policy, shape: Layout) -> Days:
    """Release days, each beginning after a publication. Both [days, windows, size]."""
    days, windows, _ = counts.shape
    limits = thresholds(policy, windows)
    pending = np.zeros((days, shape.size), np.int32)
    visits, waiting = np.zeros(days, np.int64), np.zeros(days, np.int32)
    out = Days(
        np.zeros((days, windows), bool), np.zeros((days, windows), np.int32),
        np.zeros_like(counts), np.zeros((days, windows), bool),
    )  # fmt: skip
    for window in range(windows):
        pending += counts[:, window]
        visits += counts[:, window, 0] + noise[:, window, 0]
        waiting += 1
        found = visits >= limits[waiting - 1]
        out.published[:, window] = found
        out.windows[found, window] = waiting[found]
        numbers = pending[found] + noise[found, window]
        numbers[:, 0] = visits[found]
        out.values[found, window], out.micro[found, window] = _reported(numbers, policy, shape)
        pending[found], visits[found], waiting[found] = 0, 0, 0
    return out


def _reported(numbers: Numbers, policy: Policy, shape: Layout
              ) -> tuple[Numbers, NDArray[np.bool_]]:  # fmt: skip
    """Noised numbers as summaries state them, and whether `micro` is among them."""
    values = np.empty_like(numbers)
    known = np.zeros(len(numbers), bool)
    for cell, place in shape.places.items():
        kind = "sum" if cell in ("valence", "arousal") else "count"
        values[:, place] = _quantized(kind, numbers[:, place])
        if cell == "micro":
            values[:, place.stop - 1] = _quantized("seconds", numbers[:, place.stop - 1])
            known = numbers[:, place.start + len(POLARITIES)] >= policy.k
            others = slice(place.start + len(POLARITIES) + 1, place.stop - 1)
            values[:, others] = 0  # visits that were not analysable are counted, not published
            values[~known, place] = 0
    return values, known


_RANGES = {"count": COUNT, "sum": SUM, "seconds": SECONDS}


@cache
def _steps(kind: str) -> Numbers:
    """The reported number for each from the least to the most."""
    ranges = _RANGES[kind]
    return np.array([quantize(ranges, n) for n in range(ranges[0][0], ranges[-1][1] + 1)], np.int32)


def _quantized(kind: str, numbers: Numbers) -> Numbers:
    steps, least = _steps(kind), _RANGES[kind][0][0]
    return steps[np.clip(numbers - least, 0, len(steps) - 1)]


def check(
    config: AgentConfig, policy: Policy, shape: Layout, counts: Numbers, noise: Numbers
) -> None:
    """Release the same days by the agent's releaser with the same noise. Raises `ToolError` where
    a single published number differs."""
    ours = publish(counts, noise, policy, shape)
    for day in range(len(counts)):
        summaries = by_releaser(config, policy, shape, counts[day], noise[day], ours.published[day])
        for window, summary in enumerate(summaries):
            values = ours.values[day, window] if ours.published[day, window] else None
            same = (summary.visits is not None) == bool(ours.published[day, window])
            if same and values is not None:
                same = _flat(summary, shape, bool(ours.micro[day, window])) == values.tolist()
                same = same and summary.window.merged == ours.windows[day, window] - 1
            if not same:
                raise ToolError(
                    f"The simulation differs from the releaser on day {day}, window {window}. "
                    "Correct tools/bench/worlds/day.py: its figures would be about another agent."
                )


def by_releaser(
    config: AgentConfig,
    policy: Policy,
    shape: Layout,
    counts: Numbers,
    noise: Numbers,
    published: NDArray[np.bool_],
) -> list[Summary]:
    """One day's summaries by the agent's own releaser, with this noise in place of its own."""
    releaser = Releaser(config, policy, model="0" * 16)
    releaser._rule.published(0)
    releaser._draw = _Prescribed(_numbers(shape, noise, published))  # type: ignore[assignment]
    length = policy.window
    windows = []
    for number, row in enumerate(counts):
        window = Window(len(counts) + number, length, frames=length, seconds=length)
        window.capable_seconds = length
        window.counts[0] = ExactCounts(
            {cell: row[place].tolist() for cell, place in shape.places.items()}
        )
        windows.append(window)
    return [released.summary for released in releaser._release(windows)]


@dataclass(slots=True)
class _Prescribed:
    """Noise in the order in which a releaser asks for it: each window's visits, and the other cells
    if that is published."""

    numbers: Iterator[tuple[float, int]]

    def __call__(self, scale: Fraction) -> int:
        of, number = next(self.numbers, (0.0, 0))
        if abs(of - float(scale)) > 1e-9 * of:
            raise ToolError(
                "The releaser asks for other noise than the simulation draws. Correct "
                "tools/bench/worlds/day.py."
            )
        return number


def _numbers(
    shape: Layout, noise: Numbers, published: NDArray[np.bool_]
) -> Iterator[tuple[float, int]]:
    for row, found in zip(noise, published, strict=True):
        for place in range(shape.size if found else 1):
            yield float(shape.scales[place]), int(row[place])


def _flat(summary: Summary, shape: Layout, micro: bool) -> list[int]:
    """A summary's numbers in the layout's order."""
    numbers: list[int] = []
    for cell in shape.cells:
        numbers += _of_cell(summary, cell, micro)
    return numbers


def _of_cell(summary: Summary, cell: AnyCell, micro: bool) -> list[int]:
    value = getattr(summary, cell)
    if cell in ("visits", "passing"):
        return [value]
    if cell in ("valence", "arousal"):
        return [value.sum]
    if cell != "micro":
        return list(value.model_dump().values())
    others = [0] * (len(OUTCOMES) - 1)
    if (value is not None) != micro:
        return []
    if value is None:
        return [0] * (len(POLARITIES) + 2) + others
    shown = [getattr(value, polarity) for polarity in POLARITIES]
    return [*shown, value.analysable_visits, *others, value.analysable_seconds]
