"""Runs of the releaser on neighbouring inputs, which differ in one visit.

The noised numbers are replaced by the same random ones in both runs, and the exact numbers are
recorded. Any difference between the summaries was then not noised; the distance of the exact
numbers is the privacy loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import pytest

from agent.base.config import AgentConfig
from agent.base.report import Summary, to_json
from agent.base.types import Perceived, Tone, Visit, Words
from agent.base.vocabulary import AnyCell
from agent.privacy import release as release_module
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.releaser import Released, Releaser
from agent.privacy.window import SENSITIVITY, ExactCounts, units
from tests.privacy.people import MODEL, Person, frames

Draws = list[tuple[AnyCell, list[int]]]
"""For each noising: cell and exact numbers."""


@dataclass
class World:
    """The summaries of one run and its exact numbers."""

    published: list[bytes]
    draws: Draws
    summaries: list[Summary]


def run(
    patch: pytest.MonkeyPatch,
    drive: Callable[[Releaser], Iterable[Released]],
    settings: AgentConfig,
    least: int = -5,
) -> World:
    """Run a releaser with random numbers, `least` or more, in place of the noised ones."""
    draws: Draws = []
    rng = random.Random("the same in every world")

    def prescribed(counts: ExactCounts, cell: AnyCell, *_: Any) -> list[int]:
        numbers = counts.cells[cell]
        draws.append((cell, list(numbers)))
        return [rng.randrange(least, 150) for _ in numbers]

    with patch.context() as inner:
        inner.setattr(release_module, "_noised", prescribed)
        releaser = Releaser(settings, resolve(settings), model=MODEL)
        summaries = [released.summary for released in [*drive(releaser), *releaser.finish()]]
    return World([to_json(summary) for summary in summaries], draws, summaries)


def see(people: Sequence[Person], end: float, fps: float = 25.0) -> list[Perceived]:
    """Frames in which the time budget skips as many faces as are seen."""
    return [replace(frame, skipped=len(frame.faces)) for frame in frames(people, end, fps)]


def watch(
    seen: list[Perceived], said: Sequence[Tone | Words] = ()
) -> Callable[[Releaser], list[Released]]:
    """Show frames to a releaser, with two contents in turn of 37 s each. `said`: readings, each
    given with the first frame after it; the microphone works."""

    def drive(releaser: Releaser) -> list[Released]:
        done, coming = [], sorted(said, key=lambda reading: -reading.time)
        before = 0.0
        for frame in seen:
            slot = int(frame.time // 37) % 2
            done += releaser.observe(frame, slot=slot)
            releaser.listen(frame.time, frame.time - before)
            before = frame.time
            while coming and coming[-1].time <= frame.time:
                reading = coming.pop()
                if isinstance(reading, Tone):
                    releaser.hear(reading, slot)
                else:
                    releaser.read(reading, slot)
        return done

    return drive


def admit(visits: Sequence[Visit], end: float, step: float) -> Callable[[Releaser], list[Released]]:
    """Hand visits that are over to a releaser, with an empty frame every `step` seconds."""
    coming = sorted(visits, key=lambda visit: visit.last)

    def drive(releaser: Releaser) -> list[Released]:
        done, place = [], 0
        for number in range(round(end / step)):
            time = number * step
            over = []
            while place < len(coming) and coming[place].last <= time:
                over.append(coming[place])
                place += 1
            done += releaser.observe(Perceived(time, ()))
            releaser._windows.add_visits(over)
        return done

    return drive


def distance(cell: AnyCell, one: Sequence[int], other: Sequence[int]) -> Fraction:
    """L1, each number in its unit: what `SENSITIVITY` bounds."""
    return sum(
        (Fraction(abs(a - b), unit) for a, b, unit in zip(one, other, units(cell), strict=True)),
        Fraction(0),
    )


def loss(policy: Policy, one: Draws, other: Draws) -> Fraction:
    """The privacy loss between two runs: over all noisings, the sum of each number's difference
    divided by the scale of its noise."""
    assert [cell for cell, _ in one] == [cell for cell, _ in other]
    return sum(
        (
            distance(cell, mine, theirs) * policy.epsilon(cell) / SENSITIVITY[cell]
            for (cell, mine), (_, theirs) in zip(one, other, strict=True)
        ),
        Fraction(0),
    )
